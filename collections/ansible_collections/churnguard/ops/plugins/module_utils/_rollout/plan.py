# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do, given what is and what is wanted. Pure: no I/O, no clock. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .._common.envelope import PASSED
from .manifest import slot_selector
from .model import ANNOTATION_HASH, HTTP_ROUTE, ROLLING_BACK, Desired, Observed, Release, Rollout, Step, Target
from .routing import RouterProblem, changed_by, describe, read_split
from .strategies import BLUE_GREEN, ROLLING, rest_after_switch, steps_of, take_back

NOTHING = "nothing"
DEPLOY = "deploy"
RESUME = "resume"
TAKE_BACK = "take_back"
REFUSE = "refuse"


@dataclass
class Decision:
    """C(kind) is what to do. For deploy, C(candidate), C(manifest) and C(steps) are set; for resume and take_back,
    C(steps) are those still to do; for refuse, C(reason) and C(next_step)."""

    kind: str
    reason: str
    next_step: str = ""
    candidate: Release | None = None
    stable: Release | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    strategy: str = ""


def decide(observed: Observed, desired: Desired, target: Target) -> Decision:
    """The one decision of a run. Called again after an unfinished rollout has been taken back."""
    problem = broken_part(observed, target)
    if problem is not None:
        return problem
    split = read_split(observed.router or {}, target)
    rollout = observed.journal.rollout
    if rollout is not None and rollout.unfinished:
        return _unfinished(rollout, split, desired, target, observed)
    if desired.state in ("aborted", "finished"):
        return Decision(NOTHING, "no rollout is in flight, so there is nothing to end")
    stable, problem = confirmed_stable(observed, split, target)
    if problem is not None:
        return problem
    if desired.state == "rolled_back":
        return _to_previous(observed, stable, desired, target)
    if (
        stable is not None
        and stable.content_hash == desired.content_hash
        and _live_replicas(observed.deployments[stable.slot])
    ):
        left = _left_running(observed, stable, target)
        if left is not None:
            return _finish_off(stable, left, desired, target)
        return Decision(NOTHING, f"{desired.version} is already live in slot {stable.slot}", stable=stable)
    return _deploy(observed, stable, desired, target, desired.version, desired.content_hash, desired.deployment)


def _left_running(observed: Observed, stable: Release, target: Target) -> Release | None:
    """The other slot's release if the journal was lost between the switch and its retirement; else None."""
    other = target.other(stable.slot)
    deployment = observed.deployments[other]
    if observed.journal.stable is not None or deployment is None or not _live_replicas(deployment):
        return None
    return _adopted(deployment, other)


def _finish_off(stable: Release, left: Release, desired: Desired, target: Target) -> Decision:
    """The rest of a rollout whose traffic has moved and whose journal is gone."""
    steps = rest_after_switch(stable, left, target, desired.pace)
    reason = f"{stable.version} has all traffic in slot {stable.slot}; {left.version} still runs in {left.slot}"
    return Decision(
        DEPLOY, reason, candidate=stable, stable=left, manifest=desired.deployment, steps=steps, strategy=BLUE_GREEN
    )


def broken_part(observed: Observed, target: Target) -> Decision | None:
    """A refusal if something a rollout stands on is absent or was changed by hand."""
    where = f"{target.router_kind} {target.namespace}/{target.router_name}"
    site = "apply the application's manifests (playbooks/site.yml)"
    if observed.router is None:
        return Decision(REFUSE, f"{where} does not exist", f"{site}, then run again.")
    try:
        read_split(observed.router, target)
    except RouterProblem as error:
        return Decision(REFUSE, str(error), f"put the router back ({site}), then run again.")
    for slot in target.slots:
        service = observed.services[slot]
        if service is None:
            name = f"{target.namespace}/{target.workload(slot)}"
            return Decision(REFUSE, f"Service {name} of slot {slot} does not exist", f"{site}, then run again.")
        for obj, selector in ((service, service["spec"].get("selector")), _deployment_selector(observed, slot)):
            if obj is not None and selector != slot_selector(target, slot):
                return _changed_selector(obj, selector, slot, target)
    return None


def _deployment_selector(observed: Observed, slot: str) -> tuple[dict[str, Any] | None, Any]:
    deployment = observed.deployments[slot]
    return deployment, deployment["spec"]["selector"].get("matchLabels") if deployment else None


