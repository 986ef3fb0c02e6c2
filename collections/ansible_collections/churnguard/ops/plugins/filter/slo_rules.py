# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: slo_rules
author: churnguard.ops contributors
version_added: 1.0.0
short_description: Service level objectives as Prometheus rules
description:
  - Turns definitions of objectives into the groups of a Prometheus rule file. Each objective gets error ratios over
    eight windows, series about its error budget, and three alerts.
  - Alert C(SloBurnFast) (critical) fires when 2 % of the budget burn in an hour or 5 % in six, C(SloBurnSlow) (warning)
    when 10 % burn in a day or in three; each needs a short window to agree, so that it ends soon after the errors do.
    Alert C(SloNoData) (warning) fires when there are no requests or no metrics.
  - A counter of errors that does not exist yet counts as no errors.
options:
  _input:
    description:
      - A list of definitions. Each has C(name) (lower-case letters, digits and dashes), C(service), C(kind),
        C(objective) (per cent, above 0 and below 100), C(summary) and what its kind needs.
      - C(availability) needs C(total) with C(bad) or C(good), C(latency) needs C(histogram) (the name without
        C(_bucket)) with C(threshold) (seconds, a bound of one of its buckets) or C(total) with C(good). They are
        selectors of counters without function or range.
      - C(freshness) needs C(age) (a gauge of seconds) with C(threshold), C(deadline) needs C(overdue) (a gauge that
        counts what is late) with C(threshold) (default 0). They measure the share of time that is bad.
      - Optional are C(period) (28d to 92d, default 30d), C(by) (labels to tell apart), C(labels) (such as C(team); a
        C(severity) is that of C(SloBurnFast)), C(runbook), C(minimum_bad_events) (in the long window, default 10) and
        C(no_data_for) (default 15m).
    type: list
    elements: dict
    required: true
  runbook_url:
    description: Folder of the runbooks; each alert's is its name with C(.md). A definition's C(runbook) comes first.
    type: str
    required: true
  interval:
    description: How often the rules are evaluated, at most C(60s).
    type: str
    default: 30s
  known_metrics:
    description: Names of all metrics there are, to refuse a definition with another one. Not checked without it.
    type: list
    elements: str
  bounded_labels:
    description: Labels with few values that C(by) may have beside those that are known.
    type: list
    elements: str
    default: []
seealso:
  - module: churnguard.ops.metric_gate
    description: Judges a deployment now; this keeps watch over weeks.
  - name: Alerting on SLOs
    description: The windows and factors.
    link: https://sre.google/workbook/alerting-on-slos/
"""

EXAMPLES = r"""
- name: Write the rules of an objective
  ansible.builtin.copy:
    content: "{{ objectives | churnguard.ops.slo_rules(runbook_url='https://docs.churnguard.com/runbooks')
      | ansible.builtin.to_nice_yaml }}"
    dest: /etc/prometheus/rules/slo.yml
    mode: "0644"
    validate: promtool check rules %s
  vars:
    objectives:
      - name: api-availability
        service: churnguard-api
        kind: availability
        objective: 99.9
        bad: churnguard_requests_total{status_code=~"5.."}
        total: churnguard_requests_total
        summary: Requests fail
        labels:
          team: platform
"""

RETURN = r"""
_value:
  description: What a rule file holds, with C(groups) as its only key.
  type: dict
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.plugin_utils._slo import rules
from ansible_collections.churnguard.ops.plugins.plugin_utils._slo.selector import SloError


def slo_rules(definitions, runbook_url, interval="30s", known_metrics=None, bounded_labels=()):
    """The documented filter."""
    if not isinstance(definitions, (list, tuple)):
        raise AnsibleFilterError("slo_rules: the input has to be a list of definitions.")
    try:
        return rules.groups(
            definitions,
            runbook_url=runbook_url,
            interval=interval,
            known_metrics=known_metrics,
            bounded_labels=bounded_labels,
        )
    except SloError as error:
        raise AnsibleFilterError(f"slo_rules: {error}") from error


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return {"slo_rules": slo_rules}
