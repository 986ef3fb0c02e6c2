# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the Deployment a user wrote to the Deployment of a slot. No I/O. Internal: may change in any release."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from .._common.errors import OperationError
from .model import ANNOTATION_HASH, ANNOTATION_VERSION, Release, Target


def check_manifest(manifest: dict[str, Any], target: Target, version: str) -> None:
    """Refuse a Deployment that cannot work, before anything is touched. Raises OperationError."""
    if not version.strip():
        # An explicit null passes Ansible's own check of required options.
        raise OperationError(
            f"roll out {target}", "no version is given.", "set option 'version' to what is to be shipped."
        )
    what = f"use the Deployment given for {target} {version}"
    if manifest.get("kind") != "Deployment" or manifest.get("apiVersion") != "apps/v1":
        raise OperationError(
            what,
            f"it is a {manifest.get('apiVersion')} {manifest.get('kind')}, not an apps/v1 Deployment.",
            "give a whole apps/v1 Deployment in option 'deployment'.",
        )
    containers = _pod_spec(manifest).get("containers") or []
    if not containers:
        raise OperationError(what, "spec.template.spec.containers is empty.", "name at least one container.")
    for container in containers:
        if not str(container.get("image") or "").strip():
            raise OperationError(
                what,
                f"container '{container.get('name', '?')}' has no image.",
                "set the image, with the version as its tag.",
            )


def content_hash(manifest: dict[str, Any], version: str) -> str:
    """Identifies a release: the version and what its pods run, not its size nor its slot.

    Own canonical JSON and SHA-256, so that an upgrade of a library never makes yesterday's release look new.
    """
    content = {"version": version, "template": manifest["spec"]["template"]}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def slot_selector(target: Target, slot: str) -> dict[str, str]:
    """Labels that select a slot's pods, in its Deployment and its Service alike. Never changes."""
    return {"app": target.name, "slot": slot}


def slot_deployment(manifest: dict[str, Any], target: Target, release: Release) -> dict[str, Any]:
    """The Deployment of C(release) in its slot: named, labelled, selected and sized."""
    result = copy.deepcopy(manifest)
    result.pop("status", None)
    metadata = result.setdefault("metadata", {})
    labels = {**slot_selector(target, release.slot), "version": release.version}
    metadata["name"] = target.workload(release.slot)
    metadata["namespace"] = target.namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        ANNOTATION_HASH: release.content_hash,
        ANNOTATION_VERSION: release.version,
    }
    spec = result["spec"]
    spec["replicas"] = release.replicas
    spec["selector"] = {"matchLabels": slot_selector(target, release.slot)}
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = {**(template.get("labels") or {}), **labels}
    return result


def merge_onto_live(live: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """C(wanted) as a replacement of C(live): the spec is ours alone, other writers' labels and annotations stay.

    Carries C(live)'s resourceVersion, so that the write fails if anybody wrote in between.
    """
    result = copy.deepcopy(wanted)
    for key in ("labels", "annotations"):
        result["metadata"][key] = {**(live["metadata"].get(key) or {}), **(wanted["metadata"].get(key) or {})}
    result["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    return result


def _pod_spec(manifest: dict[str, Any]) -> dict[str, Any]:
    return ((manifest.get("spec") or {}).get("template") or {}).get("spec") or {}
