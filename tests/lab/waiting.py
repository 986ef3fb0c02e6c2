"""Waiting for what happens in other processes: asked again and again until a deadline that a busy machine keeps too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest


def until(what: str, check: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer of `check`; fails with what was awaited and the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}; last answer: {answer!r}")
        time.sleep(0.05)
