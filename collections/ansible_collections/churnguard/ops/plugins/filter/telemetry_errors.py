# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: telemetry_errors
author: churnguard.ops contributors
version_added: 1.0.0
short_description: What is wrong with a configuration of the OpenTelemetry Collector, Loki or Tempo beyond its form
description:
  - Of a collector it finds components that pipelines use and nobody defines, or the other way round; a pipeline that
    does not begin with C(memory_limiter) or has something after C(batch); and a receiver that keeps its place on the
    disk while what it has read waits in memory.
  - Of Loki it finds retention that would delete nothing.
  - Of Tempo it finds a missing retention, and parts of version 2.
options:
  _input:
    description: The configuration.
    type: dict
    required: true
  kind:
    description: Whose configuration it is.
    type: str
    choices: [collector, loki, tempo]
    required: true
seealso:
  - plugin: churnguard.ops.schema_errors
    plugin_type: filter
    description: Checks the form.
"""

EXAMPLES = r"""
- name: Check what the schema cannot see
  ansible.builtin.assert:
    that: errors | length == 0
    fail_msg: "{{ errors | join('; ') }}"
  vars:
    errors: "{{ collector | churnguard.ops.telemetry_errors('collector') }}"
"""

RETURN = r"""
_value:
  description: A line for each thing that is wrong. Empty for a good configuration.
  type: list
  elements: str
  sample: ["exporter otlp_http/loki is used by a pipeline and not defined"]
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.plugin_utils._telemetry import checks


def telemetry_errors(config, kind):
    """The documented filter."""
    if kind not in checks.CHECKS:
        raise AnsibleFilterError(f"telemetry_errors: kind is {kind!r}, not one of {', '.join(checks.CHECKS)}.")
    try:
        return list(checks.CHECKS[kind](config))
    except (AttributeError, TypeError) as error:
        raise AnsibleFilterError(
            f"telemetry_errors: this is no configuration of {kind} ({error}). Check its form with schema_errors first."
        ) from error


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return {"telemetry_errors": telemetry_errors}
