# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that move traffic and see it moved. Internal: may change in any release."""

from __future__ import annotations

import math

from .._common.envelope import NOT_CHECKED
from .._common.waiting import DONE, PENDING, Finding
from .._kubernetes.errors import Conflict
from . import probe
from .context import WRITE_ATTEMPTS, Context, StepFailed
from .judging import Judging
from .model import Release
from .routing import describe, read_split, route_applied, split_patch
from .size_steps import SizeSteps

_ROUTE_SECONDS = 0.25
_PROBE_SECONDS = 0.05
_NOTICE_SECONDS = 5.0
# A share is believed when the probes that the slot answered lie where that many draws would, in this share of cases.
_BAND = 0.99
# Enough that a slot which gets nothing cannot pass for one with a small share: e^-10 of the cases.
_EXPECTED_HITS = 10
_MOST_SHARE_PROBES = 2000


class TrafficSteps:
    """Runs ROUTE and CONFIRM."""

    def __init__(self, context: Context, sizes: SizeSteps, judging: Judging | None) -> None:
        self._context = context
        self._sizes = sizes
        self._judging = judging

    def route(self) -> None:
        """The router has the weights of the step; never towards a slot that is not ready."""
        context, step = self._context, self._context.step
        goal: dict[str, int] = step.args["split"]
        self._sizes.before_rise()
        since = context.rollout.steps[0].started
        # Whoever scales a slot makes it look unready for as long as the deployment controller takes to notice.
        finding, _waited = context.wait(lambda: context.slot_finding(step.slot, since), _NOTICE_SECONDS)
        if not finding.done:
            raise StepFailed(f"no traffic is sent to slot {step.slot}, which is not ready: {finding.detail}")
        for _attempt in range(WRITE_ATTEMPTS):
            context.lock.keep()
            router = context.router()
            context.refuse_foreign(router)
            if read_split(router, context.target) == goal:
                break
            try:
                context.api.patch_router(router, split_patch(router, context.target, goal))
                break
            except Conflict:
                # The gateway writes the route's status; read again, if the lock is still ours.
                context.lock.renew()
        else:
            target = context.target
            raise StepFailed(f"{target.router_kind} {target.router_name} kept changing while being written")
        context.recorder.event("weights", describe(goal), {"weights": goal})
        if self._judging is not None and step.slot == context.rollout.candidate.slot:
            self._judging.begin_weight()

    def confirm(self) -> None:
        """The gateway has taken the weights, and replies come from where they should."""
        context, step = self._context, self._context.step
        limit = context.settings.confirm_timeout
        finding, waited = context.wait(lambda: route_applied(context.router(), context.target), limit, _ROUTE_SECONDS)
        if not finding.done:
            raise StepFailed(f"the gateway does not serve the new weights after {waited:.0f} s: {finding.detail}")
        if context.settings.endpoint is None:
            context.recorder.measure("confirmed", None, "s", limit, NOT_CHECKED, "no endpoint to probe is configured")
            return
        weight = step.args["split"][step.slot]
        if weight < 100:
            self._confirm_share(weight, waited)
            return
        count = context.settings.confirm_requests
        taken = self.await_origin(context.release(), count)
        context.recorder.measure("confirmed_s", waited + taken, "s", limit)
        context.recorder.evidence.append(
            {"kind": "probe", "slot": step.slot, "consecutive": count, "seconds": round(taken, 2)}
        )
        context.recorder.event("confirmed", f"{count} probes in a row were answered by slot {step.slot}")

    def await_origin(self, release: Release, count: int, slot: str = "") -> float:
        """Seconds until C(count) probes in a row were answered by C(release). Raises StepFailed at the deadline."""
        context = self._context
        endpoint = context.settings.endpoint
        if endpoint is None:
            return 0.0
        row = 0

        def look() -> Finding:
            nonlocal row
            problem = probe.wrong_origin(probe.fetch(endpoint, endpoint.path, slot), release, endpoint)
            row = 0 if problem else row + 1
            if row >= count:
                return Finding(DONE, f"{row} in a row")
            return Finding(PENDING, problem or f"{row} of {count} probes")

        limit = context.settings.confirm_timeout
        finding, taken = context.wait(look, limit, _PROBE_SECONDS)
        if not finding.done:
            raise StepFailed(f"{endpoint.url} does not show {release.version} after {limit:.0f} s: {finding.detail}")
        return taken

    def _confirm_share(self, weight: int, waited: float) -> None:
        """The slot answers its share of probes, within the binomial band around the weight."""
        context, slot = self._context, self._context.step.slot
        count = share_probes(weight, context.settings.share_requests)
        low, high = band(count, weight / 100)
        hits = 0

        def look() -> Finding:
            nonlocal hits
            hits = self._hits(count)
            text = f"slot {slot} answered {hits} of {count} probes, {low} to {high} are expected at {weight} %"
            return Finding(DONE if low <= hits <= high else PENDING, text)

        limit = context.settings.confirm_timeout
        finding, taken = context.wait(look, limit)
        if not finding.done:
            raise StepFailed(f"the weight written is not the weight served: {finding.detail}")
        context.recorder.measure("confirmed_s", waited + taken, "s", limit)
        evidence = {"kind": "share", "slot": slot, "weight": weight, "probes": count, "hits": hits, "band": [low, high]}
        context.recorder.evidence.append(evidence)
        context.recorder.event("confirmed", finding.detail, {"weight": weight, "probes": count, "hits": hits})

    def _hits(self, count: int) -> int:
        """How many of C(count) probes the step's slot answered."""
        context = self._context
        endpoint, release = context.settings.endpoint, context.release()
        if endpoint is None:
            return 0
        hits = 0
        for number in range(count):
            if number % 50 == 0:
                context.lock.keep()
            hits += not probe.other_origin(probe.fetch(endpoint, endpoint.path), release, endpoint)
        return hits


def share_probes(weight: int, wanted: int) -> int:
    """How many probes show a share of C(weight) per cent (1 to 99): at least C(wanted), and enough for a small one."""
    rare = min(weight, 100 - weight)
    return min(max(wanted, math.ceil(_EXPECTED_HITS * 100 / rare)), _MOST_SHARE_PROBES)


def band(count: int, share: float) -> tuple[int, int]:
    """Fewest and most hits among C(count) draws at C(share), both tails together left out in 1 % of cases: the exact
    binomial interval."""
    from scipy.stats import binom

    low, high = binom.interval(_BAND, count, share)
    return int(low), int(high)
