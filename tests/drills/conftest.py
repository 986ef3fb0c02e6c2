"""Drills on real parts, each in a process of its own that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
for folder in ("lab", "collections"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / folder))

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._drill import cleanup, journal, processes  # noqa: E402
from churnguard_lab.cluster import Cluster  # noqa: E402
from drilling import free_ports  # noqa: E402
from stage import stage  # noqa: E402


@dataclass
class Toy:
    """The toy drill's places, and what is left in them."""

    drills_dir: Path
    work: Path

    def options(self, **more: Any) -> dict[str, Any]:
        return {"drills_dir": str(self.drills_dir), "work": str(self.work), **more}

    def start(self, **more: Any) -> subprocess.Popen[str]:
        driver = Path(__file__).with_name("driver.py")
        command = [sys.executable, str(driver), json.dumps(self.options(**more))]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, **more: Any) -> dict[str, Any]:
        process = self.start(**more)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return json.loads(output)

    @property
    def folders(self) -> list[Path]:
        return list(journal.drills(self.drills_dir))

    def left(self) -> list[str]:
        """Everything of any drill that is still there: folders and processes."""
        found = [str(path) for path in self.work.iterdir()]
        for folder in self.folders:
            for service in ("service", "spare"):
                found += [process.words() for process in processes.marked(f"{folder.name}/{service}")]
        return found

    def clean(self) -> list[cleanup.Cleaned]:
        return [cleanup.finish(folder, Clock(), {}, lambda text: None) for folder in self.folders]


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., Toy]:
    """Makes a toy drill's places; several where a test needs them."""

    def make(name: str = "one") -> Toy:
        places = Toy(tmp_path / name / "drills", tmp_path / name / "work")
        places.drills_dir.mkdir(parents=True)
        places.work.mkdir()
        return places

    return make


@pytest.fixture(scope="module")
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture(scope="module")
def source(tmp_path_factory, ports) -> Iterator[Cluster]:
    """One database for all tests of a module; each leaves it running and whole."""
    with stage(tmp_path_factory.mktemp("database_loss"), ports[0]) as cluster:
        yield cluster


@pytest.fixture
def scratch(ports) -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach; at the end there is nothing in it."""
    folder = Path("/var/tmp") / f"drill-{ports[1]}"
    folder.mkdir()
    yield folder
    folder.rmdir()
