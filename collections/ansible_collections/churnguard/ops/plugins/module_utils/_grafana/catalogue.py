# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All dashboards by name. Internal: may change in any release."""

from __future__ import annotations

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.boards import (
    application,
    business,
    database,
    kubernetes,
    redis,
    rollout,
)
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import Board

BOARDS: dict[str, Board] = {
    part.BOARD.name: part.BOARD for part in (application, database, redis, kubernetes, rollout, business)
}
