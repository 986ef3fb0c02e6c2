# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step does. Every step may be run again from its beginning. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._common.clock import Clock, parse_time
from .._common.envelope import FAILED as VERDICT_FAILED
from .._common.envelope import NOT_CHECKED, PASSED, Recorder
from .._common.waiting import DONE, FAILED, PENDING, Finding, wait_until
from .._kubernetes.errors import ApiError, Conflict
from .._prometheus.api import QueryError, query_scalar
from . import probe, strategies
from .api import RolloutApi
from .drain import Activity, Silence, activity_queries
from .lock import Lock
from .manifest import merge_onto_live, slot_deployment
from .model import ANNOTATION_HASH, ROLLING_BACK, Journal, Release, Rollout, Step, Target
from .plan import foreign_split
from .routing import RouterProblem, describe, read_split, route_applied, split_patch
from .settings import Settings
from .wait import deployment_finding, gone_finding, newest_warning

_WRITE_ATTEMPTS = 10
_BAD_PROBES = 3
_ROUTE_SECONDS = 0.25
_PROBE_SECONDS = 0.05
# Time beyond a pod's own grace period for the node to report its end.
_END_MARGIN = 30.0


class StepFailed(Exception):
    """The step's goal cannot be reached; the rollout is to be taken back."""


class StepHalted(Exception):
    """Going on and going back are both unsafe, or somebody else interferes; stop and say so."""


