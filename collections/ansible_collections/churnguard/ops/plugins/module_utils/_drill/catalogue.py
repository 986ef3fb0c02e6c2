# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scenario, and the check of its settings. Internal: may change in any release.

To add one: a module in scenarios/, and its line in SCENARIOS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._common.errors import OperationError
from .scenario import Scenario
from .scenarios import (
    application_failover,
    backup_corruption,
    cache_failover,
    database_loss,
    elasticache_failover,
    region_loss,
)

SCENARIOS: dict[str, Scenario] = {
    "application_failover": application_failover.APPLICATION_FAILOVER,
    "backup_corruption": backup_corruption.BACKUP_CORRUPTION,
    "cache_failover": cache_failover.CACHE_FAILOVER,
    "database_loss": database_loss.DATABASE_LOSS,
    "elasticache_failover": elasticache_failover.ELASTICACHE_FAILOVER,
    "region_loss": region_loss.REGION_LOSS,
}


def scenario_of(name: str) -> Scenario:
    """The scenario of that name. Raises OperationError when there is none."""
    if name not in SCENARIOS:
        raise OperationError(
            f"drill {name!r}", "there is no such scenario.", f"choose one of these: {', '.join(sorted(SCENARIOS))}."
        )
    return SCENARIOS[name]


def settings_of(scenario: Scenario, settings: Mapping[str, Any]) -> dict[str, Any]:
    """C(settings) checked and filled up with defaults. Raises OperationError that names every wrong one."""
    if scenario.spec is None:
        return dict(settings)
    result = ArgumentSpecValidator(dict(scenario.spec)).validate(dict(settings))
    if result.error_messages:
        raise OperationError(
            f"read the settings of {scenario.name}",
            f"{'; '.join(result.error_messages)}.",
            "docs/drills.md lists them all.",
        )
    return result.validated_parameters
