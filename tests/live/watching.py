"""What the tests of control and watchdog share: rollouts that wait to be told, and the watchdog's own parts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from processes import ModuleProcess
from world import APP, Result, World, until

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
WATCHDOG = f"{APP}-watchdog"
#: Short enough for a test, long enough for a noisy machine to renew in time.
LEASE_SECONDS = 8


def steady(world: World) -> dict[str, Any]:
    """An analysis whose only metric is always good, so that nothing but people and time moves the rollout."""
    metric = {"name": "constant", "kind": "value", "query": "vector(1)", "direction": "increase", "limit": 2.0}
    return {
        "prometheus_url": f"http://127.0.0.1:{world.lab.ports.prometheus}",
        "interval": 1,
        "max_hold": 60,
        "metrics": [metric],
    }


def canary(world: World, version: str = "v2", hold: int = 120, **overrides: Any) -> dict[str, Any]:
    """Arguments of a canary over 50 and 100 per cent that holds each long enough to be told something."""
    given = {
        "strategy": "canary",
        "canary": {"weights": [50, 100], "hold": hold, "share_requests": 20},
        "analysis": steady(world),
        "lease_duration": LEASE_SECONDS,
        **overrides,
    }
    return world.arguments(version, **given)


def reach(world: World, step: str, weight: int | None = None, seconds: float = 60) -> dict[str, Any]:
    """Wait until the rollout in flight is in C(step), at that weight if one is given; what rollout_info says then."""
    seen: dict[str, Any] = {}

    def there() -> bool:
        seen.update(world.info())
        current = seen["current"] or {}
        return bool(
            seen["unfinished"]
            and current["step"] == step
            and (weight is None or current["steps"][current["step_number"] - 1]["args"].get("weight") == weight)
        )

    until(there, seconds, f"the rollout is in {step} {weight or ''}")
    return seen


def ask(world: World, command: str, **options: Any) -> Result:
    """rollout_control, as AWX would call it."""
    given = {**connection(world), "name": APP, "command": command, "by": "kim", **options}
    return world.run({key: value for key, value in given.items() if value is not None}, "rollout_control")


def watch(world: World, check: bool = False, **options: Any) -> Result:
    """rollout_watchdog with a short patience, and with probes."""
    given = {
        **connection(world),
        "name": APP,
        "orphaned_after": 2,
        "interval": 1,
        "ready_timeout": 30,
        "confirm_timeout": 20,
        "confirm_requests": 5,
        "endpoint": world.arguments()["endpoint"],
        "drain": {"quiet_period": 1, "timeout": 30},
        "lease_duration": LEASE_SECONDS,
        **options,
    }
    return world.run({key: value for key, value in given.items() if value is not None}, "rollout_watchdog", check)


def connection(world: World) -> dict[str, str]:
    return {"namespace": world.namespace, "kubeconfig": str(world.lab.kubeconfig)}


def of_this(world: World, tmp_path: Path, **variables: Any) -> dict[str, Any]:
    """Variables that turn the playbooks to the test's application, with reports of their own."""
    return {
        "app_release_name": APP,
        "app_release_namespace": world.namespace,
        "app_release_router": {"kind": "HTTPRoute", "name": APP},
        "app_release_endpoint_headers": {"Host": world.host},
        "report_root": str(tmp_path / "reports"),
        **variables,
    }


def kill(process: ModuleProcess) -> float:
    """End the controller with SIGKILL; when that was (time.monotonic)."""
    process.kill()
    process.communicate(timeout=30)
    return time.monotonic()


def install_watchdog(world: World, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """playbooks/watchdog_install.yml for the test's application."""
    given = {
        "app_release_name": APP,
        "app_release_namespace": world.namespace,
        "app_release_router": {"kind": "HTTPRoute", "name": APP},
        "app_release_watchdog_image": f"{world.namespace}/watchdog:1",
        "app_release_watchdog_orphaned_after": 2,
        "app_release_watchdog_seconds": 45,
        "app_release_watchdog_interval": 1,
        "app_release_lease_duration": LEASE_SECONDS,
        "app_release_confirm_requests": 5,
        "app_release_drain_quiet_period": 1,
        "app_release_endpoint_headers": {"Host": world.host},
        **variables,
    }
    return playbook("watchdog_install", given, *options)


def playbook(name: str, variables: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """A playbook of the repository, with the lab's inventory and variables over it."""
    return subprocess.run(
        [BIN / "ansible-playbook", "-i", ROOT / "inventories" / "lab", ROOT / "playbooks" / f"{name}.yml"]
        + ["-e", json.dumps(variables), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    )


def token_of(world: World, account: str, seconds: int = 600) -> str:
    """A token of a service account, as the kubelet would project it."""
    request = {"spec": {"audiences": None, "expirationSeconds": seconds}}
    made = world.core.create_namespaced_service_account_token(account, world.namespace, request)
    return str(made.status.token)


def server(world: World) -> dict[str, str]:
    """Address and certificate authority of the lab's API server, for who has only a token."""
    address = f"https://127.0.0.1:{world.lab.ports.kube_apiserver}"
    return {"host": address, "ca_cert": str(world.core.api_client.configuration.ssl_ca_cert)}
