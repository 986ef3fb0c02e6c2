# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small table that closes a run: steps, seconds, samples, verdict. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import parse_time
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.figures import duration

from .narrator import BAD, CARE, FAINT, GOOD, PLAIN, Line, shorten

_STEP_WIDTH = 44
_ENDINGS = {"step_done": "done", "failed": "FAILED", "rollback_started": "STOPPED"}
_TONES = {"passed": GOOD, "done": PLAIN, "FAILED": BAD, "failed": BAD, "not ended": CARE}


@dataclass
class _Row:
    name: str
    started: float
    seconds: float | None = None
    samples: dict[str, int] = field(default_factory=dict)
    verdict: str = "not ended"


def closing(timeline: Iterable[Mapping[str, Any]], subject: str, verdict: str) -> list[Line]:
    """The table of a run whose events are C(timeline) and whose outcome is C(verdict); no line when no step ran."""
    rows, first, last = _rows(timeline)
    if not rows:
        return []
    width = min(_STEP_WIDTH, max(len("step"), *(len(row.name) for row in rows)))
    lines = [
        Line(f"{subject}: {verdict.replace('_', ' ')} after {duration(last - first)}", _TONES.get(verdict, CARE)),
        Line(f"  {'step':<{width}}  {'seconds':>8}  {'samples':<28} verdict", FAINT),
    ]
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        text = f"  {shorten(row.name, width):<{width}}  {seconds:>8}  {_counts(row.samples):<28} {row.verdict}"
        lines.append(Line(text, _TONES.get(row.verdict, CARE)))
    return lines


def _rows(timeline: Iterable[Mapping[str, Any]]) -> tuple[list[_Row], float, float]:
    """The steps in the order they began, with the moments (Unix s) of the first and the last event."""
    rows: list[_Row] = []
    moments = [0.0]
    for entry in timeline:
        event, at = entry["event"], parse_time(str(entry["at"])).timestamp()
        moments.append(at)
        running = rows[-1] if rows and rows[-1].seconds is None else None
        if event == "step_started":
            rows.append(_Row(str(entry["detail"]), at))
        elif event == "sample" and running is not None:
            word = str((entry.get("data") or {}).get("verdict", "unknown"))
            running.samples[word] = running.samples.get(word, 0) + 1
        elif event in _ENDINGS and running is not None:
            running.seconds = at - running.started
            running.verdict = _ENDINGS[event]
    return rows, moments[min(1, len(moments) - 1)], moments[-1]


def _counts(samples: Mapping[str, int]) -> str:
    return ", ".join(f"{samples[word]} {word}" for word in ("good", "bad", "unknown") if word in samples)
