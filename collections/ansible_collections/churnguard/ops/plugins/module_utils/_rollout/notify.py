# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications to a Slack-compatible webhook. What is told is decided without I/O; sending never keeps a rollout
waiting and never ends it. Internal: may change in any release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._common import http
from .._common.background import Courier, check_url
from .._common.clock import parse_time
from .._common.envelope import FAILED, PASSED, Recorder
from .._common.errors import OperationError
from .figures import by_urgency, comparison, gate_state

STARTED = "started"
STEP = "step"
FROZEN = "frozen"
GATE = "gate"
CONTROL = "control"
ROLLING_BACK = "rolling_back"
ROLLED_BACK = "rolled_back"
COMPLETED = "completed"
KIND_FAILED = "failed"
KINDS = (STARTED, STEP, FROZEN, GATE, CONTROL, ROLLING_BACK, ROLLED_BACK, COMPLETED, KIND_FAILED)
DEFAULT_KINDS = (STARTED, FROZEN, GATE, CONTROL, ROLLING_BACK, ROLLED_BACK, COMPLETED, KIND_FAILED)

_KIND_OF = {
    "planned": STARTED,
    "weights": STEP,
    "frozen": FROZEN,
    "gate": GATE,
    "control": CONTROL,
    "rollback_started": ROLLING_BACK,
    "rolled_back": ROLLED_BACK,
    "completed": COMPLETED,
}
# Word and colour; the colours are Slack's own names, and a hexadecimal one.
_LOOKS = {
    STARTED: ("started", "#3671b0"),
    STEP: ("traffic moved", "#3671b0"),
    FROZEN: ("frozen", "warning"),
    GATE: ("gate", "warning"),
    CONTROL: ("command", "#3671b0"),
    ROLLING_BACK: ("is being taken back", "danger"),
    ROLLED_BACK: ("taken back", "warning"),
    COMPLETED: ("is live", "good"),
    KIND_FAILED: ("stopped half-way", "danger"),
}
# A message is read on a phone; the whole text is in the envelope.
_MOST_TEXT = 1500
_MOST_FIELDS = 6
_RETRY_SECONDS = 1.0


def options() -> dict[str, Any]:
    """Argument spec of O(notifications), documented in the fragment churnguard.ops.notifications."""
    return {
        "type": "dict",
        "options": {
            "webhook_url": {"type": "str", "no_log": True},
            "events": {"type": "list", "elements": "str", "choices": list(KINDS), "default": list(DEFAULT_KINDS)},
            "channel": {"type": "str"},
            "sink": {"type": "path"},
            "timeout": {"type": "float", "default": 5.0},
            "validate_certs": {"type": "bool", "default": True},
        },
        "required_one_of": [("webhook_url", "sink")],
    }


# -- what is told: no I/O ------------------------------------------------------------------------------------------


@dataclass
class Story:
    """What has been told of one run, so that nothing is told twice and the end is told once."""

    kinds: frozenset[str]
    channel: str = ""
    started: bool = False
    frozen: bool = False
    ended: bool = False
    failure: Mapping[str, Any] | None = None
    sample: Mapping[str, Any] = field(default_factory=dict)

    def hear(self, entry: Mapping[str, Any], subject: Mapping[str, Any]) -> dict[str, Any] | None:
        """The message that C(entry) is worth, or None."""
        event = str(entry["event"])
        if event == "sample":
            self.sample = entry.get("data") or {}
            self.frozen = self.frozen and self.sample.get("verdict") != "good"
        elif event == "failed":
            # What a failure leads to decides how it is told: taken back, or stopped half-way.
            self.failure = entry
        kind = _KIND_OF.get(event)
        if kind is None or not self._news(kind) or kind not in self.kinds:
            return None
        return message(kind, entry, subject, self.sample, self.channel)

    def last(self, subject: Mapping[str, Any]) -> dict[str, Any] | None:
        """The message about a run that neither completed nor was taken back."""
        if self.ended or self.failure is None or KIND_FAILED not in self.kinds:
            return None
        return message(KIND_FAILED, self.failure, subject, self.sample, self.channel)

    def _news(self, kind: str) -> bool:
        """Whether C(kind) says something new; remembers it."""
        if kind == FROZEN:
            before, self.frozen = self.frozen, True
            return not before
        if kind == STARTED:
            before, self.started = self.started, True
            return not before
        if kind in (ROLLED_BACK, COMPLETED):
            self.ended = True
            # A version that was live already is no news.
            return self.started
        return True


