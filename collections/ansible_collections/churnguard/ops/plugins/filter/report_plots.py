# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report_plots
author: churnguard.ops contributors
version_added: 0.1.0
short_description: Plots of a report model as SVG
description:
  - Draws who answered, latency and failures over time, and the steps of each rollout that took any.
  - Each plot comes as NAME_wide and as NAME_narrow for a phone. Colours and font are CSS variables with a fallback,
    and ids are distinct, so that all of them can live in one page.
extends_documentation_fragment:
  - churnguard.ops.report_model
requirements:
  - matplotlib
seealso:
  - plugin: churnguard.ops.report_page
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write the traffic plot to a file of its own
  ansible.builtin.copy:
    content: "{{ (model | churnguard.ops.report_plots).traffic_wide }}"
    dest: /srv/reports/traffic.svg
    mode: "0644"
"""

RETURN = r"""
_value:
  description:
    - SVG elements by name, C(traffic), C(latency), C(failures) and C(rollout_1), C(rollout_2) and so on, each with
      C(_wide) and C(_narrow) appended.
    - Without a load ledger there is no latency and no failures plot, and traffic shows the weights that were set.
  type: dict
"""

from ansible_collections.churnguard.ops.plugins.plugin_utils._report import filters, plots


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return filters.of_model("report_plots", plots.plots)
