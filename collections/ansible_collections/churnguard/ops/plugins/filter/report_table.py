# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report_table
author: churnguard.ops contributors
version_added: 0.1.0
short_description: The rollouts of a report model as lines for a terminal
description:
  - One aligned line for each rollout below a heading.
extends_documentation_fragment:
  - churnguard.ops.report_model
"""

EXAMPLES = r"""
- name: Show how the rollouts went
  ansible.builtin.debug:
    msg: "{{ model | churnguard.ops.report_table }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from ansible_collections.churnguard.ops.plugins.plugin_utils._report import filters, words


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return filters.of_model("report_table", words.table)
