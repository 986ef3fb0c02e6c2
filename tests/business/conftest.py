"""A real Prometheus over two recorded days of a business, for the tests beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [
    str(folder) for folder in (HERE, HERE.parent / "performance", ROOT / "collections", HERE.parent / "lab")
]

import days  # noqa: E402
import recorded  # noqa: E402


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[recorded.Prometheus]:
    """The server with the days."""
    folder = tmp_path_factory.mktemp("market")
    recorded.record(folder, days.families())
    with recorded.Prometheus(folder) as running:
        yield running
