# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report_page
author: churnguard.ops contributors
version_added: 0.1.0
short_description: A report model as one HTML page
description:
  - Style and plots are inside the page. It has no script and fetches nothing, so it opens without network.
  - Every value is escaped; only the plots are taken as they are.
extends_documentation_fragment:
  - churnguard.ops.report_model
options:
  plots:
    description: Plots of the same model, as P(churnguard.ops.report_plots#filter) returns them.
    type: dict
    default: {}
seealso:
  - plugin: churnguard.ops.report_plots
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write the page
  ansible.builtin.copy:
    content: "{{ model | churnguard.ops.report_page(plots=model | churnguard.ops.report_plots) }}"
    dest: /srv/reports/index.html
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""

from ansible_collections.churnguard.ops.plugins.plugin_utils._report import filters, page


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return filters.of_model("report_page", page.page)
