# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter as a playbook calls it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.filter.slo_rules import FilterModule

slo_rules = FilterModule().filters()["slo_rules"]
DEFINITION = {
    "name": "gdpr",
    "service": "shop",
    "kind": "deadline",
    "objective": 99.9,
    "overdue": "overdue_requests",
    "summary": "Requests are overdue",
}


def test_definitions_become_groups():
    groups = slo_rules([DEFINITION], "https://docs.example/", interval="15s")["groups"]
    assert [(group["name"], group["interval"]) for group in groups] == [("slo.gdpr", "15s"), ("slo.gdpr.budget", "2m")]


def test_no_definition_is_no_group():
    assert slo_rules([], "https://docs.example") == {"groups": []}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"name": "gdpr"}, "slo_rules: the input has to be a list"),
        (["gdpr"], "slo_rules: SLO number 1: it has to be a dictionary"),
        ([{**DEFINITION, "objective": 100}], "slo_rules: SLO gdpr: objective 100 %"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(data, reason):
    with pytest.raises(AnsibleFilterError, match=reason):
        slo_rules(data, "https://docs.example")