def _changed_selector(obj: dict[str, Any], selector: Any, slot: str, target: Target) -> Decision:
    kind = "Deployment" if "template" in obj["spec"] else "Service"
    wanted = slot_selector(target, slot)
    return Decision(
        REFUSE,
        f"{kind} {target.namespace}/{obj['metadata']['name']} selects {selector}, but slot {slot} is {wanted}"
        f"{changed_by(obj, 'spec', 'selector')}",
        "find out who changed it and why; put it back (playbooks/site.yml does), then run again. "
        "No traffic has been moved.",
    )


def confirmed_stable(
    observed: Observed, split: dict[str, int], target: Target
) -> tuple[Release | None, Decision | None]:
    """The journal's stable release, confirmed by the router; without a journal, what the cluster shows.

    Returns (release or None, refusal or None).
    """
    stable = observed.journal.stable
    if stable is not None:
        if split[stable.slot] == 100:
            return _with_live_size(stable, observed), None
        return None, Decision(
            REFUSE,
            f"the journal says that slot {stable.slot} ({stable.version}) is stable, but {target.router_kind} "
            f"{target.router_name} sends {describe(split)}{_router_writer(observed.router or {}, target)}",
            f"put the weights back to {stable.slot} 100 %, or find out who moved them; then run again.",
        )
    live = [slot for slot in target.slots if _live_replicas(observed.deployments[slot]) > 0]
    serving = [slot for slot in live if split[slot] == 100]
    if serving:
        return _adopted(observed.deployments[serving[0]] or {}, serving[0]), None
    if live:
        return None, Decision(
            REFUSE,
            f"there is no journal, slot {live[0]} runs, and {target.router_kind} {target.router_name} sends "
            f"{describe(split)}: which slot is stable cannot be told",
            "send all traffic to the slot that is right, or scale the slots to 0; then run again.",
        )
    return None, None


def _router_writer(router: dict[str, Any], target: Target) -> str:
    # Both are atomic to the API server: it names no owner for anything inside them.
    return changed_by(router, "spec", "rules" if target.router_kind == HTTP_ROUTE else "selector")


def _live_replicas(deployment: dict[str, Any] | None) -> int:
    return int(deployment["spec"].get("replicas", 1)) if deployment else 0


def _with_live_size(release: Release, observed: Observed) -> Release:
    """An autoscaler may have changed the size since the journal was written."""
    live = _live_replicas(observed.deployments[release.slot])
    return Release(release.slot, release.version, release.content_hash, live or release.replicas)


def _adopted(deployment: dict[str, Any], slot: str) -> Release:
    """A slot that serves without a journal (it was lost, or the slot was made by other means)."""
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    digest = (deployment["metadata"].get("annotations") or {}).get(ANNOTATION_HASH, "")
    return Release(slot, labels.get("version", "unknown"), digest, _live_replicas(deployment))


def _unfinished(
    rollout: Rollout, split: dict[str, int], desired: Desired, target: Target, observed: Observed
) -> Decision:
    what = f"rollout {rollout.id} of {rollout.candidate.version} ({rollout.phase}, started {rollout.started})"
    foreign = foreign_split(rollout, split, target, observed.router or {})
    if foreign:
        return Decision(
            REFUSE,
            f"{what} did not end, and {foreign}",
            "put the weights to one side of the step that rollout_info shows, then run again.",
        )
    if rollout.group != desired.group and desired.state != "aborted":
        refusal = _of_another_group(rollout, desired, what)
        if refusal is not None:
            return refusal
    goes_on = desired.on_unfinished in ("resume", "supersede")
    if rollout.phase == ROLLING_BACK and (wants_back(desired, rollout) or goes_on):
        left = rollout.steps[rollout.cursor :]
        return Decision(RESUME, f"{what} was being taken back; finishing that", steps=left)
    if wants_back(desired, rollout):
        return Decision(TAKE_BACK, f"{what} did not end; taking it back", steps=take_back(rollout, target))
    same = desired.state == "present" and rollout.candidate.content_hash == desired.content_hash
    same = same or desired.state == "finished"
    if desired.state == "rolled_back" and rollout.operation == "rollback":
        same = True
    if goes_on and same:
        left = rollout.steps[rollout.cursor :]
        return Decision(RESUME, f"{what} did not end; going on from step {rollout.cursor + 1}", steps=left)
    return Decision(
        REFUSE,
        f"{what} did not end",
        f"run version {rollout.candidate.version} again to finish it, take it back with "
        "playbooks/rollback.yml (state=aborted), or set on_unfinished=abort to take it back and go on.",
    )


