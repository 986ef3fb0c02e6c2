"""The lab's settings: read once from lab.json, which the role `lab` writes, and never changed."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG_ENVIRONMENT = "CHURNGUARD_LAB_CONFIG"
#: Every process of a lab carries this variable with the lab's state directory, so that it can be found and ended.
MARKER_ENVIRONMENT = "CHURNGUARD_LAB"
LOOPBACK = "127.0.0.1"


class SettingsError(Exception):
    """lab.json is missing, unreadable or incomplete; the message says which and what to do."""


@dataclasses.dataclass(frozen=True)
class Ports:
    """TCP ports on 127.0.0.1, one for each listener."""

    supervisor: int
    etcd: int
    etcd_peer: int
    kube_apiserver: int
    kube_controller_manager: int
    kube_scheduler: int
    node_agent: int
    gateway: int
    gateway_admin: int
    gateway_controller: int
    prometheus: int
    pushgateway: int
    postgresql: int
    redis: int
    moto: int
    redis_replica: int
    redis_sentinel_1: int
    redis_sentinel_2: int
    redis_sentinel_3: int
    kube_state_metrics: int
    kube_state_metrics_telemetry: int
    alertmanager: int
    alert_sink: int
    node_exporter: int
    blackbox_exporter: int
    redis_exporter: int
    postgres_exporter: int


@dataclasses.dataclass(frozen=True)
class NodeSettings:
    """The node agent: the node's name, and the loopback network whose addresses its pods get."""

    name: str
    pod_network: str


@dataclasses.dataclass(frozen=True)
class GatewaySettings:
    """The gateway: its GatewayClass, and the seconds it waits before applying a change (as real ones do)."""

    gateway_class: str
    sync_delay_s: float


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where everything in this lab is."""

    state_dir: Path
    python: str
    repository: Path
    kubeconfig: Path
    ports: Ports
    node: NodeSettings
    gateway: GatewaySettings

    @property
    def log_dir(self) -> Path:
        """Folder of the parts' logs."""
        return self.state_dir / "log"

    @property
    def secrets_dir(self) -> Path:
        """Folder of the generated secrets, one per file, readable by the lab's owner alone."""
        return self.state_dir / "secrets"

    def component_kubeconfig(self, component: str) -> Path:
        """The kubeconfig of one component, by its name in pki.COMPONENTS."""
        return self.state_dir / "kubeconfigs" / f"{component}.kubeconfig"

    def secret(self, name: str) -> str:
        """The generated secret of that name. Raises SettingsError when it cannot be read."""
        path = self.secrets_dir / name
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"cannot read the lab secret {path}: {error.strerror}; run make lab-up") from error


def default_path() -> Path:
    """$CHURNGUARD_LAB_CONFIG, else .lab/lab.json under the current directory."""
    return Path(os.environ.get(CONFIG_ENVIRONMENT) or ".lab/lab.json")


def load(path: Path | str | None = None) -> Settings:
    """Read the settings from `path` (default: default_path()). Raises SettingsError."""
    source = Path(path) if path is not None else default_path()
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"there is no lab at {source}: bring it up with make lab-up") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read the lab's settings {source}: {error}") from error
    try:
        return parse(document)
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}; make lab-up writes it anew") from error


def parse(document: Any) -> Settings:
    """Settings from the parsed content of lab.json. Raises SettingsError naming what is missing or wrong."""
    document = _mapping(document, "lab.json")
    node = _mapping(_need(document, "node"), "node")
    gateway = _mapping(_need(document, "gateway"), "gateway")
    return Settings(
        state_dir=Path(_text(document, "state_dir")),
        python=_text(document, "python"),
        repository=Path(_text(document, "repository")),
        kubeconfig=Path(_text(document, "kubeconfig")),
        ports=_ports(_mapping(_need(document, "ports"), "ports")),
        node=NodeSettings(name=_text(node, "name"), pod_network=_text(node, "pod_network")),
        gateway=GatewaySettings(gateway_class=_text(gateway, "class"), sync_delay_s=_seconds(gateway, "sync_delay_s")),
    )


def _ports(values: Mapping[str, Any]) -> Ports:
    ports: dict[str, int] = {}
    for field in dataclasses.fields(Ports):
        value = _need(values, field.name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
            raise SettingsError(f"port {field.name} is {value!r}, not a number from 1 to 65535")
        ports[field.name] = value
    owners: dict[int, str] = {}
    for name, port in ports.items():
        if port in owners:
            raise SettingsError(f"ports {owners[port]} and {name} are both {port}")
        owners[port] = name
    return Ports(**ports)


def _need(values: Mapping[str, Any], key: str) -> Any:
    if key not in values:
        raise SettingsError(f"{key!r} is missing")
    return values[key]


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name} is {type(value).__name__}, not an object")
    return value


def _text(values: Mapping[str, Any], key: str) -> str:
    value = _need(values, key)
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{key!r} is {value!r}, not a text")
    return value


def _seconds(values: Mapping[str, Any], key: str) -> float:
    value = _need(values, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise SettingsError(f"{key!r} is {value!r}, not a number of seconds")
    return float(value)
