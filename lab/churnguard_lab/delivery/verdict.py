"""From what was seen to measurements with limits. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from churnguard_lab.bench import figure
from churnguard_lab.delivery.counting import FIRST_BAD, LIMIT_3, OURS, THRESHOLD_3

Runs = dict[str, Any]
#: Issue 3's limits: intervals to the decision, seconds until traffic is off, seconds in all, share of bad requests.
MOST_LOOKS, MOST_OFF_S, MOST_TOTAL_S, MOST_RATIO = 3, 10, 60, 0.4


def measurements(runs: Runs) -> list[dict[str, Any]]:
    """All figures that the parts done so far give."""
    found: list[dict[str, Any]] = []
    for part, measure in _PARTS.items():
        if runs.get(part):
            found += measure(runs[part])
    return found


def _good(releases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        figure("canary_good_failed_requests", _sum(releases, "failed"), "requests", 0),
        figure("canary_good_sent_requests", _sum(releases, "sent"), "requests"),
        figure("canary_good_releases", len(releases), "releases"),
        figure("canary_good_clean_releases", _clean(releases, "passed"), "releases", len(releases), at_least=True),
        figure("canary_good_median_s", statistics.median(one["seconds"] for one in releases), "s"),
    ]


def _bad(releases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        figure("canary_bad_failed_requests", _sum(releases, "failed"), "requests", 0),
        figure("canary_bad_sent_requests", _sum(releases, "sent"), "requests"),
        figure("canary_bad_releases", len(releases), "releases"),
        figure("canary_bad_clean_releases", _clean(releases, "rolled_back"), "releases", len(releases), at_least=True),
        figure("canary_bad_decision_intervals", _worst(releases, "looks_to_decision"), "samples", MOST_LOOKS),
        figure("canary_bad_off_s", _worst(releases, "off_s"), "s", MOST_OFF_S),
        figure("canary_bad_total_s", _worst(releases, "total_s"), "s", MOST_TOTAL_S),
        figure("canary_bad_total_median_s", _median(releases, "total_s"), "s"),
        figure("canary_bad_requests_served_median", _median(releases, "bad_requests"), "requests"),
    ]


def _loops(shows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    served = {loop: sum(show["loops"][loop]["bad_requests"] for show in shows) for loop in shows[0]["loops"]}
    found = [figure(f"bad_requests_served_{loop}", count, "requests") for loop, count in served.items()]
    for loop, limit in ((LIMIT_3, MOST_RATIO), (THRESHOLD_3, None), (FIRST_BAD, None)):
        ratio = served[OURS] / served[loop] if served[loop] else None
        found.append(figure(f"bad_requests_served_ratio_vs_{_TITLES[loop]}", ratio, "ratio", limit))
    return [*found, figure("loops_failed_requests", _sum(shows, "failed"), "requests", 0)]


def _kills(strikes: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        figure("kill_prefixes_total", strikes["total"], "prefixes"),
        figure("kill_prefixes_recovered", strikes["recovered"], "prefixes", strikes["total"], at_least=True),
        figure("kill_failed_requests", strikes["failed"], "requests", 0),
        figure("kill_sent_requests", strikes["sent"], "requests"),
    ]


def _sum(runs: Sequence[dict[str, Any]], key: str) -> int:
    return sum(one[key] for one in runs)


def _clean(releases: Sequence[dict[str, Any]], verdict: str) -> int:
    """Releases that ended as they should without one failed request."""
    return sum(one["verdict"] == verdict and not one["failed"] for one in releases)


def _worst(releases: Sequence[dict[str, Any]], key: str) -> float | None:
    """None if any release has no such figure: then it was not taken back as it should have been."""
    values = [one[key] for one in releases]
    return None if None in values else max(values)


def _median(releases: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [one[key] for one in releases if one[key] is not None]
    return statistics.median(values) if values else None


_TITLES = {LIMIT_3: "failure_limit_3", THRESHOLD_3: "threshold_3", FIRST_BAD: "first_bad_sample"}
_PARTS: dict[str, Callable[[Any], list[dict[str, Any]]]] = {
    "good": _good,
    "bad": _bad,
    "loops": _loops,
    "kill": _kills,
    "judge": list,
}
