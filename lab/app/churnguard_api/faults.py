"""Faults that a version can be built with. They travel in one environment variable, as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Callable

ENVIRONMENT = "CHURNGUARD_FAULTS"
#: No fault may hold a request or a shutdown longer than this many seconds.
LONGEST_S = 600.0


class FaultError(ValueError):
    """A fault setting is unknown or out of its range; the message names it."""


@dataclasses.dataclass(frozen=True)
class Faults:
    """What is wrong with this version; the default is nothing.

    error_ratio: share (0..1) of API requests answered with an injected 500.
    latency_s: seconds added to every API request.
    never_ready: /ready always answers 503.
    crash_after_s: the process ends with an error that many seconds after its start.
    slow_shutdown_s: seconds the process stays after everything is drained at SIGTERM.
    """

    error_ratio: float = 0.0
    latency_s: float = 0.0
    never_ready: bool = False
    crash_after_s: float | None = None
    slow_shutdown_s: float = 0.0

    def __post_init__(self) -> None:
        _check("error_ratio", self.error_ratio, 1.0)
        _check("latency_s", self.latency_s, LONGEST_S)
        _check("slow_shutdown_s", self.slow_shutdown_s, LONGEST_S)
        if self.crash_after_s is not None:
            _check("crash_after_s", self.crash_after_s, LONGEST_S)
        if not isinstance(self.never_ready, bool):
            raise FaultError(f"fault never_ready is {self.never_ready!r}, not true or false")

    def settings(self) -> dict[str, object]:
        """Only the settings that differ from a healthy version."""
        healthy = dataclasses.asdict(Faults())
        return {name: value for name, value in dataclasses.asdict(self).items() if value != healthy[name]}

    def to_json(self) -> str:
        """The value of CHURNGUARD_FAULTS."""
        return json.dumps(self.settings(), sort_keys=True)

    def injects_error(self, draw: Callable[[], float] = random.random) -> bool:
        """Whether this request is to fail; `draw` gives a number from 0 (included) to 1 (excluded)."""
        return self.error_ratio > 0 and draw() < self.error_ratio


def parse(text: str | None) -> Faults:
    """Faults from the value of CHURNGUARD_FAULTS; nothing or an empty text is a healthy version. Raises FaultError."""
    if not text:
        return Faults()
    try:
        values = json.loads(text)
    except ValueError as error:
        raise FaultError(f"{ENVIRONMENT} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise FaultError(f"{ENVIRONMENT} is {type(values).__name__}, not an object")
    known = {field.name for field in dataclasses.fields(Faults)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise FaultError(f"{ENVIRONMENT} names unknown faults {unknown}; known are {sorted(known)}")
    return Faults(**values)


def _check(name: str, value: object, highest: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FaultError(f"fault {name} is {value!r}, not a number")
    if not 0 <= value <= highest:
        raise FaultError(f"fault {name} is {value}, not between 0 and {highest:g}")