def _of_another_group(rollout: Rollout, desired: Desired, what: str) -> Decision | None:
    """A refusal unless a rollout that belongs to no group may be taken back for one that does."""
    if rollout.group:
        return Decision(
            REFUSE,
            f"{what} belongs to release {rollout.group} of several services",
            "finish that with the same group release, or take it back (playbooks/group_rollback.yml); state=aborted "
            "takes this one service back alone.",
        )
    if desired.on_unfinished == "abort":
        return None
    return Decision(
        REFUSE,
        f"{what} did not end, and does not belong to the group",
        f"run version {rollout.candidate.version} of this service again to finish it, or set on_unfinished=abort to "
        "take it back first.",
    )


def wants_back(desired: Desired, rollout: Rollout) -> bool:
    """Whether an unfinished rollout is to be taken back."""
    if desired.on_unfinished == "supersede" and desired.state == "present":
        return rollout.candidate.content_hash != desired.content_hash
    return desired.state == "aborted" or desired.on_unfinished == "abort" or ends_with_back(desired, rollout)


def ends_with_back(desired: Desired, rollout: Rollout) -> bool:
    """Whether taking C(rollout) back is all that is wished: somebody who rolls back while a version is half-way out
    wants the one before it, not the one before that."""
    if desired.state == "aborted":
        return True
    return desired.state == "rolled_back" and rollout.operation == "deploy" and desired.on_unfinished != "fail"


def foreign_split(rollout: Rollout, split: dict[str, int], target: Target, router: dict[str, Any]) -> str:
    """What is wrong if the live split is neither side of what the journal says was being done; else empty."""
    if split in rollout.sides:
        return ""
    sides = " or ".join(describe(side) for side in rollout.sides)
    return (
        f"{target.router_kind} {target.router_name} sends {describe(split)}{_router_writer(router, target)} "
        f"where the journal allows {sides}"
    )


def _to_previous(observed: Observed, stable: Release | None, desired: Desired, target: Target) -> Decision:
    journal = observed.journal
    done = journal.rollout
    if stable is not None and done is not None and done.operation == "rollback" and done.phase == PASSED:
        # Twice the same wish must not bring the bad version back.
        return Decision(NOTHING, f"{stable.version} has been brought back already", stable=stable)
    if stable is None or journal.previous is None or "previous" not in journal.manifests:
        return Decision(
            REFUSE,
            f"the journal of {target} knows no release before the present one",
            "deploy the version you want with playbooks/deploy.yml.",
        )
    previous = journal.previous
    return _deploy(
        observed,
        stable,
        desired,
        target,
        previous.version,
        previous.content_hash,
        journal.manifests["previous"],
        default_replicas=previous.replicas,
    )


def _deploy(
    observed: Observed,
    stable: Release | None,
    desired: Desired,
    target: Target,
    version: str,
    digest: str,
    manifest: dict[str, Any],
    default_replicas: int = 1,
) -> Decision:
    # What has proved itself before comes back at once: no second analysis, and never into the slot that serves.
    back = desired.state == "rolled_back"
    strategy = BLUE_GREEN if back else desired.strategy
    # Nor does a way back wait for anybody's approval.
    pace = replace(desired.pace, gates=()) if back else desired.pace
    slot = _slot_for(strategy, stable, target)
    size = desired.replicas or (stable.replicas if stable else manifest["spec"].get("replicas", default_replicas))
    candidate = Release(slot, version, digest, int(size))
    steps = steps_of(strategy, candidate, stable, target, pace)
    reason = f"{version} into slot {slot}" + (f", replacing {stable.version} in {stable.slot}" if stable else "")
    return Decision(
        DEPLOY, reason, candidate=candidate, stable=stable, manifest=manifest, steps=steps, strategy=strategy
    )


def _slot_for(strategy: str, stable: Release | None, target: Target) -> str:
    if stable is None:
        return target.slots[0]
    return stable.slot if strategy == ROLLING else target.other(stable.slot)
