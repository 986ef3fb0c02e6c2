# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The course of a group's release: forward service by service, and back in reverse order. Internal: may change in any
release."""

from __future__ import annotations

from typing import Any

from .._common.clock import isoformat
from .._common.envelope import ABORTED, FAILED, PASSED, ROLLED_BACK, Recorder
from . import group, group_journal
from .api import RolloutApi
from .engine import Engine, Outcome
from .group import BACK, DONE, MOVED, PARKED, Entry, GroupJournal, GroupRelease, GroupTarget, GroupWish
from .group_locks import GroupLocks
from .group_service import Service
from .model import ROLLING_BACK, RUNNING, Desired
from .store import JournalStore


class Course:
    """Moves the release that C(book) holds. The journal says what is about to happen before it does."""

    def __init__(self, api: RolloutApi, target: GroupTarget, recorder: Recorder) -> None:
        self._api = api
        self._target = target
        self._recorder = recorder
        self._store = JournalStore(api, target, group_journal)
        self.book = GroupJournal()
        self.services: dict[str, Service] = {}
        self.engines: dict[str, Engine] = {}
        self.locks = GroupLocks([])
        self.steps: list[dict[str, Any]] = []

    def load(self) -> None:
        """Read the journal as it is now."""
        self.book = self._store.load()

    @property
    def release(self) -> GroupRelease:
        if self.book.release is None:
            raise ValueError("the group's journal holds no release")
        return self.book.release

    @property
    def tag(self) -> str:
        return self.release.tag(self._target.name)

    def standing(self, entry: Entry) -> str:
        """How far C(entry) is, by its own journal."""
        return self.services[entry.name].standing(self.tag)

    def begin(self, release: GroupRelease) -> None:
        """From now on C(release) is the one in flight."""
        self.book.release = release
        self._save()

    # -- forward -----------------------------------------------------------------------------------------------

    def forward(self, wish: GroupWish) -> Outcome:
        """From wherever the release is to its end, or to what becomes of it."""
        release = self.release
        if release.phase != group.FINISHING:
            release.phase, release.reason = RUNNING, ""
            for entry in release.services:
                failed = self._roll_out(entry, wish)
                if failed is not None:
                    return failed
            for entry in release.services:
                failed = self._still_well(entry)
                if failed is not None:
                    return failed
        return self._finish()

    def _roll_out(self, entry: Entry, wish: GroupWish) -> Outcome | None:
        """C(entry) up to where it has proved itself; None when it has, else what the whole release comes to."""
        release, service = self.release, self.services[entry.name]
        if self.standing(entry) not in (PARKED, DONE):
            entry.state, entry.reason = group.ROLLING_OUT, ""
            self._save()
            self._recorder.event("service", f"{entry.name} {entry.version}", {"service": entry.name})
            outcome = self._run(service, service.forward(self.tag, wish.on_unfinished, release.irreversible))
            if outcome.failed:
                return self._failed(entry, outcome)
            entry.state = group.PROVED if outcome.changed else group.UNCHANGED
        else:
            entry.state = group.PROVED
        if entry.name == release.reversible_until and entry.state == group.PROVED and not release.irreversible:
            release.irreversible = True
            text = f"{entry.name} has proved itself: from here on nothing is taken back any more"
            self._recorder.event("irreversible", text)
        return None

    def _still_well(self, entry: Entry) -> Outcome | None:
        """The last look before the first old version goes, when everything can still be taken back."""
        if self.standing(entry) != PARKED:
            return None
        reason, verdict = self.services[entry.name].trouble(self.locks.keep)
        if not reason:
            return None
        self._recorder.event("failed", f"{entry.name}: {reason}", {"service": entry.name})
        return self._failed(entry, Outcome(verdict, True, True, reason))

    def _failed(self, entry: Entry, outcome: Outcome) -> Outcome:
        """C(entry) did not make it: everything goes back, unless the mark is behind or it was stopped half-way."""
        entry.state, entry.reason = group.FAILED, outcome.message
        reason = f"{entry.name}: {outcome.message}"
        if self.release.irreversible:
            return self._stopped(group.FROZEN, reason, self._frozen_message(entry))
        if outcome.verdict not in (ROLLED_BACK, ABORTED):
            proved = [one.name for one in self.release.services if one.state == group.PROVED]
            rest = f" {_are(proved)} on the new version and can still be taken back." if proved else ""
            return self._stopped(
                group.HALTED,
                reason,
                f"The release of {self._target} stopped at {entry.name}: {outcome.message.rstrip('.')}.{rest} Next: "
                "run the same release again to go on, or take it all back (playbooks/group_rollback.yml).",
            )
        result = self.take_back(reason, outcome.verdict)
        # Whoever started the run wanted the versions, and did not get them.
        result.failed = True
        return result

    def _frozen_message(self, entry: Entry) -> str:
        release = self.release
        stay = [f"{one.name} {one.version}" for one in release.services if one.state == group.PROVED]
        return (
            f"The release of {self._target} is frozen: {entry.name} failed after {release.reversible_until}, and from "
            f"there on nothing is taken back. {_are(stay)} live and stay{'s' if len(stay) == 1 else ''}, with the old "
            f"version still warm. {entry.name} is left as it is: {entry.reason.rstrip('.')}. Next: deal with the "
            f"reason and run the same release again to go on; or release a version of {entry.name} that works, with "
            "on_unfinished=abort, which finishes the others first."
        )

    def _finish(self) -> Outcome:
        """All have proved themselves: the old versions end, one after the other. Only a request takes this back."""
        release = self.release
        release.phase = group.FINISHING
        self._save()
        for entry in release.services:
            service, stands = self.services[entry.name], self.standing(entry)
            if stands in (PARKED, group.UNDER_WAY):
                outcome = self._run(service, service.finish(self.tag))
                if outcome.failed:
                    return self._not_finished(entry, outcome.message)
                stands = DONE
            if stands == DONE:
                entry.state = DONE
            elif entry.state != group.UNCHANGED:
                return self._not_finished(entry, f"it is {stands.replace('_', ' ')}, by another hand")
        group.close(self.book, PASSED, self.now())
        self._save()
        live = ", ".join(f"{entry.name} {entry.version}" for entry in release.services)
        message = f"{live}: live together."
        self._recorder.event("completed", message)
        return Outcome(PASSED, True, False, message, self.steps)

    def _not_finished(self, entry: Entry, reason: str) -> Outcome:
        entry.reason = reason
        message = (
            f"All services of {self._target} are on their new versions, but {entry.name} could not be finished: "
            f"{reason.rstrip('.')}. Next: deal with that, then run the same release again, or take it back "
            "(playbooks/group_rollback.yml)."
        )
        return self._stopped(group.FINISHING, f"{entry.name}: {reason}", message)

    def _stopped(self, phase: str, reason: str, message: str) -> Outcome:
        self.release.phase, self.release.reason = phase, reason
        self._save()
        self._recorder.event("failed", message)
        return Outcome(FAILED, True, True, message, self.steps)

    # -- back --------------------------------------------------------------------------------------------------

    def take_back(self, reason: str, verdict: str) -> Outcome:
        """From now on the release goes back; it will end with C(verdict)."""
        release = self.release
        release.phase, release.reason, release.verdict = ROLLING_BACK, reason, verdict
        self._save()
        self._recorder.event("rollback_started", reason)
        return self.back()

    def back(self) -> Outcome:
        """The services that this release has touched, the last one first."""
        release = self.release
        for entry in reversed(release.services):
            service, stands = self.services[entry.name], self.standing(entry)
            if stands in MOVED:
                entry.state = group.GOING_BACK
                self._save()
                outcome = self._run(service, service.back(self.tag, stands))
                if outcome.failed:
                    message = (
                        f"{self._target} is only partly taken back: {entry.name} could not be: "
                        f"{outcome.message.rstrip('.')}. Next: deal with that, then run playbooks/group_rollback.yml."
                    )
                    return self._stopped(ROLLING_BACK, release.reason, message)
                stands = BACK
            if stands == BACK:
                entry.state = BACK
        verdict = release.verdict or ROLLED_BACK
        if verdict == group.RETURNED:
            return self.closed(ROLLED_BACK, release.reason, PASSED)
        return self.closed(verdict, release.reason)

    def closed(self, phase: str, reason: str, verdict: str = "") -> Outcome:
        """The release has ended and nothing of it is left."""
        release = self.release
        release.reason = reason
        for entry in release.services:
            entry.state = BACK if self.standing(entry) == BACK else entry.state
        group.close(self.book, phase, self.now())
        self._save()
        back = [entry.name for entry in reversed(release.services) if entry.state == BACK]
        order = f"taken back in this order: {', '.join(back)}" if back else "nothing had begun"
        message = f"The release of {self._target} was undone ({reason.rstrip('.')}); {order}."
        self._recorder.event("rolled_back", message)
        verdict = verdict or phase
        return Outcome(verdict, True, verdict == ROLLED_BACK, message, self.steps)

    def conclude(self) -> Outcome:
        """Past the mark, and another release is wanted: what has proved itself is finished, and only what has failed
        is taken back."""
        release = self.release
        for entry in release.services:
            service, stands = self.services[entry.name], self.standing(entry)
            if stands == PARKED:
                outcome = self._run(service, service.finish(self.tag))
                if outcome.failed:
                    return self._not_finished(entry, outcome.message)
                entry.state = DONE
            elif stands in (group.UNDER_WAY, group.TAKING_BACK):
                outcome = self._run(service, service.back(self.tag, stands))
                if outcome.failed:
                    return self._stopped(group.FROZEN, release.reason, f"{entry.name}: {outcome.message}")
                entry.state = BACK
        group.close(self.book, group.SUPERSEDED, self.now())
        self._save()
        message = f"release {release.id} is concluded: what had proved itself is finished"
        self._recorder.event("superseded", message)
        return Outcome(PASSED, True, False, message, self.steps)

    # -- shared ------------------------------------------------------------------------------------------------

    def reason_of_services(self) -> str:
        """Why a service of the release was taken back; empty if none was."""
        for entry in self.release.services:
            rollout = self.services[entry.name].journal().rollout
            if rollout is not None and rollout.group == self.tag and rollout.reason:
                return f"{entry.name}: {rollout.reason}"
        return ""

    def keep_steps(self, name: str, outcome: Outcome) -> None:
        """Note what service C(name) did, or would do."""
        self.steps += [{"service": name, **step} for step in outcome.steps]

    def now(self) -> str:
        return isoformat(self._api.server_now())

    def _run(self, service: Service, wish: Desired) -> Outcome:
        outcome = service.run(self.engines[service.name], wish)
        self.keep_steps(service.name, outcome)
        return outcome

    def _save(self) -> None:
        self.locks.keep()
        self._store.save(self.book)


def _are(names: list[str]) -> str:
    """For people: "a and b are"."""
    joined = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
    return f"{joined} {'is' if len(names) == 1 else 'are'}"
