"""Whether every panel of every dashboard has data in the lab: each of its questions is put to the lab's Prometheus."""

from __future__ import annotations

import contextlib
import math
import sys
from typing import Any

from churnguard_lab import journey, settings
from churnguard_lab.bench import figure, say
from churnguard_lab.observability.asking import Prometheus
from churnguard_lab.observability.waiting import TooLate, until

sys.path.append(str(journey.REPOSITORY / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._grafana import document, questions  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.catalogue import BOARDS  # noqa: E402

TRAFFIC_S = 60.0
SEEN_S = 60.0
Playbooks = tuple[tuple[str, dict[str, str]], ...]
#: Series of each source, and the playbooks that bring them about where they were never run.
PRODUCERS: tuple[tuple[str, Playbooks], ...] = (
    (
        '{__name__="up", job="churnguard-api", namespace="churnguard-lab"} == 1',
        (("site", {}), ("deploy", {"app_release_version": "v1"})),
    ),
    # Whichever of the two is live, the second is a canary.
    (
        '{__name__=~"churnguard_rollout_.+", namespace="churnguard-lab"}',
        (
            ("deploy", {"app_release_version": "v1"}),
            ("deploy", {"app_release_version": "v2", "app_release_strategy": "canary"}),
        ),
    ),
    ('{__name__=~"churnguard_backup_.+"}', (("backup", {}), ("backup_status", {}))),
    (
        '{__name__=~"churnguard_drill_.+"}',
        (("dr_drill", {"dr_drill_scenario": "database_loss"}), ("dr_status", {})),
    ),
)


def measure() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The figures, and which panels have none. Raises RuntimeError or JourneyError when the lab does not answer."""
    lab = settings.load()
    prometheus = Prometheus(f"http://{settings.LOOPBACK}:{lab.ports.prometheus}")
    name = f"panels-{journey.report_id()}"
    # Under traffic from the beginning: a canary that nobody asks anything is never judged.
    with journey.traffic(lab, name) as load:
        ran = produce(lab, prometheus, name)
        say(f"{TRAFFIC_S:g} s of traffic")
        load.run_for(TRAFFIC_S)
        found = ask(prometheus)
        sent = load.stop()
    empty = sorted(panel for panel, missing in found.items() if missing)
    conditions = {
        "playbooks_before": ran,
        "requests_before": sent["sent"],
        "without_data": {panel: found[panel] for panel in empty},
        "questions": sum(1 for _question in _questions()),
        "counted": "a panel has data when each of its queries has a value that is a number",
    }
    figures = [
        figure("panels_total", len(found), "panels"),
        figure("panels_with_data", len(found) - len(empty), "panels", len(found), at_least=True),
    ]
    return figures, conditions


def produce(lab: settings.Settings, prometheus: Prometheus, report: str) -> list[str]:
    """Run the playbooks whose metrics the lab has none of; their names, with a word if one failed."""
    journey.build_images(lab)
    ran = []
    for series, playbooks in PRODUCERS:
        if prometheus.query(series):
            continue
        for playbook, variables in playbooks:
            say(f"{playbook}.yml")
            done = journey.playbook(playbook, report, quiet=True, **variables)
            ran.append(playbook if done.returncode == 0 else f"{playbook} (failed)")
        with contextlib.suppress(TooLate):
            until(series, lambda series=series: prometheus.query(series), SEEN_S)
    return ran


def ask(prometheus: Prometheus) -> dict[str, list[str]]:
    """Panel ("dashboard: title") -> those of its queries that have no data now."""
    found: dict[str, list[str]] = {}
    for question in _questions():
        missing = found.setdefault(f"{question.dashboard}: {question.panel}", [])
        if not any(math.isfinite(value) for value in prometheus.values(question.promql)):
            missing.append(question.promql)
    return found


def _questions() -> list[questions.Question]:
    return questions.questions([document.document(board, document.Style()) for board in BOARDS.values()])
