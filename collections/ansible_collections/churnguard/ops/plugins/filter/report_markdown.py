# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report_markdown
author: churnguard.ops contributors
version_added: 0.1.0
short_description: A report model as Markdown
description:
  - The first screen, the objectives of drills, what did not pass, and what was removed; for a ticket or a chat.
  - Tables are cut after twenty rows and say how many are left out. Nothing in a value can act as markup.
extends_documentation_fragment:
  - churnguard.ops.report_model
seealso:
  - plugin: churnguard.ops.report_page
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Tell the channel of the on-call engineers
  ansible.builtin.uri:
    url: https://chat.example.com/hooks/recovery
    method: POST
    body_format: json
    body:
      text: "{{ model | churnguard.ops.report_markdown }}"
"""

RETURN = r"""
_value:
  description: The document.
  type: str
"""

from ansible_collections.churnguard.ops.plugins.plugin_utils._report import filters, markdown


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return filters.of_model("report_markdown", markdown.markdown)
