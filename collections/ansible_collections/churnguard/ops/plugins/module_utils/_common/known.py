"""What an earlier step has found out, for steps that come after it."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def known(value: T | None, what: str) -> T:
    """The value, which the program's own order of steps has set. Raises RuntimeError when it has not: a defect."""
    if value is None:
        raise RuntimeError(f"{what} is not known yet: a step was left out")
    return value
