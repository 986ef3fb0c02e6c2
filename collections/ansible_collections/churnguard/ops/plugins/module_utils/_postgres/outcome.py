# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture or a comparison came to, in words and as an envelope. Pure. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._common.envelope import Recorder
from .model import FAILED, PASSED, SKIPPED

_SHOWN = 5


def summary(manifest: Mapping[str, Any], path: str | None) -> dict[str, Any]:
    """A manifest's figures. C(skipped) names the tables without a digest, and why."""
    tables = manifest["tables"]
    without = {title: entry.get(FAILED) or entry.get(SKIPPED) for title, entry in tables.items() if "sum" not in entry}
    return {
        "path": path,
        "created": manifest["created"],
        "tables": len(tables),
        "rows": sum(entry.get("rows", 0) for entry in tables.values()),
        "bytes": sum(entry["bytes"] for entry in tables.values()),
        "seconds": manifest["seconds"],
        "skipped": without,
        "dump": manifest["dump"],
        "sha256": manifest["sha256"],
    }


def captured(figures: Mapping[str, Any]) -> str:
    text = f"{figures['rows']} rows of {figures['tables']} tables in {figures['seconds']:.1f} s"
    if figures["skipped"]:
        text += f"; {len(figures['skipped'])} tables without a digest"
    return f"{text}."


def compared(checks: Sequence[Mapping[str, Any]], verdict: str) -> str:
    """The verdict and what it rests on."""
    if verdict == PASSED:
        skipped = [check for check in checks if check["verdict"] == SKIPPED]
        allowed = f"; {len(skipped)} allowed to be skipped" if skipped else ""
        return f"The copy is as its manifest says: {len(checks) - len(skipped)} checks passed{allowed}."
    wrong = [check for check in checks if check["verdict"] == FAILED]
    unproved = [check for check in checks if check["verdict"] == SKIPPED]
    told = "; ".join(f"{one['name']} of {one['subject']}: {one['reason']}" for one in (wrong or unproved)[:_SHOWN])
    what = f"{len(wrong)} of {len(checks)} checks failed" if wrong else f"{len(unproved)} checks were skipped"
    return f"The copy is not proved: {what}. {told}." if checks else "The copy is not proved: nothing was checked."


def record(recorder: Recorder, found: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Put a comparison into an envelope: how many checks came out how, and the matrix."""
    checks = found["checks"]
    recorder.subject = {
        "source": found["source"],
        "target": found["target"],
        "manifest": {name: manifest[name] for name in ("created", "hash", "sha256")},
    }
    recorder.measure("checks_failed", sum(check["verdict"] == FAILED for check in checks), "checks", 0)
    recorder.measure("checks_skipped", sum(check["verdict"] == SKIPPED for check in checks), "checks")
    recorder.measure("compare_s", found["seconds"], "s")
    recorder.evidence.append({"kind": "integrity", "checks": checks})
