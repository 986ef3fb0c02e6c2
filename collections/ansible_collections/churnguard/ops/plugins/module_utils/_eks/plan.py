# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters as one wants them, as they are, and what leads from one to the other. Pure. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._common.errors import OperationError
from .._common.waiting import DONE, FAILED, PENDING, Finding

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@dataclass(frozen=True)
class Wish:
    """A cluster as it is wanted. Empty C(version) and C(secrets_key): left as they are."""

    name: str
    role: str
    subnets: tuple[str, ...]
    version: str = ""
    private: bool = True
    public: bool = False
    public_cidrs: tuple[str, ...] = ()
    secrets_key: str = ""
    log_types: tuple[str, ...] = LOG_TYPES
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One request that changes a cluster: boto3's method, its arguments, and what it does in words."""

    method: str
    arguments: dict[str, Any]
    words: str


def logged(cluster: Mapping[str, Any]) -> list[str]:
    """The log types that are switched on."""
    entries = (cluster.get("logging") or {}).get("clusterLogging") or []
    return sorted(kind for entry in entries if entry.get("enabled") for kind in entry.get("types") or [])


def key_of(cluster: Mapping[str, Any]) -> str:
    """ARN of the KMS key that encrypts secrets; empty for none."""
    for entry in cluster.get("encryptionConfig") or []:
        if "secrets" in (entry.get("resources") or []):
            return str((entry.get("provider") or {}).get("keyArn") or "")
    return ""


