"""Makes the helpers importable for the tests beside them, and renders the rules once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in ("lab", "collections", "tests/monitoring"):
    sys.path.insert(0, str(ROOT / folder))


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory):
    """The rules with the default thresholds, and their cases beside them."""
    import rulebook

    return rulebook.Book.render(tmp_path_factory.mktemp("monitoring"))
