# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report_junit
author: churnguard.ops contributors
version_added: 0.1.0
short_description: A report model as JUnit XML
description:
  - A test suite for each operation, and a test case for its verdict and for each thing that was checked, such as an
    objective, a table's content, or that a resource is gone. CI systems can show it.
  - What was not checked or was skipped is a skipped case with its reason, never a passed one.
extends_documentation_fragment:
  - churnguard.ops.report_model
seealso:
  - plugin: churnguard.ops.report_page
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write what a drill has shown beside its envelope
  ansible.builtin.copy:
    content: "{{ [drill.envelope] | churnguard.ops.report_model(environment='production')
      | churnguard.ops.report_junit }}"
    dest: /srv/drills/junit.xml
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The document.
  type: str
"""

from ansible_collections.churnguard.ops.plugins.plugin_utils._report import filters, junit


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return filters.of_model("report_junit", junit.junit)
