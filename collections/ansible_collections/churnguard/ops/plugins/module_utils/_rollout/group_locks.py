# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks of a group: its own Lease and those of all its services, all or none. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .._common.errors import OperationError
from .lock import Lock


class GroupLocks:
    """Held together, from the first to be asked for to the last: two groups that share services cannot each have some
    of them, because everybody asks in the same order and nobody waits."""

    def __init__(self, locks: Sequence[Lock]) -> None:
        self._locks = list(locks)
        self._held: list[Lock] = []

    @property
    def held(self) -> bool:
        return bool(self._held)

    def check(self) -> None:
        """Raises LockHeld if somebody has one of them. Takes nothing and writes nothing."""
        for lock in self._locks:
            lock.check()

    def acquire(self, fence: Callable[[Lock], None]) -> bool:
        """Take all; C(fence) is called at once for each that its holder had not given back. Returns whether there was
        such a one. Raises LockHeld, with none of them taken, if somebody has one."""
        taken_over = False
        try:
            for lock in self._locks:
                left_behind = lock.acquire()
                self._held.append(lock)
                if left_behind:
                    fence(lock)
                    taken_over = True
        except OperationError:
            self.release()
            raise
        return taken_over

    def keep(self) -> None:
        """Renew those that are due. Raises LockLost if somebody has taken one over."""
        for lock in self._held:
            lock.keep()

    def release(self) -> None:
        """Give all back; each is tried. Raises the first error."""
        problem: OperationError | None = None
        while self._held:
            try:
                self._held.pop().release()
            except OperationError as error:
                problem = problem or error
        if problem is not None:
            raise problem


class SharedLock(Lock):
    """One service's lock for its engine, while the group takes, keeps and releases it."""

    def __init__(self, lock: Lock, locks: GroupLocks) -> None:
        self._one = lock
        self._all = locks
        self.identity = lock.identity
        self.process = lock.process

    def acquire(self) -> bool:
        """It is held, and was fenced, already."""
        self._all.keep()
        return False

    def check(self) -> None:
        if not self._all.held:
            self._one.check()

    @property
    def token(self) -> int:
        return self._one.token

    def keep(self) -> None:
        self._all.keep()

    def renew(self) -> None:
        self._one.renew()
        self._all.keep()

    def release(self) -> None:
        """The group does it, at its end."""
