# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts: what they say of themselves, beside what the versions do. Internal: may change in any release."""

from __future__ import annotations

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import (
    Board,
    Panel,
    Query,
    Variable,
    share,
)

OF = 'namespace=~"$namespace", app=~"$app"'


def requests(more: str = "") -> str:
    """PromQL: requests a second by version."""
    labels = f"{OF}, {more}" if more else OF
    return f"sum by (app, version) (rate(churnguard_requests_total{{{labels}}}[$__rate_interval]))"


NOW = (
    Panel(
        "stat",
        "State",
        "What each rollout is doing, or how the last one ended.",
        "none",
        (Query(f"max by (app, state) (churnguard_rollout_state{{{OF}}} == 1)", "{{ app }}: {{ state }}"),),
        span=8,
        height=5,
        names=True,
    ),
    Panel(
        "stat",
        "Version",
        "The version that is being, or was last, rolled out, the one before it, and how.",
        "none",
        (
            Query(
                f"max by (app, version, previous_version, strategy) (churnguard_rollout_info{{{OF}}})",
                "{{ app }}: {{ previous_version }} to {{ version }} ({{ strategy }})",
            ),
        ),
        span=8,
        height=5,
        names=True,
    ),
    Panel(
        "stat",
        "Time since it began",
        "Time since the last rollout began.",
        "s",
        (
            Query(
                f"time() - max by (app) (churnguard_rollout_start_timestamp_seconds{{{OF}}})",
                "{{ app }}",
            ),
        ),
        span=4,
        height=5,
    ),
    Panel(
        "stat",
        "Duration",
        "From its beginning to the last thing that happened.",
        "s",
        (Query(f"max by (app) (churnguard_rollout_duration_seconds{{{OF}}})", "{{ app }}"),),
        span=4,
        height=5,
        limits=((3600, "orange"), (7200, "red")),
    ),
)
COURSE = (
    Panel(
        "lines",
        "Share of the traffic",
        "Share of the traffic that was given to each slot.",
        "percent",
        (Query(f"max by (app, slot) (churnguard_rollout_weight{{{OF}}})", "{{ app }} {{ slot }}"),),
        minimum=0,
        maximum=100,
    ),
    Panel(
        "lines",
        "Samples",
        "Samples taken within the last step of the graph, by verdict. Bad ones freeze a rollout and take it back.",
        "short",
        (
            Query(
                f"sum by (app, verdict) (increase(churnguard_rollout_samples_total{{{OF}}}[$__rate_interval]))",
                "{{ app }} {{ verdict }}",
            ),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Distance to the limits",
        "Each judged metric of the last sample, as a share of its limit. Above 1 it is bad where larger is worse.",
        "percentunit",
        (
            Query(
                f"max by (app, metric) (churnguard_rollout_judged_value{{{OF}}})"
                f" / max by (app, metric) (churnguard_rollout_judged_limit{{{OF}}})",
                "{{ app }} {{ metric }}",
            ),
        ),
        limits=((1, "red"),),
        minimum=0,
    ),
    Panel(
        "states",
        "State over time",
        "When each state held.",
        "none",
        (Query(f"max by (app, state) (churnguard_rollout_state{{{OF}}})", "{{ app }} {{ state }}"),),
        words=((0, "no", "transparent"), (1, "yes", "blue")),
    ),
)
VERSIONS = (
    Panel(
        "lines",
        "Requests by version",
        "Requests answered in a second, by the version that answered.",
        "reqps",
        (Query(requests(), "{{ app }} {{ version }}"),),
        stacked=True,
        minimum=0,
    ),
    Panel(
        "lines",
        "Error rate by version",
        "Share of the requests that a version answered with 5xx.",
        "percentunit",
        (Query(share(requests('status_code=~"5.."'), requests()), "{{ app }} {{ version }}"),),
        limits=((0.05, "red"),),
        minimum=0,
    ),
    Panel(
        "lines",
        "Response time by version",
        "Time within which 99 per cent of a version's requests were answered.",
        "s",
        (
            Query(
                "histogram_quantile(0.99, sum by (app, version, le)"
                f" (rate(churnguard_request_duration_seconds_bucket{{{OF}}}[$__rate_interval])))",
                "{{ app }} {{ version }}",
            ),
        ),
        limits=((2, "red"),),
        minimum=0,
    ),
    Panel(
        "stat",
        "Last results",
        "How long ago the last rollout that ended so did.",
        "s",
        (
            Query(
                "time() - max by (app, verdict)"
                f" (last_over_time(churnguard_rollout_last_result_timestamp_seconds{{{OF}}}[$__range]))",
                "{{ app }} {{ verdict }}",
            ),
        ),
    ),
)

BOARD = Board(
    "rollout",
    "rollouts",
    "What a rollout does, how its samples were judged, and how the versions fare beside each other.",
    (
        Variable("namespace", "Namespace", "churnguard_rollout_info", "namespace"),
        Variable("app", "Application", "churnguard_rollout_info", "app"),
    ),
    (("Now", NOW), ("Course", COURSE), ("Versions beside each other", VERSIONS)),
    period="now-3h",
)
