"""What the static tests share: the repository's root and the files that belong to it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Every file that git would commit, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file())


@pytest.fixture(scope="session")
def collection() -> Path:
    """The collection's folder."""
    return ROOT / "collections" / "ansible_collections" / "churnguard" / "ops"