def summary(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """What this area keeps in line, for comparison and for the diff."""
    network = cluster.get("resourcesVpcConfig") or {}
    public = bool(network.get("endpointPublicAccess"))
    return {
        "version": cluster.get("version") or "",
        "role_arn": cluster.get("roleArn") or "",
        "subnet_ids": sorted(network.get("subnetIds") or []),
        "endpoint_private_access": bool(network.get("endpointPrivateAccess")),
        "endpoint_public_access": public,
        "public_access_cidrs": sorted(network.get("publicAccessCidrs") or []) if public else [],
        "secrets_kms_key_arn": key_of(cluster),
        "log_types": logged(cluster),
        "tags": dict(cluster.get("tags") or {}),
    }


def wanted(wish: Wish, current: Mapping[str, Any] | None) -> dict[str, Any]:
    """The summary of the cluster once C(wish) is fulfilled; what it leaves open is taken from C(current)."""
    now = current or {"version": "", "secrets_kms_key_arn": "", "tags": {}}
    return {
        "version": wish.version or now["version"],
        "role_arn": wish.role,
        "subnet_ids": sorted(wish.subnets),
        "endpoint_private_access": wish.private,
        "endpoint_public_access": wish.public,
        "public_access_cidrs": sorted(wish.public_cidrs) if wish.public else [],
        "secrets_kms_key_arn": wish.secrets_key or now["secrets_kms_key_arn"],
        "log_types": sorted(wish.log_types),
        "tags": {**now["tags"], **wish.tags},
    }


def check(wish: Wish) -> None:
    """Raises OperationError for a wish that nobody should have."""
    attempted = f"make the EKS cluster {wish.name} as asked"
    if not wish.private and not wish.public:
        raise OperationError(attempted, "nobody could reach its API server.", "allow private or public access.")
    if wish.public and not wish.public_cidrs:
        raise OperationError(
            attempted,
            "endpoint_public_access without public_access_cidrs opens its API server to the whole internet.",
            "list the addresses that may reach it, or switch public access off.",
        )
    if len(wish.subnets) < 2:
        raise OperationError(attempted, "EKS wants subnets in two zones at least.", "give two or more subnet_ids.")


def creation(wish: Wish) -> dict[str, Any]:
    """The arguments of boto3's create_cluster."""
    network: dict[str, Any] = {
        "subnetIds": list(wish.subnets),
        "endpointPrivateAccess": wish.private,
        "endpointPublicAccess": wish.public,
    }
    if wish.public:
        network["publicAccessCidrs"] = list(wish.public_cidrs)
    arguments: dict[str, Any] = {
        "name": wish.name,
        "roleArn": wish.role,
        "resourcesVpcConfig": network,
        "logging": _logging(wish),
        "tags": dict(wish.tags),
    }
    if wish.version:
        arguments["version"] = wish.version
    if wish.secrets_key:
        arguments["encryptionConfig"] = _encryption(wish)
    return arguments


def steps(wish: Wish, cluster: Mapping[str, Any]) -> list[Step]:
    """What has to be asked of EKS, one update at a time, so that C(cluster) becomes what is wished.

    Raises OperationError for what EKS cannot change."""
    now = summary(cluster)
    then = wanted(wish, now)
    _refuse(wish, now, then)
    found: list[Step] = []
    endpoint = ("endpoint_private_access", "endpoint_public_access", "public_access_cidrs")
    if any(now[name] != then[name] for name in endpoint):
        network = {"endpointPrivateAccess": wish.private, "endpointPublicAccess": wish.public}
        cidrs = {"publicAccessCidrs": list(wish.public_cidrs)} if wish.public else {}
        arguments = {"name": wish.name, "resourcesVpcConfig": {**network, **cidrs}}
        found.append(Step("update_cluster_config", arguments, "change who reaches the API server"))
    if now["log_types"] != then["log_types"]:
        arguments = {"name": wish.name, "logging": _logging(wish)}
        found.append(Step("update_cluster_config", arguments, "change what is logged"))
    if now["secrets_kms_key_arn"] != then["secrets_kms_key_arn"]:
        arguments = {"clusterName": wish.name, "encryptionConfig": _encryption(wish)}
        found.append(Step("associate_encryption_config", arguments, "encrypt secrets"))
    for version in _upgrades(now["version"], then["version"]):
        arguments = {"name": wish.name, "version": version}
        found.append(Step("update_cluster_version", arguments, f"upgrade to {version}"))
    if now["tags"] != then["tags"]:
        arguments = {
            "resourceArn": cluster["arn"],
            "tags": {k: v for k, v in wish.tags.items() if now["tags"].get(k) != v},
        }
        found.append(Step("tag_resource", arguments, "set tags"))
    return found


def readiness(cluster: Mapping[str, Any]) -> Finding:
    """Is the cluster active, becoming so, or beyond hope."""
    status = str(cluster.get("status") or "unknown")
    issues = (cluster.get("health") or {}).get("issues") or []
    told = "; ".join(f"{issue.get('code')}: {issue.get('message')}" for issue in issues)
    detail = f"{status} ({told})" if told else status
    if status == "ACTIVE":
        return Finding(DONE, detail)
    return Finding(FAILED if status in ("FAILED", "DELETING") else PENDING, detail)


def _refuse(wish: Wish, now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    attempted = f"bring the EKS cluster {wish.name} in line"
    for name in ("role_arn", "subnet_ids"):
        if now[name] != then[name]:
            raise OperationError(
                attempted,
                f"{name} is {now[name]}, not {then[name]}, and stays what it was when the cluster was made.",
                f"give the {name} that it has, or make a new cluster and move to it.",
            )
    if now["secrets_kms_key_arn"] and now["secrets_kms_key_arn"] != then["secrets_kms_key_arn"]:
        raise OperationError(
            attempted,
            f"its secrets are encrypted with {now['secrets_kms_key_arn']}, which EKS cannot change.",
            "give that key, or make a new cluster and move to it.",
        )
    if _number(then["version"]) < _number(now["version"]):
        raise OperationError(
            attempted,
            f"it runs {now['version']}, and EKS never goes back to {then['version']}.",
            f"ask for {now['version']} or newer.",
        )


def _upgrades(now: str, then: str) -> list[str]:
    """Every minor version after C(now) up to C(then): EKS takes one at a time."""
    major, begin = _number(now)
    return [f"{major}.{minor}" for minor in range(begin + 1, _number(then)[1] + 1)]


def _number(version: str) -> tuple[int, int]:
    major, _dot, minor = version.partition(".")
    try:
        return int(major), int(minor)
    except ValueError:
        raise OperationError(
            f"read the Kubernetes version {version!r}", "it is not like 1.35.", "give major and minor version."
        ) from None


def _logging(wish: Wish) -> dict[str, Any]:
    off = [kind for kind in LOG_TYPES if kind not in wish.log_types]
    entries = [{"types": list(wish.log_types), "enabled": True}] if wish.log_types else []
    return {"clusterLogging": [*entries, *([{"types": off, "enabled": False}] if off else [])]}


def _encryption(wish: Wish) -> list[dict[str, Any]]:
    return [{"resources": ["secrets"], "provider": {"keyArn": wish.secrets_key}}]
