# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  _input:
    description: Report model, as P(churnguard.ops.report_model#filter) returns it.
    type: dict
    required: true
seealso:
  - plugin: churnguard.ops.report_model
    plugin_type: filter
"""
