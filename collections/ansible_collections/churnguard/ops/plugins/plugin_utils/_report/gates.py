# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an envelope of metric_gate says: each service with its samples and the look that decided. No I/O. Internal: may
change in any release."""

from __future__ import annotations

from typing import Any

from . import rollouts as facts
from . import samples as evidence
from .words import listing

OPERATION = "metric_gate"
# So many services get a plot and a table of their own, those that are not good first; all are listed.
MOST_SHOWN = 8


def is_gate(envelope: dict[str, Any]) -> bool:
    """Whether it judged services outside of a rollout."""
    return envelope["operation"] == OPERATION


def gate(index: int, envelope: dict[str, Any]) -> dict[str, Any]:
    """Facts of the envelope at C(index) of the operations; C(services) are in the order they were given, the C(shown)
    are the names of those with details."""
    services = _services(envelope)
    bad = [one for one in services if one["verdict"] != "passed"]
    ordered = bad + [one for one in services if one["verdict"] == "passed"]
    passed = envelope["verdict"] == "passed"
    return {
        "operation": index,
        "verdict": envelope["verdict"],
        "tone": "good" if passed else "bad",
        "headline": _headline(services, bad, passed),
        "started": envelope["started"],
        "finished": envelope["finished"],
        "duration_s": facts.duration_s(envelope),
        "services": services,
        "shown": [one["name"] for one in ordered[:MOST_SHOWN]],
        "errors": [{"at": envelope["finished"], "text": f"{one['name']}: {one['reason']}"} for one in bad],
    }


def _headline(services: list[dict[str, Any]], bad: list[dict[str, Any]], passed: bool) -> str:
    if passed:
        names = [one["name"] for one in services]
        return (
            f"{listing(names)} {'is' if len(names) == 1 else 'are'} good"
            if len(names) < 4
            else (f"All {len(names)} services are good")
        )
    if len(bad) == 1:
        return f"{bad[0]['name']} is not good"
    return f"{len(bad)} of {len(services)} services are not good" if bad else "Services were not judged"


def _services(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """From the evidence, which has every service; the looks of each come from the timeline, which has all of them."""
    found = []
    for item in envelope["evidence"]:
        subject = item.get("subject")
        if not isinstance(subject, dict) or not isinstance(item.get("samples"), list):
            continue
        name = service_name(subject)
        taken = looks(envelope, name)
        found.append(
            {
                "name": name,
                "version": subject.get("version") or None,
                "verdict": "passed" if item.get("verdict") == "passed" else "failed",
                "reason": str(item.get("reason") or ""),
                "samples": evidence.counts(taken),
                "decision": _decision(item["samples"]),
            }
        )
    return found


def service_name(subject: dict[str, Any]) -> str:
    """As the module names it in its events."""
    details = " ".join(str(subject[key]) for key in ("version", "slot") if subject.get(key))
    return f"{subject.get('namespace')}/{subject.get('name')}" + (f" ({details})" if details else "")


def looks(envelope: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The samples of one service in the order they were taken."""
    mine = [event for event in envelope["timeline"] if (event.get("data") or {}).get("subject") == name]
    return evidence.samples({"timeline": mine})


def _decision(kept: list[Any]) -> dict[str, Any] | None:
    """The last look, with queries; it decided, whichever way."""
    last = kept[-1] if kept and isinstance(kept[-1], dict) and kept[-1].get("at") else None
    if last is None:
        return None
    sample = evidence.samples({"timeline": [{"at": last["at"], "event": "sample", "detail": "", "data": last}]})[0]
    return {**sample, "traffic_off_s": None}
