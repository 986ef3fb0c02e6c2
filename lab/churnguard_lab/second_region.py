"""The other region of the drill `region_loss`: a second lab with the same release, whose database follows the first.

    python -m churnguard_lab.second_region up --first .lab/lab.json --state-dir DIR --port-base 19000 \\
        --pod-network 127.0.48.0/20 --slot NAME
    python -m churnguard_lab.second_region down --state-dir DIR

`up` makes it anew: a copy of the first region's database that streams through the slot, a Kubernetes of its own, the
release that the first one serves, and the front door, an HAProxy before both gateways that sends all to the first.
Both regions archive into the first one's repository, as into a bucket that lies in neither. `down` ends and deletes all
of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from churnguard_lab import postgresql, processes, release_copy
from churnguard_lab import settings as lab_settings
from churnguard_lab.settings import LOOPBACK, MARKER_ENVIRONMENT, Settings

#: What a region needs to serve; metrics and the cloud lie outside of it.
PARTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "node",
    "gateway",
    "postgresql",
    "redis",
)
#: The copy has the first one's passwords in it; the sessions of its users stay valid.
SHARED_SECRETS = ("postgresql", "database", "pgbackrest", "jwt")
NODE_NAME = "lab-node-b"
MARKER = ".churnguard-second-region"
#: Ports of the front door, above the second lab's base.
DOOR, DOOR_ADMIN = 600, 601
HAPROXY = "/usr/sbin/haproxy"
COPY_TIMEOUT_S = 300
UP_TIMEOUT_S = 300
DOOR_TIMEOUT_S = 10
FRONT_DOOR = """global
  stats socket ipv4@{host}:{admin} level admin
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  retries 0
frontend door
  bind {host}:{door}
  default_backend region
backend region
  http-response set-header X-ChurnGuard-Region %[srv_name]
  server a {host}:{first}
  server b {host}:{second} disabled
"""


class RegionError(Exception):
    """The second region cannot be made; the message says why."""


def up(first: Settings, folder: Path, port_base: int, network: str, slot: str, namespace: str) -> dict[str, Any]:
    """Make the region anew; its ports. Raises RegionError, and what the lab's own programs raise."""
    down(folder)
    folder.mkdir(mode=0o755, parents=True)
    (folder / MARKER).touch()
    _share(first, folder)
    _copy_database(first, folder, slot)
    _bring_up(first, folder, port_base, network, namespace)
    second = lab_settings.load(folder / "lab.json")
    release_copy.copy(first, second, namespace)
    door = port_base + DOOR
    _open_front_door(first, second, door, port_base + DOOR_ADMIN)
    return {"changed": True, "door": door, "gateway": second.ports.gateway, "postgresql": second.ports.postgresql}


def down(folder: Path) -> bool:
    """End every process of the region and delete what it made; whether there was any of it. Raises RegionError."""
    # Nobody needs what it holds, so nothing has to end in order.
    ended = processes.end_all(folder, grace_s=0)
    purged = postgresql.purge(folder)
    if not folder.exists():
        return bool(ended or purged)
    if not (folder / MARKER).exists() and any(folder.iterdir()):
        raise RegionError(f"{folder} holds no {MARKER}: it is somebody else's, and is not deleted")
    shutil.rmtree(folder)
    return True


def _share(first: Settings, folder: Path) -> None:
    """What both regions have to have in common: passwords, and the images."""
    (folder / "secrets").mkdir(mode=0o700)
    for name in SHARED_SECRETS:
        shutil.copy2(first.secrets_dir / name, folder / "secrets" / name)
    shutil.copytree(first.state_dir / "images", folder / "images")


def _copy_database(first: Settings, folder: Path, slot: str) -> None:
    """A standby of the first region's database, in the place where the lab keeps its cluster."""
    account = postgresql.system_account()
    home = postgresql.prepare_home(folder, account)
    passwords = home / "replication.pgpass"
    descriptor = os.open(passwords, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(f"*:*:*:{postgresql.SYSTEM_USER}:{first.secret('postgresql')}\n")
    if account:
        os.chown(passwords, account.pw_uid, account.pw_gid)
    source = (
        f"host={LOOPBACK} port={first.ports.postgresql} user={postgresql.SYSTEM_USER} passfile={passwords} "
        f"application_name={slot}"
    )
    command = ["pg_basebackup", f"--dbname={source}", f"--pgdata={home / 'data'}", f"--slot={slot}"]
    command += ["--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", "--no-sync"]
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    _run(command, "copy the first region's database", COPY_TIMEOUT_S, cwd=home, **identity)


def _bring_up(first: Settings, folder: Path, port_base: int, network: str, namespace: str) -> None:
    variables = {
        "lab_port_base": port_base,
        "lab_pod_network": network,
        "lab_node_name": NODE_NAME,
        "lab_parts": list(PARTS),
        "lab_application_namespaces": [namespace],
        "pgbackrest_repository": str((first.state_dir / "postgresql").resolve() / "pgbackrest"),
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventories/lab"]
    command += ["playbooks/lab_up.yml", "-e", json.dumps(variables)]
    environment = {**os.environ, "CHURNGUARD_LAB_DIR": str(folder), "LC_ALL": "C.UTF-8"}
    _run(command, "bring up the second lab", UP_TIMEOUT_S, cwd=first.repository, env=environment)


def _open_front_door(first: Settings, second: Settings, door: int, admin: int) -> None:
    """The HAProxy before both regions. It carries the second lab's mark, and so ends with it."""
    configuration = second.state_dir / "front-door.cfg"
    ports = {"door": door, "admin": admin, "first": first.ports.gateway, "second": second.ports.gateway}
    configuration.write_text(FRONT_DOOR.format(host=LOOPBACK, **ports), encoding="utf-8")
    with (second.log_dir / "front-door.log").open("ab") as log:
        process = subprocess.Popen(
            [HAPROXY, "-db", "-f", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ.get("PATH", os.defpath), MARKER_ENVIRONMENT: str(second.state_dir)},
            start_new_session=True,
        )
    give_up = time.monotonic() + DOOR_TIMEOUT_S
    while not _listening(door):
        if process.poll() is not None or time.monotonic() > give_up:
            said = (second.log_dir / "front-door.log").read_text(encoding="utf-8", errors="replace")
            raise RegionError(f"the front door does not open: {said[-1000:].strip()}")
        time.sleep(0.05)


def _listening(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _run(command: list[str], attempted: str, timeout_s: float, **options: Any) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            **options,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegionError(f"cannot {attempted}: {error}") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise RegionError(f"cannot {attempted} ({done.returncode}): {said[-2000:]}")


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.second_region", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--first", type=Path, help="the first region's lab.json")
    parser.add_argument("--port-base", type=int)
    parser.add_argument("--pod-network")
    parser.add_argument("--slot")
    parser.add_argument("--namespace", default="churnguard-lab")
    options = parser.parse_args()
    folder = options.state_dir.resolve()
    try:
        if options.command == "down":
            print(json.dumps({"changed": down(folder)}))
            return 0
        if None in (options.first, options.port_base, options.pod_network, options.slot):
            parser.error("up needs --first, --port-base, --pod-network and --slot")
        first = lab_settings.load(options.first)
        print(json.dumps(up(first, folder, options.port_base, options.pod_network, options.slot, options.namespace)))
    except (
        RegionError,
        release_copy.CopyError,
        postgresql.ClusterError,
        lab_settings.SettingsError,
        OSError,
        RuntimeError,
    ) as error:
        print(f"the second region: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
