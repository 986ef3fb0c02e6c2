# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_table
author: churnguard.ops contributors
version_added: 0.1.0
short_description: The backup catalog as lines for a terminal
description:
  - One aligned line for each source, with its newest usable backup, below a heading; then every problem.
options:
  _input:
    description: Catalog, as M(churnguard.ops.backup_catalog_info) returns it.
    type: dict
    required: true
seealso:
  - module: churnguard.ops.backup_catalog_info
"""

EXAMPLES = r"""
- name: Show the state of the backups
  ansible.builtin.debug:
    msg: "{{ catalog | churnguard.ops.backup_table }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.plugin_utils._backup import words


def backup_table(catalog):
    """The documented filter."""
    try:
        return words.table(catalog)
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(f"backup_table: the input is not a backup catalog ({error!r}).") from error


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return {"backup_table": backup_table}
