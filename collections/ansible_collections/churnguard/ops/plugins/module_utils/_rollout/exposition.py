# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics about a rollout for Prometheus: a file for node_exporter's textfile collector, and a Pushgateway. What they
say is computed without I/O; getting them out never keeps a rollout waiting and never ends it. Internal: may change in
any release."""

from __future__ import annotations

import base64
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .._common import http
from .._common.background import Courier, check_url
from .._common.clock import Clock, parse_time
from .._common.envelope import FAILED, PASSED, Recorder
from .._common.errors import OperationError
from .figures import gate_state

STATES = ("running", "frozen", "waiting", "paused", "rolling_back", "passed", "rolled_back", "aborted", "failed")
VERDICTS = ("good", "bad", "unknown")
JOB = "churnguard_rollout"

# A judge may be given any number of metrics; what is exported stays bounded.
_MOST_METRICS = 20
_QUIET_SECONDS = 15.0
_FINISH_SECONDS = 5.0
_STATE_OF = {
    "planned": "running",
    "weights": "running",
    "frozen": "frozen",
    "rollback_started": "rolling_back",
    "rolled_back": "rolled_back",
    "completed": "passed",
}
_COMMANDS = {"pause": "paused", "resume": "running", "promote": "running", "retry": "running"}


def options() -> dict[str, Any]:
    """Argument spec of O(metrics_export), documented in the fragment churnguard.ops.metrics_export."""
    return {
        "type": "dict",
        "options": {
            "textfile": {"type": "path"},
            "pushgateway_url": {"type": "str"},
            "pushgateway_username": {"type": "str"},
            "pushgateway_password": {"type": "str", "no_log": True},
            "timeout": {"type": "float", "default": 5.0},
            "validate_certs": {"type": "bool", "default": True},
        },
        "required_one_of": [("textfile", "pushgateway_url")],
        "required_together": [("pushgateway_username", "pushgateway_password")],
    }


# -- what they say: no I/O -----------------------------------------------------------------------------------------


@dataclass
class Picture:
    """The rollout as its events have told it so far. Times are Unix seconds, weights per cent."""

    app: str = ""
    namespace: str = ""
    version: str = ""
    previous_version: str = ""
    strategy: str = ""
    state: str = "running"
    begun: bool = False
    started: float = 0.0
    now: float = 0.0
    ended: bool = False
    weights: dict[str, float] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    values: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)

    def hear(self, entry: Mapping[str, Any], subject: Mapping[str, Any]) -> bool:
        """Take C(entry) in; whether it is worth telling."""
        self._name(subject)
        self.now = parse_time(str(entry["at"])).timestamp()
        self.started = self.started or self.now
        event, data = str(entry["event"]), entry.get("data") or {}
        self.begun = self.begun or event == "planned"
        if event == "progress":
            return False
        state = self._state(event, data)
        if state:
            self.state = state
            self.ended = event in ("rolled_back", "completed")
        if event == "weights":
            self.weights = {str(slot): float(share) for slot, share in (data.get("weights") or {}).items()}
        elif event == "sample":
            self._sample(data)
        return True

    def end(self, verdict: str, now: float) -> None:
        """The run is over with C(verdict)."""
        self.state, self.now, self.ended = verdict, now, True

    def _name(self, subject: Mapping[str, Any]) -> None:
        for key in ("app", "namespace", "version", "previous_version", "strategy"):
            if subject.get(key):
                setattr(self, key, str(subject[key]))

    def _state(self, event: str, data: Mapping[str, Any]) -> str:
        if event == "sample" and self.state == "frozen" and data.get("verdict") == "good":
            return "running"
        if event == "gate":
            return "waiting" if gate_state(data) == "waiting" else "running"
        if event == "control":
            return _COMMANDS.get(str(data.get("command")), "")
        if event == "weights" and self.state == "rolling_back":
            return ""
        return _STATE_OF.get(event, "")

    def _sample(self, data: Mapping[str, Any]) -> None:
        verdict = str(data.get("verdict"))
        self.samples[verdict if verdict in VERDICTS else "unknown"] += 1
        results = [item for item in data.get("results") or [] if isinstance(item, Mapping)][:_MOST_METRICS]
        named = {str(item.get("name", "metric")): item for item in results}
        self.values = {name: _number(item.get("value")) for name, item in named.items()}
        self.limits = {name: _number(item["limit"]) for name, item in named.items() if item.get("limit") is not None}


def families(picture: Picture) -> Iterator[Any]:
    """The metric families of prometheus_client that C(picture) makes."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    names, base = ["app", "namespace"], [picture.app, picture.namespace]

    def gauge(name: str, text: str, rows: list[tuple[list[str], float]], *labels: str) -> Any:
        family = GaugeMetricFamily(f"churnguard_rollout_{name}", text, labels=[*names, *labels])
        for values, value in rows:
            family.add_metric([*base, *values], value)
        return family

    yield gauge(
        "info",
        "Which version is rolled out, and which one it replaces.",
        [([picture.version, picture.previous_version, picture.strategy], 1)],
        "version", "previous_version", "strategy",
    )  # fmt: skip
    states = [([state], float(state == picture.state)) for state in STATES]
    yield gauge("state", "1 for the state that the rollout is in, or ended in.", states, "state")
    weights = [([slot], weight) for slot, weight in sorted(picture.weights.items())]
    yield gauge("weight", "Share of the traffic that the slot was given, in per cent.", weights, "slot")
    samples = CounterMetricFamily(
        "churnguard_rollout_samples", "Samples of this rollout by the judge's verdict.", labels=[*names, "verdict"]
    )
    for verdict in VERDICTS:
        samples.add_metric([*base, verdict], picture.samples[verdict])
    yield samples
    values = [([name], value) for name, value in picture.values.items()]
    yield gauge("judged_value", "Value of each of the judge's metrics in the last sample.", values, "metric")
    limits = [([name], value) for name, value in picture.limits.items()]
    yield gauge("judged_limit", "Limit of each of the judge's metrics in the last sample.", limits, "metric")
    duration = [([], max(0.0, picture.now - picture.started))]
    yield gauge("duration_seconds", "Seconds from the start to the last thing that happened.", duration)
    yield gauge("start_timestamp_seconds", "When the rollout started.", [([], picture.started)])
    if picture.ended:
        last = [([picture.state], picture.now)]
        yield gauge("last_result_timestamp_seconds", "When the rollout ended, by its verdict.", last, "verdict")


