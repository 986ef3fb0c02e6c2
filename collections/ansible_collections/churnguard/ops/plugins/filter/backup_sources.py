# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_sources
author: churnguard.ops contributors
version_added: 0.1.0
short_description: Where the backups of what is backed up have to be
description:
  - The sources of M(churnguard.ops.backup_catalog_info) for the targets of role C(backup) - each target's own, and the
    one in its second region.
options:
  _input:
    description: Targets, as the role's variable C(backup_targets) has them.
    type: list
    elements: dict
    required: true
seealso:
  - module: churnguard.ops.backup_catalog_info
"""

EXAMPLES = r"""
- name: Look for the backups of every target
  churnguard.ops.backup_catalog_info:
    policies: "{{ backup_policies }}"
    sources: "{{ backup_targets | churnguard.ops.backup_sources }}"
"""

RETURN = r"""
_value:
  description: The sources.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.plugin_utils._backup import words


def backup_sources(targets):
    """The documented filter."""
    try:
        return words.sources(targets)
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(f"backup_sources: the input is no list of backup targets ({error!r}).") from error


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return {"backup_sources": backup_sources}
