# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module churnguard.ops.metric_gate and shows each look while it judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.churnguard.ops.plugins.plugin_utils._live.action import LiveAction


class ActionModule(LiveAction):
    """The module does the work; this shows progress, live where the module runs on this machine."""

    MODULE = "churnguard.ops.metric_gate"

    def subject(self, arguments: Mapping[str, Any]) -> str:
        given = arguments.get("subjects")
        first = given[0] if isinstance(given, list) and given and isinstance(given[0], Mapping) else {}
        if isinstance(given, list) and len(given) > 1:
            return f"{len(given)} services"
        return f"{first.get('name', 'services')} {first.get('version') or ''}".strip()
