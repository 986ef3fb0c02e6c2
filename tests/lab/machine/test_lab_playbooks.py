"""lab_up and lab_down with a second, smaller lab on ports of its own."""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
import pytest
from churnguard_lab import postgresql, processes, settings
from kubernetes import client, config

# The executables must be there already, which they are once the lab has been brought up.
pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[3]
PARTS = ["etcd", "kube-apiserver", "prometheus", "postgresql", "redis"]


@functools.cache
def port_base() -> int:
    """A thousand ports that nobody listens on, below those that the kernel gives to outgoing connections."""
    taken = {found.laddr.port for found in psutil.net_connections("tcp") if found.status == psutil.CONN_LISTEN}
    return next(base for base in range(26000, 32000, 1000) if not taken & set(range(base, base + 1000)))


@dataclass(frozen=True)
class Run:
    """An ended ansible-playbook."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        found = re.search(r"changed=(\d+)", self.output)
        assert found, self.output
        return int(found.group(1))

    @property
    def text(self) -> str:
        """The output with line breaks, indents and YAML's quotes folded."""
        return " ".join(self.output.replace("''", "'").split())


@dataclass(frozen=True)
class SecondLab:
    """A lab beside the one that is up, below a folder that only its owner may enter."""

    state_dir: Path

    def playbook(self, name: str, **variables: object) -> Run:
        given = {"lab_port_base": port_base(), "lab_parts": PARTS, "lab_application_namespaces": ["shop"], **variables}
        command = [Path(sys.executable).parent / "ansible-playbook", ROOT / "playbooks" / f"{name}.yml"]
        ended = subprocess.run(
            [*command, "-i", ROOT / "inventories" / "lab", "-e", json.dumps(given)],
            cwd=ROOT,
            env=os.environ
            | {
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "CHURNGUARD_LAB_DIR": str(self.state_dir),
                "LC_ALL": "C.UTF-8",
                "NO_COLOR": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return Run(ended.returncode, ended.stdout)

    def good(self, name: str, **variables: object) -> Run:
        run = self.playbook(name, **variables)
        assert run.code == 0, run.output
        return run


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondLab]:
    folder = tmp_path_factory.mktemp("second")
    folder.chmod(0o700)
    made = SecondLab(folder / "lab")
    made.good("lab_up")
    yield made
    processes.end_all(made.state_dir)
    postgresql.purge(made.state_dir)


def test_second_up_changes_nothing(lab: SecondLab) -> None:
    before = {process.pid for process in processes.of_lab(lab.state_dir)}
    assert lab.good("lab_up").changed == 0
    assert before <= {process.pid for process in processes.of_lab(lab.state_dir)}


def test_application_s_secret_is_in_its_namespace(lab: SecondLab) -> None:
    found = settings.load(lab.state_dir / "lab.json")
    api = client.CoreV1Api(config.new_client_from_config(str(found.kubeconfig)))
    data = api.read_namespaced_secret("churnguard-secrets", "shop").data
    assert set(data) == {"database-url", "redis-url", "jwt-secret"}
    labels = api.read_namespace("shop").metadata.labels
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with psycopg2.connect(b64decode(data["database-url"]).decode()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM customers")
        assert cursor.fetchone()[0] == 5000


def test_part_that_does_not_start_is_named_with_its_log(lab: SecondLab) -> None:
    run = lab.playbook("lab_up", lab_metrics_retention="nonsense")
    assert run.code != 0
    assert "prometheus ended (FATAL" in run.text
    assert 'not a valid duration string: "nonsense"' in run.text


def test_down_leaves_no_process_and_purge_no_data(lab: SecondLab) -> None:
    assert lab.good("lab_down").changed > 0
    assert processes.of_lab(lab.state_dir) == []
    assert (lab.state_dir / "data" / "etcd").is_dir()

    lab.good("lab_down", lab_purge=True)
    assert not lab.state_dir.exists()
    assert not postgresql.fallback_home(lab.state_dir).exists()
    assert lab.good("lab_down", lab_purge=True).changed == 0


def test_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    lab = SecondLab(tmp_path / "lab")
    with socket.create_server(("127.0.0.1", port_base() + 379)):
        run = lab.playbook("lab_up")
    assert run.code != 0
    assert f"port {port_base() + 379} (redis, needed by redis) is taken by process {os.getpid()}" in run.text
    assert processes.of_lab(lab.state_dir) == []
    assert not (lab.state_dir / "pki").exists()


def test_wrong_setting_is_named(tmp_path: Path) -> None:
    run = SecondLab(tmp_path / "lab").playbook("lab_up", lab_parts=["etcd", "mysql"])
    assert run.code != 0
    assert "value of lab_parts must be one or more of" in run.text
    assert "mysql" in run.text


def test_purge_leaves_a_folder_alone_that_is_no_lab(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    SecondLab(tmp_path).good("lab_down", lab_purge=True)
    assert (tmp_path / "precious").exists()


def test_check_mode_says_that_it_shows_nothing(tmp_path: Path) -> None:
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", ROOT / "inventories" / "lab", "--check"]
    ended = subprocess.run(
        [*command, ROOT / "playbooks" / "lab_up.yml"],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "CHURNGUARD_LAB_DIR": str(tmp_path / "lab")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Check mode ends here" in ended.stdout
    assert not (tmp_path / "lab").exists()
