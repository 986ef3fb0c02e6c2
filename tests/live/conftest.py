"""Live tests: the real module against the lab's real API server, node and gateway."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
for folder in ("lab", "lab/app", "collections"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / folder))

from churnguard_lab import settings  # noqa: E402
from world import World  # noqa: E402


@pytest.fixture(scope="session")
def lab() -> settings.Settings:
    return settings.load()


@pytest.fixture
def world(lab: settings.Settings) -> Iterator[World]:
    made = World(lab)
    made.create()
    try:
        yield made
    finally:
        made.destroy()
