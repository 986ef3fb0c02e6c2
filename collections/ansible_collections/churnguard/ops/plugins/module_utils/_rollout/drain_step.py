# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that proves that a slot has fallen silent. Internal: may change in any release."""

from __future__ import annotations

from .._common.envelope import FAILED as VERDICT_FAILED
from .._common.envelope import NOT_CHECKED
from .._common.waiting import Finding
from .._prometheus.api import QueryError, query_scalar
from . import probe
from .context import Context, StepHalted
from .drain import Activity, Silence, activity_queries
from .model import ROLLING_BACK, Release


class DrainStep:
    """Runs DRAIN."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def drain(self) -> None:
        """No request reaches the slot any more and none is in flight."""
        context, step = self._context, self._context.step
        if not context.api.list_pods(step.slot):
            return
        release = context.release()
        url = context.settings.prometheus_url
        silence = Silence(context.settings.drain_quiet, bool(url), context.clock.monotonic())

        def look() -> Finding:
            hit = self._answers(release)
            return silence.look(context.clock.monotonic(), hit, self._activity(step.slot) if url else None)

        limit = context.settings.drain_timeout
        finding, waited = context.wait(look, limit)
        if not finding.done:
            self._not_silent(waited, finding)
            return
        how = self._silence_shown_by()
        context.recorder.measure("drain_s", waited, "s", limit, "" if url else NOT_CHECKED, f"by {how}")
        context.recorder.event("drained", f"slot {step.slot} {finding.detail}, by {how}")

    def _not_silent(self, waited: float, finding: Finding) -> None:
        """Forward, stop with both slots running. When taking back, go on: the slot is bad, traffic is elsewhere, and
        one whose pods crash may never show metrics again; its pods still get their grace period."""
        context = self._context
        limit = context.settings.drain_timeout
        text = f"slot {context.step.slot} has not fallen silent within {limit:.0f} s: {finding.detail}"
        if context.rollout.phase != ROLLING_BACK:
            raise StepHalted(text)
        context.recorder.measure("drain_s", waited, "s", limit, VERDICT_FAILED, text)

    def _silence_shown_by(self) -> str:
        if self._context.settings.prometheus_url:
            return "its own counters"
        if self._context.settings.endpoint:
            return "probes alone; no prometheus_url, so requests in flight were not read"
        return "waiting alone; there is neither an endpoint nor a prometheus_url to ask"

    def _answers(self, release: Release) -> bool:
        endpoint = self._context.settings.endpoint
        if endpoint is None:
            return False
        return not probe.other_origin(probe.fetch(endpoint, endpoint.path), release, endpoint)

    def _activity(self, slot: str) -> Activity | None:
        context = self._context
        queries = activity_queries(context.target.namespace, context.target.name, slot)
        try:
            return Activity(**{k: query_scalar(context.settings.prometheus_url, q) for k, q in queries.items()})
        except QueryError as error:
            context.recorder.progress(f"Prometheus: {error}")
            return None
