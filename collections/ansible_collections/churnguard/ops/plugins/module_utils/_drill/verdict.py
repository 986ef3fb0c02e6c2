# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a drill has passed. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .._common.envelope import ABORTED, FAILED, PASSED, SKIPPED


def reasons(
    measurements: Iterable[Mapping[str, Any]],
    evidence: Iterable[Mapping[str, Any]],
    failures: Iterable[str],
    left: Iterable[str],
    needs: Collection[str],
    measures: Collection[str],
    allow_skipped: Collection[str] = (),
) -> list[str]:
    """Why the drill has failed, in sentences; empty when it has passed.

    C(measurements) and C(evidence) are the envelope's, C(failures) the phases that ended with an error, C(left) the
    resources that could not be removed. C(needs) are kinds of evidence, and C(measures) names of figures, without which
    nothing is proven. Evidence that is C(skipped) fails unless its C(name), or else its kind, is in C(allow_skipped).
    """
    figures = list(measurements)
    shown = list(evidence)
    found = list(failures)
    found += [_over(figure) for figure in figures if figure["verdict"] == FAILED]
    known = {figure["name"] for figure in figures if figure["value"] is not None}
    found += [f"{name} could not be measured." for name in sorted(set(measures) - known)]
    for entry in shown:
        name = str(entry.get("name") or entry["kind"])
        why = f": {entry['reason']}" if entry.get("reason") else ""
        if entry.get("verdict") == FAILED:
            found.append(f"{name} failed{why}.")
        elif entry.get("verdict") == SKIPPED and name not in allow_skipped:
            found.append(f"{name} was skipped{why}; a check that was not made proves nothing.")
    kinds = {entry["kind"] for entry in shown}
    found += [f"There is no evidence of {kind}." for kind in sorted(set(needs) - kinds)]
    found += [f"{name} could not be removed." for name in left]
    return found


def _over(figure: Mapping[str, Any]) -> str:
    value, unit, limit = figure["value"], figure["unit"], figure["limit"]
    spoken = f"{value:.1f}" if isinstance(value, float) else f"{value}"
    return (
        f"{figure['name']} is {spoken} {unit}, over its limit of {limit:g} {unit}."
        if limit is not None
        else (f"{figure['name']} is {spoken} {unit}, which is not as it must be.")
    )


def verdict(interrupted: bool, why: Collection[str]) -> str:
    """The envelope's word."""
    if interrupted:
        return ABORTED
    return FAILED if why else PASSED
