"""A real Prometheus answers every question of every dashboard, and the answers are what the panels say they show."""

from __future__ import annotations

import math
import re

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._grafana import document, questions
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.catalogue import BOARDS

DOCUMENTS = [document.document(board, document.Style()) for board in BOARDS.values()]
LEGENDS = {
    (made["uid"], panel["id"], target["refId"]): set(re.findall(r"\{\{ (\w+) \}\}", target["legendFormat"]))
    for made in DOCUMENTS
    for panel in made["panels"]
    for target in panel.get("targets", [])
}
#: Where nobody waits, replicates or fails, these are 0 by the word of a witness, and have no label to name it by.
ZERO = {"Replication lag", "Containers that wait"}


@pytest.fixture(scope="module")
def answers(query):
    return [(question, query(question.promql)) for question in questions.questions(DOCUMENTS)]


def test_every_panel_has_data(answers):
    empty = [(question.dashboard, question.panel, question.ref_id) for question, result in answers if not result]
    assert not empty


def test_every_value_is_a_number(answers):
    odd = [
        (question.dashboard, question.panel, row)
        for question, result in answers
        for row in result
        if not math.isfinite(float(row["value"][1]))
    ]
    assert not odd


def test_every_label_that_names_a_series_is_kept_by_its_expression(answers):
    lost = {
        (question.panel, question.ref_id): labels - set(result[0]["metric"])
        for question, result in answers
        if question.panel not in ZERO
        for labels in [LEGENDS[question.dashboard, question.panel_id, question.ref_id]]
        if labels - set(result[0]["metric"])
    }
    assert not lost


@pytest.mark.parametrize(
    ("dashboard", "panel", "expected"),
    [
        # No request failed and there is no series of a failed one: that is 0, not nothing.
        ("application", "Error rate", [0, 0]),
        ("application", "Response time", [0.05 / 0.75, 0.1 + 0.8 * 1.9, 0.1 + 0.96 * 1.9, 0.05]),
        ("application", "Database connections", [10, 6]),
        # The tmpfs is full, as they are; the disk is not.
        ("application", "Infrastructure", [0.25, 0.25, 0.6]),
        ("database", "Connections in use", [13 / 97]),
        ("database", "Blocks found in memory", [0.9]),
        ("database", "Replication lag", [0]),
        ("redis", "Memory in use", [0]),
        ("redis", "Keys found", [0.75]),
        ("redis", "Replication lag", [0]),
        ("kubernetes", "Replicas missing", [1]),
        # The pod as a whole, which has no container, is not counted again.
        ("kubernetes", "Processors in use", [0.2]),
        ("kubernetes", "Room reserved on the nodes", [0.25, 0.25]),
        ("rollout", "Distance to the limits", [0.5]),
        ("rollout", "State", [1]),
        ("business", "Answered well", [1]),
        ("business", "Customers at high risk", [0.25]),
        ("business", "Predictions in the period", [4 * 3600]),
    ],
)
def test_values_are_right(answers, dashboard, panel, expected):
    values = [
        float(row["value"][1])
        for question, result in answers
        if (question.dashboard, question.panel) == (f"churnguard-{dashboard}", panel)
        for row in result
    ]
    assert values == pytest.approx(expected, rel=1e-3)


def test_a_question_about_what_nobody_exposes_has_no_answer(query):
    assert query("churnguard_nothing_total") == []
