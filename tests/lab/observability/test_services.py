"""The series that the cost of the rules is measured with are those that the rules read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from churnguard_lab.observability import services

ROOT = Path(__file__).resolve().parents[3]
for folder in ("collections", "tests/monitoring"):
    sys.path.append(str(ROOT / folder))

import promql  # noqa: E402
import rulebook  # noqa: E402


@pytest.fixture(scope="module")
def made():
    return services.all_series()


def test_each_service_has_its_ten_thousand_and_none_twice(made):
    for job, series in made.items():
        assert services.SERIES_EACH <= len(series) < 1.2 * services.SERIES_EACH, job
        assert len({(one.name, *sorted(one.labels.items())) for one in series}) == len(series), job


def test_every_metric_of_a_service_that_a_rule_reads_is_among_them(made, tmp_path):
    book = rulebook.Book.render(tmp_path)
    read = {name for rule in book.rules() for name in promql.metrics(str(rule["expr"])) if ":" not in name}
    there = {one.name for series in made.values() for one in series}
    # Of what is not a service with many series: rollouts, backups, drills, probes, and monitoring itself.
    prefixes = (
        "churnguard_rollout_", "churnguard_backup_", "churnguard_drill_", "churnguard_continuity_", "probe_",
        "prometheus_", "alertmanager_", "ALERTS",
    )  # fmt: skip
    assert sorted(name for name in read - there if not name.startswith(prefixes)) == []