def message(
    kind: str, entry: Mapping[str, Any], subject: Mapping[str, Any], sample: Mapping[str, Any], channel: str = ""
) -> dict[str, Any]:
    """One message in Slack's form: what it is about in C(text), details in an attachment with a colour."""
    word, colour = _LOOKS[kind]
    data = entry.get("data") or {}
    if kind == CONTROL and data.get("command"):
        word = f"command {data['command']}" + (f" by {data['by']}" if data.get("by") else "")
    elif kind == GATE:
        word = f"gate {gate_state(data).replace('_', ' ')}"
    about = f"{subject.get('app', 'a rollout')} {subject.get('version') or ''}".strip()
    where = f" ({subject['namespace']})" if subject.get("namespace") else ""
    headline = _escape(f"{about}{where}: {word}")
    attachment = {
        "color": colour,
        "title": headline,
        "text": _escape(str(entry["detail"])[:_MOST_TEXT]),
        "fallback": headline,
        "fields": _fields(kind, subject, sample),
        "ts": int(parse_time(str(entry["at"])).timestamp()),
    }
    told = {"text": headline, "attachments": [attachment]}
    return {**told, "channel": channel} if channel else told


def _fields(kind: str, subject: Mapping[str, Any], sample: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Facts of the rollout, and of the sample where one led to this message."""
    facts: list[tuple[str, str]] = []
    if kind == STARTED:
        facts = [
            ("Strategy", str(subject.get("strategy") or "").replace("_", "-")),
            ("Replaces", str(subject.get("previous_version") or "")),
            ("Slot", str(subject.get("slot") or "")),
        ]
    elif kind in (FROZEN, ROLLING_BACK) and sample:
        if isinstance(sample.get("weight"), (int, float)):
            facts.append(("Weight", f"{sample['weight']:g} %"))
        facts += [(str(result.get("name", "metric")), _result(result)) for result in by_urgency(_results(sample))]
    shown = [(title, text) for title, text in facts if text][:_MOST_FIELDS]
    return [{"title": _escape(title), "value": _escape(text), "short": True} for title, text in shown]


def _results(sample: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [result for result in sample.get("results") or [] if isinstance(result, Mapping)]


def _result(result: Mapping[str, Any]) -> str:
    """Verdict, value against limit, and what it rests on."""
    rests = [f"n {result['n']}"] if result.get("n") is not None else []
    if isinstance(result.get("p_value"), (int, float)):
        rests.append(f"p {result['p_value']:.2g}")
    basis = f" ({', '.join(rests)})" if rests else ""
    return f"{result.get('verdict', 'unknown')}: {comparison(result)}{basis}"


def _escape(text: str) -> str:
    """As Slack wants it, so that nothing in a version or an error becomes a link or calls a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# -- telling it ----------------------------------------------------------------------------------------------------


def start(given: Mapping[str, Any] | None, recorder: Recorder) -> Notifier | None:
    """Begin to tell what C(recorder) records, as O(notifications) asks; None when it does not.

    Raises OperationError, which never holds the webhook's address, for one that is no address.
    """
    if not given:
        return None
    if given.get("webhook_url"):
        check_url(given["webhook_url"], "notifications.webhook_url")
    elif not given.get("sink"):
        raise OperationError(
            "send notifications", "neither a webhook nor a sink is given.", "give webhook_url or sink."
        )
    notifier = Notifier(given, recorder)
    recorder.listen(notifier)
    return notifier


class Notifier:
    """A listener of the recorder. Call finish at the end of the run."""

    def __init__(self, given: Mapping[str, Any], recorder: Recorder) -> None:
        self._url = str(given.get("webhook_url") or "")
        self._sink = str(given.get("sink") or "")
        self._timeout = float(given.get("timeout") or 5.0)
        self._validate = bool(given.get("validate_certs", True))
        self._recorder = recorder
        self._story = Story(frozenset(given.get("events") or DEFAULT_KINDS), str(given.get("channel") or ""))
        self._courier: Courier[dict[str, Any]] = Courier(self._deliver)

    def __call__(self, entry: Mapping[str, Any]) -> None:
        told = self._story.hear(entry, self._recorder.subject)
        if told is not None:
            self._courier.give(told)

    def finish(self) -> None:
        """Tell the end, wait for at most one time-out, and record what came of it in the envelope."""
        last = self._story.last(self._recorder.subject)
        if last is not None:
            self._courier.give(last)
        came = self._courier.finish(self._timeout)
        if not came["given"]:
            return
        lost = came["given"] - came["delivered"]
        how = "; ".join(came["errors"])
        why = f"{lost} of {came['given']} not delivered: the webhook or sink {how}" if lost else ""
        self._recorder.measure("notifications", came["delivered"], "messages", None, FAILED if lost else PASSED, why)

    def _deliver(self, told: dict[str, Any]) -> None:
        body = json.dumps(told)
        if self._sink:
            with open(self._sink, "a", encoding="utf-8") as stream:
                stream.write(body + "\n")
        if not self._url:
            return
        try:
            self._post(body)
        except Exception:
            # Once more, after a moment: a webhook that is restarted is the usual case. At the end nobody waits.
            self._courier.hurry.wait(_RETRY_SECONDS)
            self._post(body)

    def _post(self, body: str) -> None:
        headers = {"Content-Type": "application/json"}
        send = {"data": body, "headers": headers, "timeout": self._timeout, "follow_redirects": "none"}
        with http.send("POST", self._url, validate_certs=self._validate, **send) as answer:
            answer.read(1024)
