"""What one release says for the benchmark: from its result envelope and the ledger of the traffic beside it. Pure."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from churnguard_lab.load.ledger import INJECTED, Entry

DECISION = "rollback_started"


def moment(text: str) -> float:
    """Unix time of an event."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def when(envelope: dict[str, Any], event: str) -> float:
    """Unix time of the first event of that name. Raises ValueError when there is none."""
    for entry in envelope["timeline"]:
        if entry["event"] == event:
            return moment(entry["at"])
    raise ValueError(f"the rollout of {envelope['subject'].get('version')} has no event {event}")


def sent(entry: Entry) -> float:
    """Unix time at which a request really left."""
    return entry.t + entry.lag


def traffic(entries: Sequence[Entry]) -> dict[str, Any]:
    """Requests of a ledger: sent, failed, injected, by connection, and the failures in words."""
    failures = collections.Counter(f"{entry.outcome}: {entry.detail}" for entry in entries if entry.is_failed)
    return {
        "sent": len(entries),
        "failed": sum(failures.values()),
        "injected": sum(entry.outcome == INJECTED for entry in entries),
        "by_connection": dict(sorted(collections.Counter(entry.conn for entry in entries).items())),
        "slow": sum(entry.slow for entry in entries),
        "failures": dict(failures.most_common(5)),
    }


def release(envelope: dict[str, Any], entries: Sequence[Entry]) -> dict[str, Any]:
    """What every release says; times in seconds."""
    return {
        "version": envelope["subject"]["version"],
        "verdict": envelope["verdict"],
        "seconds": round(moment(envelope["finished"]) - moment(envelope["started"]), 1),
        "weights": [event["data"]["weights"] for event in envelope["timeline"] if event["event"] == "weights"],
        **traffic(entries),
    }


def taken_back(envelope: dict[str, Any], entries: Sequence[Entry]) -> dict[str, Any]:
    """What a release that was taken back says besides.

    `looks_to_decision`: samples from the first bad one to the one that decided, both counted; `off_s`: from the
    decision to the end of the last request that the canary served; `total_s`: from its first bad request to then;
    `bad_requests`: the injected errors that clients saw of it. None where there is nothing to tell.
    """
    version = envelope["subject"]["version"]
    decision = _decision(envelope["timeline"])
    served = [entry for entry in entries if entry.version == version]
    bad = [sent(entry) for entry in served if entry.outcome == INJECTED]
    off = max((entry.t + entry.lat for entry in served), default=None)
    reason = next((event["detail"] for event in envelope["timeline"] if event["event"] == DECISION), "")
    return {
        "looks_to_decision": _looks(envelope["timeline"], decision),
        "off_s": round(off - decision, 2) if off is not None and decision is not None else None,
        "total_s": round(off - min(bad), 2) if off is not None and bad else None,
        "bad_requests": len(bad),
        "canary_requests": len(served),
        "reason": reason,
    }


def _decision(timeline: Iterable[dict[str, Any]]) -> float | None:
    return next((moment(event["at"]) for event in timeline if event["event"] == DECISION), None)


def _looks(timeline: Iterable[dict[str, Any]], decision: float | None) -> int | None:
    if decision is None:
        return None
    verdicts = [event["data"]["verdict"] for event in timeline if event["event"] == "sample"]
    if "bad" not in verdicts:
        return None
    return len(verdicts) - verdicts.index("bad")