def render(picture: Picture) -> bytes:
    """C(picture) in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Given(list(families(picture))))
    return generate_latest(registry)


def push_path(app: str, namespace: str) -> str:
    """Path of a Pushgateway group. Values go in base64 where they are not plain
    (https://github.com/prometheus/pushgateway#url)."""
    parts = [f"/metrics/job/{JOB}"]
    for label, value in (("app", app), ("namespace", namespace)):
        if value and "/" not in value:
            parts.append(f"/{label}/{quote(value, safe='')}")
        else:
            parts.append(f"/{label}@base64/{base64.urlsafe_b64encode(value.encode()).decode() or '='}")
    return "".join(parts)


class _Given:
    """A collector of families that are there already."""

    def __init__(self, given: list[Any]) -> None:
        self._given = given

    def collect(self) -> list[Any]:
        return self._given


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


# -- getting them out ----------------------------------------------------------------------------------------------


def start(given: Mapping[str, Any] | None, recorder: Recorder, clock: Clock) -> Exporter | None:
    """Begin to export what C(recorder) records, as O(metrics_export) asks; None when it does not.

    Raises OperationError when prometheus_client is missing or the Pushgateway's address is none.
    """
    if not given:
        return None
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise OperationError(
            "export metrics about the rollout",
            f"the Python package prometheus_client is missing where the module runs ({error}).",
            "install it there, or leave metrics_export out.",
        ) from error
    if given.get("pushgateway_url"):
        check_url(given["pushgateway_url"], "metrics_export.pushgateway_url")
    exporter = Exporter(given, recorder, clock)
    recorder.listen(exporter)
    return exporter


class Exporter:
    """A listener of the recorder. Call finish at the end of the run."""

    def __init__(self, given: Mapping[str, Any], recorder: Recorder, clock: Clock) -> None:
        self._textfile = str(given.get("textfile") or "")
        self._url = str(given.get("pushgateway_url") or "").rstrip("/")
        self._timeout = float(given.get("timeout") or 5.0)
        self._send = {
            "validate_certs": bool(given.get("validate_certs", True)),
            "url_username": given.get("pushgateway_username"),
            "url_password": given.get("pushgateway_password"),
            "force_basic_auth": bool(given.get("pushgateway_username")),
        }
        self._recorder = recorder
        self._clock = clock
        self._picture = Picture()
        self._told = -math.inf
        # Only the newest picture counts: who is slow skips some.
        self._courier: Courier[tuple[str, bytes]] = Courier(self._deliver, room=1, newest=True)

    def __call__(self, entry: Mapping[str, Any]) -> None:
        worth = self._picture.hear(entry, self._recorder.subject)
        if worth or self._clock.monotonic() - self._told >= _QUIET_SECONDS:
            self._tell()

    def finish(self, verdict: str) -> None:
        """Tell the end, wait for a moment, and record in the envelope whether it could be told."""
        self._picture.end(verdict, self._clock.now().timestamp())
        self._tell()
        came = self._courier.finish(_FINISH_SECONDS)
        if not came["given"]:
            return
        why = f"could not be delivered: the file or Pushgateway {'; '.join(came['errors'])}" if came["errors"] else ""
        self._recorder.measure("metrics_export", came["delivered"], "pushes", None, FAILED if why else PASSED, why)

    def _tell(self) -> None:
        # A run that finds nothing to do has nothing to say: what the last rollout said stays.
        if not self._picture.begun:
            return
        self._told = self._clock.monotonic()
        self._courier.give((push_path(self._picture.app, self._picture.namespace), render(self._picture)))

    def _deliver(self, item: tuple[str, bytes]) -> None:
        path, text = item
        if self._textfile:
            write_whole(Path(self._textfile), text)
        if self._url:
            self._push(path, text)

    def _push(self, path: str, text: bytes) -> None:
        # PUT: what the group held before goes, as the series of a version that is no longer rolled out must.
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        options = {"data": text, "headers": headers, "timeout": self._timeout, "follow_redirects": "none"}
        with http.send("PUT", self._url + path, **self._send, **options) as answer:
            answer.read(1024)


def write_whole(path: Path, text: bytes) -> None:
    """Write a file that its reader sees whole or not at all: in the same folder, then renamed. Anyone may read it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