class Steps:
    """Runs single steps of one rollout against the cluster."""

    def __init__(
        self, api: RolloutApi, lock: Lock, clock: Clock, recorder: Recorder, target: Target, settings: Settings
    ) -> None:
        self._api = api
        self._lock = lock
        self._clock = clock
        self._recorder = recorder
        self._target = target
        self._settings = settings
        self._handlers: dict[str, Callable[[Step, Rollout, Journal], None]] = {
            strategies.START: self._start,
            strategies.READY: self._ready,
            strategies.SMOKE: self._smoke,
            strategies.ROUTE: self._route,
            strategies.CONFIRM: self._confirm,
            strategies.BAKE: self._bake,
            strategies.DRAIN: self._drain,
            strategies.RETIRE: self._retire,
        }

    def run(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        """Do C(step). Raises StepFailed, StepHalted, or what the API raised."""
        self._lock.keep()
        self._handlers[step.name](step, rollout, journal)

    # -- the slots ---------------------------------------------------------------------------------------------

    def _start(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        release = _release(step.slot, rollout)
        if release is not rollout.candidate:
            self._grow_back(release)
            return
        wanted = slot_deployment(journal.manifests["candidate"], self._target, release)
        for _attempt in range(_WRITE_ATTEMPTS):
            self._lock.keep()
            live = self._api.get_deployment(step.slot)
            try:
                if live is None:
                    # Nothing fences a create: it must do no harm if the lock was lost just before. The replacement
                    # that follows carries a resourceVersion.
                    self._api.create_deployment({**wanted, "spec": {**wanted["spec"], "replicas": 0}})
                    continue
                self._api.replace_deployment(merge_onto_live(live, wanted))
                return
            except Conflict:
                # The deployment controller writes status all the time; read again, if the lock is still ours.
                self._lock.renew()
        raise StepFailed(f"Deployment {wanted['metadata']['name']} kept changing while it was being written")

    def _grow_back(self, release: Release) -> None:
        """The slot that served before gets its size back; its template is never touched."""
        for _attempt in range(_WRITE_ATTEMPTS):
            self._lock.keep()
            live = self._api.get_deployment(release.slot)
            if live is None:
                raise StepHalted(f"Deployment {self._target.workload(release.slot)} of the old slot is gone")
            digest = (live["metadata"].get("annotations") or {}).get(ANNOTATION_HASH, "")
            if digest != release.content_hash:
                raise StepHalted(f"slot {release.slot} no longer holds {release.version}")
            if live["spec"].get("replicas", 1) >= release.replicas:
                return
            try:
                self._api.scale_deployment(live, release.replicas)
                return
            except Conflict:
                self._lock.renew()
        raise StepHalted(f"Deployment {self._target.workload(release.slot)} kept changing while it was being scaled")

    def _slot_finding(self, slot: str, since: str = "") -> Finding:
        moment = parse_time(since) if since else None
        return deployment_finding(self._api.get_deployment(slot), self._api.list_pods(slot), moment)

    def _settled(self, slot: str) -> Finding:
        """Whether C(slot) is wholly ready, with time for pods that an autoscaler or a node change has just begun."""
        limit = self._settings.confirm_timeout
        return self._wait(lambda: self._slot_finding(slot), limit)[0]

    def _ready(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        limit = self._settings.ready_timeout
        # Measured from the start step: a condition from before it belongs to what the slot ran earlier.
        since = rollout.steps[0].started
        finding, waited = self._wait(lambda: self._slot_finding(step.slot, since), limit)
        verdict = PASSED if finding.done else VERDICT_FAILED
        self._recorder.measure(f"ready_{step.slot}_s", waited, "s", limit, verdict)
        if finding.failed:
            raise StepFailed(f"slot {step.slot} cannot become ready: {finding.detail}{self._warning(step.slot, since)}")
        if not finding.done:
            how = f"was not ready within {limit:.0f} s: {finding.detail}{self._warning(step.slot, since)}"
            raise StepFailed(f"slot {step.slot} {how}")
        self._recorder.event("ready", f"slot {step.slot}: {finding.detail} after {waited:.1f} s")

    def _warning(self, slot: str, since: str) -> str:
        """The cluster's newest warning about the slot's pods, to add to a message. Who may not read events does
        without."""
        try:
            warning = newest_warning(self._api.list_warnings(), self._target.workload(slot), parse_time(since))
        except ApiError:
            return ""
        return f"; the newest warning says {warning}" if warning else ""

    def _smoke(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        endpoint, tests = self._settings.endpoint, self._settings.smoke_tests
        if endpoint is None or not tests:
            self._recorder.measure("smoke_tests", None, "tests", verdict=NOT_CHECKED, reason="none are configured")
            return
        release = _release(step.slot, rollout)
        self._await_origin(release, 1, slot=step.slot)
        # Once for each replica, and the data plane spreads them: one bad pod among good ones shows.
        for test in tests:
            for _repeat in range(max(release.replicas, 1)):
                self._lock.keep()
                reply = probe.fetch(endpoint, test["path"], step.slot, test["method"])
                problem = probe.smoke_failure(test, reply) or probe.other_origin(reply, release, endpoint)
                if problem:
                    self._recorder.measure("smoke_tests", len(tests), "tests", verdict=VERDICT_FAILED, reason=problem)
                    raise StepFailed(f"smoke test '{test['name']}' of slot {step.slot} ({test['path']}): {problem}")
        self._recorder.measure("smoke_tests", len(tests), "tests", verdict=PASSED)
        names = ", ".join(test["name"] for test in tests)
        self._recorder.event("smoke", f"slot {step.slot} passed {names}, each {max(release.replicas, 1)} times")

    def _retire(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        serving = step.args.get("serving")
        if serving:
            self._serving_or_halt(serving, step.slot, bool(step.args.get("serving_ready")))
        deployment = self._scale_to_zero(step.slot, rollout)
        if deployment is None:
            return
        pod_spec = deployment["spec"]["template"]["spec"]
        limit = float(pod_spec.get("terminationGracePeriodSeconds", 30)) + _END_MARGIN
        finding, waited = self._wait(lambda: gone_finding(self._api.list_pods(step.slot)), limit)
        self._recorder.measure(f"retire_{step.slot}_s", waited, "s", limit, PASSED if finding.done else VERDICT_FAILED)
        if not finding.done:
            raise StepHalted(f"pods of slot {step.slot} have not ended within {limit:.0f} s: {finding.detail}")
        self._recorder.event("retired", f"slot {step.slot} is scaled to 0, {finding.detail}")

    def _scale_to_zero(self, slot: str, rollout: Rollout) -> dict[str, Any] | None:
        for _attempt in range(_WRITE_ATTEMPTS):
            self._lock.keep()
            deployment = self._api.get_deployment(slot)
            if deployment is None or deployment["spec"].get("replicas", 1) == 0:
                return deployment
            try:
                return self._api.scale_deployment(deployment, 0)
            except Conflict:
                self._lock.renew()
        raise StepHalted(f"Deployment {self._target.workload(slot)} kept changing while it was being scaled to 0")

    def _serving_or_halt(self, serving: str, retiring: str, must_be_ready: bool) -> None:
        finding = self._settled(serving) if must_be_ready else Finding(DONE, "")
        if not finding.done:
            raise StepHalted(f"slot {retiring} is kept, because slot {serving} is not wholly ready: {finding.detail}")
        split = self._split()
        if split[retiring] != 0 or split[serving] != 100:
            raise StepHalted(f"slot {retiring} is not scaled away, because traffic is {describe(split)}")

    # -- traffic -----------------------------------------------------------------------------------------------

    def _router(self) -> dict[str, Any]:
        router = self._api.get_router()
        if router is None:
            raise StepHalted(f"{self._target.router_kind} {self._target.router_name} has disappeared")
        return router

    def _split(self) -> dict[str, int]:
        try:
            return read_split(self._router(), self._target)
        except RouterProblem as error:
            raise StepHalted(str(error)) from error

    def _route(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        goal: dict[str, int] = step.args["split"]
        finding = self._slot_finding(step.slot, rollout.steps[0].started)
        if not finding.done:
            raise StepFailed(f"no traffic is sent to slot {step.slot}, which is not ready: {finding.detail}")
        for _attempt in range(_WRITE_ATTEMPTS):
            self._lock.keep()
            router = self._router()
            self._refuse_foreign(rollout, router)
            if read_split(router, self._target) == goal:
                break
            try:
                self._api.patch_router(router, split_patch(router, self._target, goal))
                break
            except Conflict:
                # The gateway writes the route's status; read again, if the lock is still ours.
                self._lock.renew()
        else:
            raise StepFailed(f"{self._target.router_kind} {self._target.router_name} kept changing while being written")
        self._recorder.event("weights", describe(goal), {"weights": goal})

    def _refuse_foreign(self, rollout: Rollout, router: dict[str, Any]) -> None:
        try:
            foreign = foreign_split(rollout, read_split(router, self._target), self._target, router)
        except RouterProblem as error:
            raise StepHalted(str(error)) from error
        if foreign:
            raise StepHalted(foreign)

    def _confirm(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        limit = self._settings.confirm_timeout
        finding, waited = self._wait(lambda: route_applied(self._router(), self._target), limit, _ROUTE_SECONDS)
        if not finding.done:
            raise StepFailed(f"the gateway does not serve the new weights after {waited:.0f} s: {finding.detail}")
        if self._settings.endpoint is None:
            self._recorder.measure("confirmed", None, "s", limit, NOT_CHECKED, "no endpoint to probe is configured")
            return
        count = self._settings.confirm_requests
        taken = self._await_origin(_release(step.slot, rollout), count)
        self._recorder.measure("confirmed_s", waited + taken, "s", limit)
        self._recorder.evidence.append(
            {"kind": "probe", "slot": step.slot, "consecutive": count, "seconds": round(taken, 2)}
        )
        self._recorder.event("confirmed", f"{count} probes in a row were answered by slot {step.slot}")

    def _await_origin(self, release: Release, count: int, slot: str = "") -> float:
        """Seconds until C(count) probes in a row were answered by C(release). Raises StepFailed at the deadline."""
        endpoint = self._settings.endpoint
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

        limit = self._settings.confirm_timeout
        finding, taken = self._wait(look, limit, _PROBE_SECONDS)
        if not finding.done:
            raise StepFailed(f"{endpoint.url} does not show {release.version} after {limit:.0f} s: {finding.detail}")
        return taken

    # -- watching ----------------------------------------------------------------------------------------------

    def _bake(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        seconds = float(step.args["seconds"])
        bad = 0
        worst = ""

        def look() -> Finding:
            nonlocal bad, worst
            self._refuse_foreign(rollout, self._router())
            finding = self._slot_finding(step.slot)
            if finding.failed:
                return finding
            problem = self._probe_problem(rollout.candidate)
            bad = bad + 1 if problem else 0
            worst = problem or worst
            if bad >= _BAD_PROBES:
                return Finding(FAILED, f"{bad} probes in a row: {problem}")
            return Finding(PENDING, f"baking, {finding.detail}")

        finding, waited = self._wait(look, seconds)
        if not finding.failed:
            finding = self._settled(step.slot)
        if not finding.done:
            raise StepFailed(f"slot {step.slot} did not stay well ({waited:.0f} s after the switch): {finding.detail}")
        self._recorder.measure("bake_s", waited, "s", verdict=PASSED, reason=worst and f"single bad probe: {worst}")
        self._recorder.event("bake", f"slot {step.slot} stayed well for {waited:.0f} s")

    def _probe_problem(self, release: Release) -> str:
        endpoint = self._settings.endpoint
        if endpoint is None:
            return ""
        return probe.wrong_origin(probe.fetch(endpoint, endpoint.path), release, endpoint)

    def _drain(self, step: Step, rollout: Rollout, journal: Journal) -> None:
        if not self._api.list_pods(step.slot):
            return
        release = _release(step.slot, rollout)
        url = self._settings.prometheus_url
        silence = Silence(self._settings.drain_quiet, bool(url), self._clock.monotonic())

        def look() -> Finding:
            hit = self._answers(release)
            return silence.look(self._clock.monotonic(), hit, self._activity(step.slot) if url else None)

        limit = self._settings.drain_timeout
        finding, waited = self._wait(look, limit)
        if not finding.done:
            self._not_silent(step, rollout, waited, finding)
            return
        how = self._silence_shown_by()
        self._recorder.measure("drain_s", waited, "s", limit, "" if url else NOT_CHECKED, f"by {how}")
        self._recorder.event("drained", f"slot {step.slot} {finding.detail}, by {how}")

    def _not_silent(self, step: Step, rollout: Rollout, waited: float, finding: Finding) -> None:
        """Forward, stop with both slots running. When taking back, go on: the slot is bad, traffic is elsewhere, and
        one whose pods crash may never show metrics again; its pods still get their grace period."""
        limit = self._settings.drain_timeout
        text = f"slot {step.slot} has not fallen silent within {limit:.0f} s: {finding.detail}"
        if rollout.phase != ROLLING_BACK:
            raise StepHalted(text)
        self._recorder.measure("drain_s", waited, "s", limit, VERDICT_FAILED, text)

    def _silence_shown_by(self) -> str:
        if self._settings.prometheus_url:
            return "its own counters"
        if self._settings.endpoint:
            return "probes alone; no prometheus_url, so requests in flight were not read"
        return "waiting alone; there is neither an endpoint nor a prometheus_url to ask"

    def _answers(self, release: Release) -> bool:
        endpoint = self._settings.endpoint
        if endpoint is None:
            return False
        return not probe.other_origin(probe.fetch(endpoint, endpoint.path), release, endpoint)

    def _activity(self, slot: str) -> Activity | None:
        queries = activity_queries(self._target.namespace, self._target.name, slot)
        try:
            return Activity(**{k: query_scalar(self._settings.prometheus_url, q) for k, q in queries.items()})
        except QueryError as error:
            self._recorder.progress(f"Prometheus: {error}")
            return None

    def _wait(self, look: Callable[[], Finding], limit: float, interval: float = 0.0) -> tuple[Finding, float]:
        """As wait_until, with the lock kept and the user told; the settings' interval unless one is given."""

        def tell(finding: Finding, waited: float) -> None:
            self._lock.keep()
            self._recorder.progress(finding.detail, waited, limit)

        return wait_until(look, self._clock, limit, interval or self._settings.interval, tell)


def _release(slot: str, rollout: Rollout) -> Release:
    """The release that C(rollout) has in C(slot)."""
    if rollout.previous is not None and rollout.previous.slot == slot:
        return rollout.previous
    return rollout.candidate
