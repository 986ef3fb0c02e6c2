# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States present and absent of a replication group. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._aws import tags as aws_tags
from .._common.errors import OperationError
from .._common.known import known
from .._common.waiting import Finding
from . import plan as planning
from . import wait
from .actions import await_snapshot
from .desk import Desk, Outcome, Sight
from .model import AVAILABLE, CREATE_FAILED, DELETING
from .plan import Plan, Step


class Keeper:
    """Makes a group what is wished for, or removes it. Raises OperationError."""

    def __init__(self, desk: Desk, wish: Mapping[str, Any], check_mode: bool) -> None:
        self._desk = desk
        self._wish = {**wish, "replication_group_id": desk.group_id}
        self._check_mode = check_mode

    def present(self) -> Outcome:
        """Create the group, or change what differs."""
        desk = self._desk
        described = desk.api.group(desk.group_id)
        if described is not None and described["Status"] == DELETING:
            self._outlast()
            described = None
        if described is None:
            return self._create()
        if not self._check_mode and (desk.waiting.wanted or described["Status"] == CREATE_FAILED):
            described = desk.need_available(described, "compare")
        sight = known(desk.see(described), "the group")
        plan = planning.modification(self._wish, sight.group)
        outcome = Outcome(False, "", dict(plan.before), dict(plan.after), list(plan.not_compared))
        tagged = self._tag(sight, outcome)
        outcome.changed = plan.changes or tagged
        if plan.changes and not self._check_mode:
            desk.need_available(described, "change")
            self._run(plan, sight.group.tags)
        changed = f"{'Would change' if self._check_mode else 'Changed'} {', '.join(sorted(outcome.after))}"
        outcome.msg = f"{changed} of {desk.name}." if outcome.changed else f"Nothing to change in {desk.name}."
        if outcome.changed and not self._check_mode:
            sight = desk.see(desk.api.group(desk.group_id)) or sight
        outcome.more["replication_group"] = sight.plain()
        return outcome

    def absent(self, final_snapshot_identifier: str | None, retain_primary_cluster: bool) -> Outcome:
        """Delete the group, with a last snapshot where that is wanted."""
        desk = self._desk
        described = desk.api.group(desk.group_id)
        if described is None:
            return Outcome(False, f"There is no {desk.name}.")
        plan = planning.deletion(desk.group_id, final_snapshot_identifier, retain_primary_cluster)
        begun = described["Status"] == DELETING
        outcome = Outcome(not begun, f"Deleted {desk.name}.", dict(plan.before), dict(plan.after))
        if self._check_mode:
            outcome.msg = f"{desk.name} is being deleted already." if begun else f"Would delete {desk.name}."
            return outcome
        if not begun:
            if described["Status"] != CREATE_FAILED:
                desk.need_available(described, "delete")
            desk.api.run(plan.steps[0])
        if not desk.waiting.wanted:
            outcome.msg = f"{desk.name} is being deleted."
            return outcome
        self._await_gone()
        if final_snapshot_identifier:
            outcome.more["snapshot"] = await_snapshot(desk, final_snapshot_identifier)
        return outcome

    def _create(self) -> Outcome:
        desk = self._desk
        if self._wish.get("auth_token") is not None and not self._wish.get("transit_encryption_enabled"):
            raise OperationError(
                f"create {desk.name}", "auth_token needs transit_encryption_enabled.", "set it to true as well."
            )
        plan = planning.creation({**self._wish, "tags": aws_tags.to_aws(self._wish.get("tags") or {})})
        outcome = Outcome(True, f"Would create {desk.name}.", dict(plan.before), dict(plan.after))
        if self._check_mode:
            return outcome
        self._run(plan, self._wish.get("tags") or {})
        outcome.msg = f"Created {desk.name}."
        sight = desk.see(desk.api.group(desk.group_id))
        outcome.more["replication_group"] = sight.plain() if sight else {}
        return outcome

    def _run(self, plan: Plan, tags: Mapping[str, str]) -> None:
        """Send all steps. Between two of them the group has to be available again, whoever wants to wait."""
        for step in plan.steps:
            self._desk.api.run(step)
            if self._desk.waiting.wanted or step is not plan.steps[-1]:
                self._settle(step, tags)

    def _settle(self, step: Step, tags: Mapping[str, str]) -> None:
        desk = self._desk
        now = step.arguments.get("ApplyImmediately", False)

        def look() -> Finding:
            described = desk.api.group(desk.group_id)
            if described is None or described["Status"] != AVAILABLE:
                return wait.available(None if described is None else described["Status"])
            sight = known(desk.see(described, tags), "the group")
            left = planning.unsettled(self._wish, sight.group, step.options) if now else []
            return wait.settled(sight.group, left)

        desk.wait(look, f"{step.method.replace('_', ' ')} {desk.group_id}")

    def _tag(self, sight: Sight, outcome: Outcome) -> bool:
        """Bring the tags in order, noting it in C(outcome). Whether there was something to do."""
        wanted = self._wish.get("tags")
        if wanted is None:
            return False
        current, purge = dict(sight.group.tags), bool(self._wish.get("purge_tags", True))
        to_set, to_remove = aws_tags.difference(current, wanted, purge)
        if not to_set and not to_remove:
            return False
        kept = {key: value for key, value in current.items() if key not in to_remove}
        outcome.before["tags"], outcome.after["tags"] = current, {**kept, **to_set}
        if not self._check_mode:
            if to_remove:
                self._desk.api.remove_tags(sight.group.arn, to_remove)
            if to_set:
                self._desk.api.set_tags(sight.group.arn, to_set)
        return True

    def _outlast(self) -> None:
        """Wait for the end of a deletion that somebody began, before the group is created again."""
        if self._check_mode:
            return
        if not self._desk.waiting.wanted:
            raise OperationError(
                f"create {self._desk.name}",
                "the former group of this name is being deleted.",
                "run again when it is gone, or with wait=true.",
            )
        self._await_gone()

    def _await_gone(self) -> None:
        desk = self._desk

        def look() -> Finding:
            described = desk.api.group(desk.group_id)
            return wait.gone(None if described is None else described["Status"])

        desk.wait(look, f"see the end of {desk.name}")
