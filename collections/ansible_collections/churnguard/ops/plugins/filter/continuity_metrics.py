# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: continuity_metrics
author: churnguard.ops contributors
version_added: 1.0.0
short_description: What is known of backups or drills, as metrics for Prometheus
description:
  - Text in Prometheus' exposition format, for a Pushgateway or node_exporter's textfile collector.
  - Of backups C(churnguard_backup_last_success_timestamp_seconds) by C(component) and C(copy), and
    C(churnguard_backup_state) by C(component) and C(state).
  - Of drills C(churnguard_drill_last_run_timestamp_seconds) and C(churnguard_drill_passed) by C(scenario).
  - Of both C(churnguard_continuity_updated_timestamp_seconds) by C(part).
  - All times are moments in Unix seconds, so that an age that Prometheus computes from them goes on when nobody writes
    any more. Needs the Python package prometheus_client on the controller.
positional: part, now
options:
  _input:
    description:
      - What M(churnguard.ops.backup_catalog_info) or M(churnguard.ops.dr_drill_info) returned.
    type: dict
    required: true
  part:
    description:
      - Which of the two it is.
    type: str
    choices: [backups, drills]
    required: true
  now:
    description:
      - When it was asked, in Unix seconds.
    type: float
    required: true
seealso:
  - module: churnguard.ops.backup_catalog_info
  - module: churnguard.ops.dr_drill_info
"""

EXAMPLES = r"""
- name: Look for every backup
  churnguard.ops.backup_catalog_info:
    policies: "{{ policies }}"
    sources: "{{ sources }}"
    fail_on: []
  register: catalog

- name: Tell Prometheus
  ansible.builtin.uri:
    url: http://pushgateway.monitoring.svc:9091/metrics/job/churnguard-continuity/part/backups
    method: PUT
    body: "{{ catalog | churnguard.ops.continuity_metrics('backups', now().timestamp()) }}"
    status_code: [200, 202]
"""

RETURN = r"""
_value:
  description: The metrics, each with its HELP and TYPE.
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.plugin_utils._backup import exposition

_INPUTS = {
    exposition.BACKUPS: "a backup catalog of backup_catalog_info",
    exposition.DRILLS: "a history of dr_drill_info",
}


def continuity_metrics(found, part, now):
    """The documented filter."""
    if part not in _INPUTS:
        raise AnsibleFilterError(f"continuity_metrics: part has to be one of {', '.join(_INPUTS)}, not {part!r}.")
    try:
        return exposition.render(part, found, float(now))
    except ImportError as error:
        raise AnsibleFilterError(
            f"continuity_metrics: the Python package prometheus_client is missing on the controller ({error}). "
            "Install it there."
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"continuity_metrics: the input is not {_INPUTS[part]} ({error!r}).") from error


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return {"continuity_metrics": continuity_metrics}
