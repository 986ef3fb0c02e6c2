# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module's parameters ask of one service. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._common.clock import Clock
from .analysis import Analysis
from .manifest import check_manifest, content_hash
from .metrics import read_metrics
from .model import Desired, Target
from .pacing import looks_of, pace_of


def desired_of(params: dict[str, Any], target: Target) -> Desired:
    """What the parameters ask for. Raises OperationError if the Deployment cannot work."""
    deployment: dict[str, Any] = params["deployment"] or {}
    version = params["version"] or ""
    digest = ""
    if params["state"] == "present":
        check_manifest(deployment, target, version)
        digest = content_hash(deployment, version)
    return Desired(
        state=params["state"],
        strategy=params["strategy"],
        version=version,
        deployment=deployment,
        content_hash=digest,
        replicas=params["replicas"],
        on_unfinished=params["on_unfinished"],
        pace=pace_of(params, target),
        on_failure=params["on_failure"],
        flags=params["feature_flags"] or {},
    )


def analysis_of(params: dict[str, Any], desired: Desired, target: Target, clock: Clock) -> Analysis | None:
    """The judge, if there is to be one. Raises OperationError for metrics that cannot be judged."""
    given = params["analysis"]
    if not given or desired.state != "present":
        return None
    return Analysis(
        given["prometheus_url"],
        read_metrics(given["metrics"]),
        target,
        clock,
        looks_of(params, desired.pace),
        given["false_alarm"],
        given["pass_score"],
        given["force_forward"],
    )
