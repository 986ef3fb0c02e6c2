# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module churnguard.ops.dr_drill and shows what it does while it does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.churnguard.ops.plugins.plugin_utils._live.action import LiveAction


class ActionModule(LiveAction):
    """The module does the work; this shows progress, live where the module runs on this machine."""

    MODULE = "churnguard.ops.dr_drill"

    def subject(self, arguments: Mapping[str, Any]) -> str:
        if arguments.get("state") in ("cleaned", "swept"):
            return f"drills {arguments['state']}"
        return f"drill {arguments.get('scenario', '')}"
