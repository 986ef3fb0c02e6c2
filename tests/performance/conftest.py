"""A real Prometheus over two recorded days, as promtool writes them, for the tests beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / "collections"), str(ROOT / "tests" / "lab")]

import recorded  # noqa: E402


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the recorded days."""
    folder = tmp_path_factory.mktemp("tsdb")
    recorded.record(folder)
    return folder


@pytest.fixture(scope="session")
def prometheus(database: Path) -> Iterator[recorded.Prometheus]:
    """The server; a test that stops it starts it again."""
    with recorded.Prometheus(database) as running:
        yield running
