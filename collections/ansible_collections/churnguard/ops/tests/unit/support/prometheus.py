# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus that knows what a test tells it, behind real HTTP, and an application whose counters it can serve."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .clock import FakeClock
from .servers import Answer, Request, Server, free_port

Vector = Iterable[tuple[dict[str, str], float]]

NOW = 1700000000.0
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


class FakePrometheus:
    """Answers instant queries with what C(answer) says. Use it in a with statement.

    C(mode) is "up", or what every query gets instead: "503", "bad_data" (400, a syntax error), "execution" (422),
    "empty" (no series), "nan" or "inf" (the right series with that value). C(stop) and C(start) make it refuse
    connections and come back on the same port. C(queries) are those it was asked and C(times) the moments they were
    for, but for the question what time it is: that is always C(NOW).
    """

    def __init__(self, answer: Callable[[str], Vector]) -> None:
        self._answer = answer
        self._port = free_port()
        self._server: Server | None = None
        self.mode = "up"
        self.queries: list[str] = []
        self.times: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = Server(self._respond, self._port)
        self._server.__enter__()

    def stop(self) -> None:
        if self._server is not None:
            self._server.__exit__()
            self._server = None

    def __enter__(self) -> FakePrometheus:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _respond(self, request: Request) -> Answer:
        query = request.query["query"]
        if self.mode == "503":
            return Answer(503, "Service Unavailable")
        if query == "time()":
            return Answer(200, {"status": "success", "data": {"resultType": "scalar", "result": [NOW, str(NOW)]}})
        self.queries.append(query)
        self.times.append(request.query.get("time", ""))
        if self.mode == "bad_data":
            return refusal(400, "bad_data", 'invalid parameter "query": 1:5: parse error: unexpected end of input')
        if self.mode == "execution":
            return refusal(422, "execution", "found duplicate series for the match group")
        vector = [] if self.mode == "empty" else list(self._answer(query))
        if self.mode in ("nan", "inf"):
            vector = [(labels, float(self.mode)) for labels, _value in vector]
        return success(vector)


def success(vector: Vector) -> Answer:
    """What Prometheus answers with an instant vector."""
    result = [{"metric": labels, "value": [NOW, _text(value)]} for labels, value in vector]
    return Answer(200, {"status": "success", "data": {"resultType": "vector", "result": result}})


def refusal(status: int, kind: str, message: str) -> Answer:
    """What Prometheus answers to a query that it refuses."""
    return Answer(status, {"status": "error", "errorType": kind, "error": message})


def _text(value: float) -> str:
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(str(value), str(value))


@dataclass
class Counters:
    """The counters of one pod of churnguard-api."""

    requests: float = 0.0
    errors: float = 0.0
    predictions: float = 0.0
    buckets: list[float] = field(default_factory=lambda: [0.0] * (len(BOUNDS) + 1))


class Application:
    """The counters of churnguard-api in every slot and version, as the default metrics ask for them.

    C(answer) is for FakePrometheus. C(served) lets requests happen.
    """

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str, str], Counters] = {}

    def served(
        self,
        slot: str,
        version: str,
        requests: float,
        errors: float = 0.0,
        seconds: float = 0.03,
        predictions: float | None = None,
        pod: str = "1",
    ) -> None:
        """So many requests, all taking C(seconds); by default half of those that succeed give a prediction."""
        counters = self._counters.setdefault((slot, version, f"{slot}-{version}-{pod}"), Counters())
        counters.requests += requests
        counters.errors += errors
        counters.predictions += (requests - errors) / 2 if predictions is None else predictions
        counters.buckets[bisect_left(BOUNDS, seconds)] += requests

    def restart(self, slot: str, version: str, pod: str = "1") -> None:
        """The pod's process begins anew."""
        self._counters[slot, version, f"{slot}-{version}-{pod}"] = Counters()

    def gone(self, slot: str, version: str, pod: str = "1") -> None:
        """The pod's series end."""
        del self._counters[slot, version, f"{slot}-{version}-{pod}"]

    def answer(self, query: str) -> Vector:
        """The series that a query of the default metrics yields; whole numbers, as counters are."""
        wanted = dict(re.findall(r'(slot|version)="([^"]*)"', query))
        found: list[tuple[dict[str, str], float]] = []
        for (slot, version, pod), counters in self._counters.items():
            if (wanted.get("slot", slot), wanted.get("version", version)) == (slot, version):
                found += _series(query, pod, counters)
        return found


def _series(query: str, pod: str, counters: Counters) -> list[tuple[dict[str, str], float]]:
    if "_bucket" in query:
        bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
        sums = [float(int(sum(counters.buckets[: index + 1]))) for index in range(len(bounds))]
        return [({"pod": pod, "le": bound}, value) for bound, value in zip(bounds, sums, strict=True)]
    if "predictions" in query:
        return [({"pod": pod}, float(int(counters.predictions)))]
    if "status_code" in query:
        # A series is born with its first error.
        return [({"pod": pod}, float(int(counters.errors)))] if counters.errors >= 1 else []
    return [({"pod": pod}, float(int(counters.requests)))]


@dataclass
class Behaviour:
    """How a version answers: share of errors, seconds of each request, share of good answers with a prediction."""

    error_ratio: float = 0.0
    seconds: float = 0.03
    predictions: float = 0.5


class Traffic(Application):
    """An application under steady traffic, C(rate) requests a second, which passes as the clock does.

    C(split) tells the per cent of each slot, C(versions) which version is in it; C(behaviours) says how versions
    answer, well by default. Everything is served up to the moment of each query, without any chance in it.
    """

    def __init__(
        self,
        clock: FakeClock,
        split: Callable[[], dict[str, int]],
        versions: Callable[[], dict[str, str]],
        rate: float = 200.0,
        behaviours: dict[str, Behaviour] | None = None,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._split = split
        self._versions = versions
        self._then = clock.elapsed
        self.rate = rate
        self.behaviours: dict[str, Behaviour] = behaviours or {}

    def flow(self) -> None:
        """Serve what came in since the last call, by the present split; call it before the split changes."""
        seconds, self._then = self._clock.elapsed - self._then, self._clock.elapsed
        for slot, percent in self._split().items():
            version = self._versions().get(slot)
            if version is None or not percent or not seconds:
                continue
            how = self.behaviours.get(version, Behaviour())
            requests = self.rate * seconds * percent / 100
            errors = requests * how.error_ratio
            self.served(slot, version, requests, errors, how.seconds, (requests - errors) * how.predictions)

    def answer(self, query: str) -> Vector:
        self.flow()
        return super().answer(query)


def samples(results: Iterable[Any]) -> dict[str, Any]:
    """The results of a sample by the metric's name."""
    return {result.name: result for result in results}
