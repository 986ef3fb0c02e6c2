# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report_model
author: churnguard.ops contributors
version_added: 0.1.0
short_description: Report model from result envelopes and load ledgers
description:
  - Puts together what the operations say (result envelopes) and what their users met (load ledgers).
  - Of recovery drills it tells how recovery went against the objectives, and how it went over time.
  - The result is the content of a report's C(report.json).
  - The same input gives the same result; nothing is read but the given files.
options:
  _input:
    description:
      - Result envelopes, or paths of JSON files that hold one each.
    type: list
    elements: raw
    required: true
  environment:
    description: Name of the environment the report is about.
    type: str
    required: true
  ledgers:
    description:
      - Load ledgers (JSON lines). Globs are allowed and may match nothing; a plain path must exist.
      - Load that lies more than 30 seconds before or after all operations is counted apart.
      - Ledgers are read line by line, so their size does not matter.
    type: list
    elements: path
    default: []
  drills_dir:
    description:
      - Folder of the recovery drills, with C(history.jsonl) and a folder for each drill.
      - From it come the trends over all drills, and each drill's writes over time. Nothing is written there.
    type: path
  notifications:
    description:
      - File of the notifications about alerts, JSON lines, one for each notification of Alertmanager,
        with C(arrived) and its C(alerts); the lab's C(alert_sink) writes it.
      - Those that fired in the time of the report are listed. A file that is not there is said, as then it is not known
        whether any did. Nothing is written there.
    type: path
  generated:
    description:
      - Time of the report, ISO 8601 in UTC.
      - Without it, the end of the newest operation.
    type: str
seealso:
  - plugin: churnguard.ops.report_plots
    plugin_type: filter
  - plugin: churnguard.ops.report_page
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show how many requests failed while the newest version was shipped
  ansible.builtin.debug:
    msg: "{{ (paths | churnguard.ops.report_model(environment='lab', ledgers=['/var/log/load/*.jsonl']))
      .rollouts[-1].requests.failed }}"
"""

RETURN = r"""
_value:
  description:
    - The model. The most important parts are C(summary) (tone, headline, notes), C(rollouts), C(load) (all requests,
      or null without a ledger), C(operations) (the envelopes) and C(series) (over time).
    - C(gates), C(drills), C(backups), C(reviews) and C(business) hold what else the envelopes tell, C(history) all
      drills by scenario, C(alerts) what fired in the time of the report (null without O(notifications)).
    - An element of C(rollouts) has C(version), C(strategy), C(verdict), C(outcome), C(duration_s), C(started),
      C(finished), C(steps), C(weights), C(errors), C(latency_s) (p50, p95, p99) and C(requests).
    - C(requests) has C(sent), C(failed) and C(by_version) of all requests in flight at any time of the rollout, and
      C(coverage), which is V(full), V(partial) or V(none). C(reason) says why it is not full. With V(none), C(sent) and
      C(failed) are null.
  type: dict
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import envelopes as envelope_files
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import model, traffic


def report_model(envelopes, environment, ledgers=None, generated=None, drills_dir=None, notifications=None):
    """The documented filter."""
    if not isinstance(envelopes, (list, tuple)):
        raise AnsibleFilterError(f"report_model: the input is {type(envelopes).__name__}, not a list of envelopes.")
    if isinstance(ledgers, str):
        ledgers = [ledgers]
    try:
        loaded = envelope_files.load(envelopes)
        measured = traffic.measure(ledgers or [], model.intervals(loaded))
        return model.build(
            loaded,
            measured,
            str(environment),
            generated,
            str(drills_dir or "") or None,
            str(notifications or "") or None,
        )
    except OperationError as error:
        raise AnsibleFilterError(f"report_model: {error}") from error


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return {"report_model": report_model}
