# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a version is to be released: options, their checks, and what they mean for the engine. No I/O. Internal: may
change in any release."""

from __future__ import annotations

from typing import Any

from .._common.errors import OperationError
from .hold import planned_looks
from .metrics import metric_options
from .model import SERVICE, Gate, Pace, Target
from .strategies import BLUE_GREEN, CANARY, GATED, STRATEGIES

# The guide's steps for a canary, in per cent.
WEIGHTS = [10, 25, 50, 75, 100]


def release_argument_spec() -> dict[str, dict[str, Any]]:
    """Argument spec of the documentation fragment churnguard.ops.release."""
    canary = {
        "weights": {"type": "list", "elements": "int", "default": WEIGHTS},
        "hold": {"type": "int", "default": 600},
        "share_requests": {"type": "int", "default": 200},
    }
    rolling = {
        "max_surge": {"type": "str", "default": "1"},
        "max_unavailable": {"type": "str", "default": "0"},
    }
    gate = {
        "before": {"type": "str", "required": True},
        "timeout": {"type": "int", "default": 3600},
        "on_timeout": {"type": "str", "choices": ["rollback", "halt"], "default": "rollback"},
        "flag": {"type": "str"},
    }
    analysis = {
        "prometheus_url": {"type": "str", "required": True},
        "interval": {"type": "int", "default": 30},
        "max_hold": {"type": "int", "default": 600},
        "false_alarm": {"type": "float", "default": 0.01},
        "pass_score": {"type": "float", "default": 100, "no_log": False},
        "force_forward": {"type": "bool", "default": False},
        "metrics": {"type": "list", "elements": "dict", "default": [], "options": metric_options()},
        "probe_path": {"type": "str", "default": "/"},
        "probe_requests": {"type": "int", "default": 20},
    }
    flags = {
        "config_map": {"type": "str", "required": True},
        # Not a secret, in spite of its name.
        "key": {"type": "str", "default": "flags.json", "no_log": False},
        "switch_off": {"type": "list", "elements": "str", "default": []},
    }
    smoke_test = {
        "name": {"type": "str", "required": True},
        "path": {"type": "str", "required": True},
        "method": {"type": "str", "default": "GET"},
        "status": {"type": "list", "elements": "int", "default": [200]},
        "contains": {"type": "str"},
        "json": {"type": "dict"},
    }
    return {
        "strategy": {"type": "str", "choices": sorted(STRATEGIES), "default": BLUE_GREEN},
        "canary": {"type": "dict", "options": canary},
        "rolling": {"type": "dict", "options": rolling},
        "gates": {"type": "list", "elements": "dict", "default": [], "options": gate},
        "analysis": {"type": "dict", "options": analysis},
        "feature_flags": {"type": "dict", "options": flags},
        "smoke_tests": {"type": "list", "elements": "dict", "default": [], "options": smoke_test},
        "grace_period": {"type": "int", "default": 300},
        "pause_timeout": {"type": "int", "default": 3600},
        "retire": {"type": "bool", "default": True},
        "on_failure": {"type": "str", "choices": ["rollback", "halt"], "default": "rollback"},
        "on_drift": {"type": "str", "choices": ["halt", "rollback"], "default": "halt"},
    }


def pace_of(params: dict[str, Any], target: Target) -> Pace:
    """The pace that the parameters ask for. Raises OperationError for one that cannot work."""
    canary = params["canary"] or {}
    rolling = params["rolling"] or {}
    weights = canary.get("weights", WEIGHTS)
    if params["strategy"] == CANARY and params["state"] == "present":
        _check_canary(weights, params, target)
    else:
        weights = []
    if params["state"] == "present" and params["analysis"] and not params["analysis"]["prometheus_url"].strip():
        raise _wrong("analysis.prometheus_url", "it is empty.", "name the Prometheus that scrapes the application.")
    for gate in params["gates"]:
        _check_gate(gate, weights)
        if gate["flag"] and params["feature_flags"] is None:
            raise _wrong("gates.flag", "it is not said where flags are.", "give feature_flags.config_map.")
    if params["grace_period"] < 0:
        raise _wrong("grace_period", f"it is {params['grace_period']} s.", "give 0 or more seconds.")
    return Pace(
        weights=tuple((weight, float(canary.get("hold", 600))) for weight in weights),
        gates=tuple(
            Gate(gate["before"], float(gate["timeout"]), gate["on_timeout"], gate["flag"] or "")
            for gate in params["gates"]
        ),
        bake_seconds=float(params["grace_period"]),
        max_surge=_whole_or_share("max_surge", rolling.get("max_surge", "1")),
        max_unavailable=_whole_or_share("max_unavailable", rolling.get("max_unavailable", "0")),
        retire=params["retire"],
    )


def looks_of(params: dict[str, Any], pace: Pace) -> int:
    """How often a release at C(pace) is looked at, for the judge."""
    analysis = params["analysis"]
    return planned_looks(pace, analysis["interval"], analysis["max_hold"])


def release_settings(params: dict[str, Any]) -> dict[str, Any]:
    """Those members of Settings that release_argument_spec gives. Raises OperationError for times that cannot be."""
    analysis = params["analysis"] or {}
    settings = {
        "smoke_tests": params["smoke_tests"],
        "share_requests": (params["canary"] or {}).get("share_requests", 200),
        "pause_timeout": float(params["pause_timeout"]),
        "on_drift": params["on_drift"],
    }
    if analysis:
        for option in ("interval", "max_hold"):
            if analysis[option] < 1:
                raise _wrong(f"analysis.{option}", f"it is {analysis[option]} s.", "give at least one second.")
        if not 0 < analysis["false_alarm"] < 1:
            raise _wrong("analysis.false_alarm", f"it is {analysis['false_alarm']:g}.", "give a share such as 0.01.")
        settings.update(
            analysis_interval=float(analysis["interval"]),
            max_hold=float(analysis["max_hold"]),
            probe_path=analysis["probe_path"],
            probe_requests=analysis["probe_requests"],
        )
    return settings


def _check_canary(weights: list[int], params: dict[str, Any], target: Target) -> None:
    if target.router_kind == SERVICE:
        raise _wrong(
            "strategy",
            "a canary needs weights, and a Service sends its traffic to one slot.",
            "use router.kind=HTTPRoute, or strategy blue_green or rolling.",
        )
    if not weights or weights[-1] != 100 or weights[0] < 1:
        raise _wrong("canary.weights", f"{weights} do not lead from above 0 to 100.", "such as [10, 25, 50, 75, 100].")
    if any(later <= earlier for earlier, later in zip(weights, weights[1:])):  # noqa: B905 - not known to Python 3.9
        raise _wrong("canary.weights", f"{weights} do not rise.", "give each weight once, in rising order.")
    if params["analysis"] is None:
        raise _wrong(
            "analysis",
            "a canary is judged by its metrics, and there is nowhere to ask for them.",
            "give analysis.prometheus_url, or use strategy blue_green.",
        )


def _check_gate(gate: dict[str, Any], weights: list[int]) -> None:
    known = [*GATED, *(str(weight) for weight in weights)]
    if gate["before"] not in known:
        raise _wrong("gates.before", f"there is no '{gate['before']}'.", f"give one of {', '.join(known)}.")
    if gate["timeout"] < 1:
        raise _wrong("gates.timeout", f"it is {gate['timeout']} s.", "give at least one second.")


def _whole_or_share(option: str, text: str) -> int | str:
    """As a Deployment wants it: a number of pods, or per cent."""
    if text.isdigit():
        return int(text)
    if text.endswith("%") and text[:-1].isdigit():
        return text
    raise _wrong(f"rolling.{option}", f"'{text}' is neither a number nor per cent.", "such as 1 or 25%.")


def _wrong(option: str, answer: str, next_step: str) -> OperationError:
    return OperationError(f"use option {option}", answer, next_step)
