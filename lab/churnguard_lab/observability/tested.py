"""What the benchmark takes from the tests: the rules with their cases as files, and how they are read."""

from __future__ import annotations

import sys

from churnguard_lab import journey

for _folder in ("collections", "tests/monitoring"):
    sys.path.append(str(journey.REPOSITORY / _folder))

import rulebook  # noqa: E402
from rulebook import Book  # noqa: E402

__all__ = ["Book", "rulebook"]
