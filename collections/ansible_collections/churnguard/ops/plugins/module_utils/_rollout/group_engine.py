# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases several services in order as one: journal, act, and all or nothing. Internal: may change in any release."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from .._common.envelope import ABORTED, PASSED, ROLLED_BACK, Recorder
from .._common.errors import OperationError
from . import group
from .api import RolloutApi
from .engine import Outcome
from .group import MOVED, Decision, Entry, GroupRelease, GroupTarget, GroupWish
from .group_course import Course
from .group_locks import GroupLocks, SharedLock
from .group_service import Service
from .lock import Lock
from .model import ROLLING_BACK, RUNNING, Desired, Target


class GroupEngine:
    """Runs what group.decide decides, under the locks of all services, each by its own engine.

    C(services) are those that are wanted, in their order; C(service_of) makes one that only the journal knows;
    C(lock_for) makes a lock that is not taken yet.
    """

    def __init__(
        self,
        api: RolloutApi,
        target: GroupTarget,
        recorder: Recorder,
        services: Iterable[Service],
        service_of: Callable[[Entry], Service],
        lock_for: Callable[[RolloutApi, Target], Lock],
    ) -> None:
        self._api = api
        self._target = target
        self._recorder = recorder
        self._services = {service.name: service for service in services}
        self._wanted = list(self._services)
        self._service_of = service_of
        self._lock_for = lock_for
        self._course = Course(api, target, recorder)
        self._course.services = self._services
        self._named: dict[int, str] = {}
        self._identity = ""

    def run(self, wish: GroupWish, check_mode: bool = False) -> Outcome:
        """Bring about C(wish). With C(check_mode) nothing is written; the plan is returned.

        Raises OperationError (LockHeld, LockLost, Unreachable …) when it could not even begin, or was cut off; the
        journals then say how far it came.
        """
        self._load()
        self._bind()
        decision = self._decide(wish)
        self._describe_subject(wish)
        if decision.kind == group.REFUSE:
            # What looks unfinished may be under way: the name of who runs it helps more.
            self._course.locks.check()
        before = {name: service.summary() for name, service in self._services.items()}
        planned: dict[str, Outcome] = {}
        if decision.kind == group.START or check_mode:
            planned = self._planned(decision, wish)
        idle = decision.kind == group.START and not any(one.changed for one in planned.values())
        if check_mode or idle or decision.kind in (group.NOTHING, group.REFUSE):
            outcome = self._without_acting(decision, planned)
            after = {name: one.after for name, one in planned.items()}
        else:
            outcome = self._locked(wish)
            after = self._last_look()
        outcome.before = before
        outcome.after = {**before, **after}
        return outcome

    @property
    def release(self) -> dict[str, Any] | None:
        """What the journal says of the release in flight, or the last one, as plain data."""
        release = self._course.book.release
        return asdict(release) if release else None

    # -- looking and deciding ----------------------------------------------------------------------------------

    def _load(self) -> None:
        self._course.load()
        for entry in self._course.book.release.services if self._course.book.release else []:
            if entry.name not in self._services:
                self._services[entry.name] = self._service_of(entry)

    def _bind(self) -> None:
        """One lock for the group and one for each service, always in the same order, and the engines that use them."""
        own = self._lock_for(self._api, self._target)
        self._identity = own.identity
        locks = {name: self._lock_for(one.api, one.target) for name, one in sorted(self._services.items())}
        self._course.locks = GroupLocks([own, *locks.values()])
        for name, lock in locks.items():
            lock.identity = f"group {self._target.name} by {own.identity}"
            self._course.engines[name] = self._services[name].engine_with(SharedLock(lock, self._course.locks))
        self._named = {id(lock): name for name, lock in locks.items()}

    def _decide(self, wish: GroupWish) -> Decision:
        release = self._course.book.release
        standings = {entry.name: self._course.standing(entry) for entry in release.services} if release else {}
        return group.decide(release, standings, wish)

    def _describe_subject(self, wish: GroupWish) -> None:
        release = self._course.book.release
        versions = {name: one.version for name, one in zip(wish.names, wish.services)}  # noqa: B905 - Python 3.9
        if wish.state != "present" and release is not None:
            versions = {entry.name: entry.version for entry in release.services}
        different = list(dict.fromkeys(versions.values()))
        together = ", ".join(f"{name} {version}" for name, version in versions.items())
        self._recorder.subject = {
            "app": self._target.name,
            "namespace": self._target.namespace,
            "version": different[0] if len(different) == 1 else together or None,
            "previous_version": None,
            "strategy": "group",
            "slot": None,
            "services": [{"name": name, "version": version} for name, version in versions.items()],
            "reversible_until": wish.reversible_until or None,
        }

    def _planned(self, decision: Decision, wish: GroupWish) -> dict[str, Outcome]:
        """What the services' engines would do, in their order; nothing is written. Raises OperationError when one
        would refuse, so that nothing begins that cannot be ended."""
        wishes: dict[str, Desired] = {}
        if decision.kind == group.START:
            # No release has this mark yet: what belongs to another one, or to none, is somebody else's.
            wishes = {
                name: self._services[name].forward(f"{self._target.name}/", wish.on_unfinished, False)
                for name in self._wanted
            }
        elif decision.kind == group.RESUME:
            wishes = {name: self._services[name].finish(self._course.tag) for name in self._wanted}
        elif decision.kind in (group.TAKE_BACK, group.GO_ON_BACK):
            stands = [(entry.name, self._course.standing(entry)) for entry in reversed(self._course.release.services)]
            wishes = {name: self._services[name].back(self._course.tag, one) for name, one in stands if one in MOVED}
        return {name: self._course.engines[name].run(wanted, check_mode=True) for name, wanted in wishes.items()}

    def _without_acting(self, decision: Decision, planned: dict[str, Outcome]) -> Outcome:
        if decision.kind == group.REFUSE:
            raise OperationError(f"release {self._target}", f"{decision.reason}.", decision.next_step)
        changing = {name: one for name, one in planned.items() if one.changed}
        for name, one in changing.items():
            self._course.keep_steps(name, one)
        if decision.kind == group.NOTHING or decision.kind == group.START and not changing:
            reason = decision.reason
            if decision.kind == group.START:
                reason = "; ".join(one.message.partition(";")[0] for one in planned.values())
            self._recorder.event("completed", reason)
            return Outcome(PASSED, False, False, f"{reason}; nothing to do.")
        self._recorder.event("planned", decision.reason)
        details = "; ".join(f"{name}: {one.message}" for name, one in changing.items())
        return Outcome(PASSED, True, False, f"Would run: {decision.reason}. {details}".strip(), self._course.steps)

    # -- acting ------------------------------------------------------------------------------------------------

    def _locked(self, wish: GroupWish) -> Outcome:
        taken_over = self._course.locks.acquire(self._fence)
        try:
            names = ", ".join(self._named.values())
            self._recorder.event("locked", f"{names} by {self._identity}" + (", taken over" if taken_over else ""))
            return self._act(wish)
        finally:
            self._give_back()

    def _fence(self, lock: Lock) -> None:
        name = self._named.get(id(lock))
        if name is None:
            self._api.fence("ConfigMap", self._target.journal, lock.token)
        else:
            self._course.engines[name].fence()

    def _give_back(self) -> None:
        try:
            self._course.locks.release()
        except OperationError as error:
            self._recorder.event("failed", f"a lock was not given back and will expire: {error}")

    def _act(self, wish: GroupWish) -> Outcome:
        """Decide again now that nobody else writes, and do it; after an unfinished release has been taken back, the
        wish itself is next."""
        changed = False
        while True:
            self._load()
            decision = self._decide(wish)
            if decision.kind in (group.NOTHING, group.REFUSE):
                outcome = self._without_acting(decision, {})
                outcome.changed = changed
                return outcome
            if decision.kind == group.START:
                planned = self._planned(decision, wish)
                if not any(one.changed for one in planned.values()):
                    outcome = self._without_acting(decision, planned)
                    outcome.changed = changed
                    return outcome
                self._begin(wish)
            self._recorder.event("planned", decision.reason)
            if decision.kind in (group.START, group.RESUME):
                return self._course.forward(wish)
            outcome = self._other(decision)
            changed = True
            if decision.kind == group.GO_ON_BACK and wish.state == "present" and wish.on_unfinished != "abort":
                # Somebody, or a failure, has decided against these versions.
                outcome.verdict, outcome.failed = ROLLED_BACK, True
            if outcome.failed and decision.kind != group.CLOSE or wish.state != "present":
                return outcome

    def _other(self, decision: Decision) -> Outcome:
        """All that may come before the wish itself."""
        if decision.kind == group.CONCLUDE:
            return self._course.conclude()
        if decision.kind == group.CLOSE:
            return self._course.closed(ROLLED_BACK, self._course.reason_of_services())
        if decision.kind == group.GO_ON_BACK and self._course.release.phase == ROLLING_BACK:
            return self._course.back()
        if decision.kind == group.GO_ON_BACK:
            return self._course.take_back(self._course.reason_of_services(), ROLLED_BACK)
        finished = not self._course.release.unfinished
        return self._course.take_back("taken back on request", group.RETURNED if finished else ABORTED)

    def _begin(self, wish: GroupWish) -> None:
        release = GroupRelease(
            id=uuid.uuid4().hex[:8],
            phase=RUNNING,
            services=[self._services[name].entry() for name in self._wanted],
            reversible_until=wish.reversible_until,
            started=self._course.now(),
            holder=self._identity,
        )
        self._course.begin(release)

    def _last_look(self) -> dict[str, Any]:
        """For the diff alone: a release that has ended does not fail because nobody could look at it."""
        try:
            return {name: service.summary() for name, service in self._services.items()}
        except OperationError as error:
            self._recorder.event("failed", f"the state afterwards could not be read: {error}")
            return {}
