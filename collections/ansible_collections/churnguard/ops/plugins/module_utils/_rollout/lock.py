# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rollout at a time per application: a Lease, with fencing. Internal: may change in any release.

The lock is compared by the API server's clock (its Date header), so a wrong clock here can neither steal nor lose it.
"""

from __future__ import annotations

import getpass
import math
import os
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .._common.clock import Clock, isoformat, parse_time
from .._common.errors import OperationError
from .._kubernetes.errors import Conflict
from .api import RolloutApi
from .model import Target

ANNOTATION_PROCESS = "churnguard.ops/holder-process"


class LockHeld(OperationError):
    """Somebody else has the lock."""

    def __init__(self, target: Target, holder: str, age: float, free_in: float) -> None:
        self.holder = holder
        lease = f"Lease {target.namespace}/{target.journal}"
        if math.isinf(free_in):
            next_step = f"ask {holder}, who made it without an end; delete {lease} when it is no longer needed."
        else:
            next_step = f"wait until that run ends; if it is dead, the lock is free in {max(free_in, 0):.0f} s."
        renewed = "" if math.isinf(free_in) else f", renewed {age:.0f} s ago"
        super().__init__(f"lock {target}", f"{holder} holds {lease}{renewed}.", next_step)


class LockLost(OperationError):
    """The lock was ours and is not any more; nothing may be written."""

    def __init__(self, target: Target, holder: str) -> None:
        super().__init__(
            f"go on with the rollout of {target}",
            f"the lock was taken over by {holder or 'another run'} after it had expired.",
            "leave it to that run (rollout_info shows where it is). This run has stopped writing.",
        )


def own_process() -> str:
    """This process, so that a later run on the same machine can tell that it is dead: boot id, process-id
    namespace, process id and start time. Empty where /proc does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        return f"{boot}/{namespace}/{os.getpid()}/{_start_time(os.getpid())}"
    except OSError:
        return ""


def own_name() -> str:
    """Who holds the lock, for people."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (process {os.getpid()})"


def process_is_dead(process: str) -> bool:
    """True only if C(process) (see own_process) ran on this machine, in this process-id namespace, and ended."""
    mine, theirs = own_process().split("/"), process.split("/")
    if len(mine) != 4 or len(theirs) != 4 or mine[:2] != theirs[:2]:
        return False
    try:
        return _start_time(int(theirs[2])) != theirs[3]
    except (OSError, ValueError):
        return True


def _start_time(pid: int) -> str:
    # Field 22 of /proc/PID/stat, see proc(5); the command name before it may hold spaces and parentheses.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


def holder_of(lease: dict[str, Any] | None) -> str:
    """The holder's name, or empty when the lock is free."""
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


def seconds_left(lease: dict[str, Any], now: datetime) -> float:
    """How long the holder may still be silent before the lock is free; negative when it has expired.

    Infinite for a Lease without times: somebody made it by hand, to keep everybody out.
    """
    spec = lease["spec"]
    if not spec.get("renewTime") or not spec.get("leaseDurationSeconds"):
        return math.inf
    renewed = parse_time(spec["renewTime"])
    return (renewed + timedelta(seconds=spec["leaseDurationSeconds"]) - now).total_seconds()


class Lock:
    """The Lease of one application, held by this process between C(acquire) and C(release)."""

    def __init__(self, api: RolloutApi, target: Target, clock: Clock, duration: int) -> None:
        self._api = api
        self._target = target
        self._clock = clock
        self._duration = duration
        self._lease: dict[str, Any] | None = None
        self._renewed = 0.0
        self.identity = own_name()
        self.process = own_process()

    def acquire(self) -> bool:
        """Take the lock. Returns True if it was taken over from a holder who had not released it.

        Raises LockHeld if somebody has it.
        """
        current = self._api.get_lease()
        holder = holder_of(current)
        self._refuse_if_held(current)
        wanted = self._wanted(current, self.identity)
        try:
            self._lease = self._api.replace_lease(wanted) if current else self._api.create_lease(wanted)
        except Conflict as error:
            self._lease = self._confirm_ours(error)
        self._renewed = self._clock.monotonic()
        return bool(holder)

    def check(self) -> None:
        """Raises LockHeld if somebody has the lock. Takes nothing and writes nothing."""
        self._refuse_if_held(self._api.get_lease())

    def _refuse_if_held(self, lease: dict[str, Any] | None) -> None:
        holder = holder_of(lease)
        if lease is None or not holder:
            return
        now = self._api.server_now()
        left = seconds_left(lease, now)
        process = (lease["metadata"].get("annotations") or {}).get(ANNOTATION_PROCESS, "")
        if left > 0 and not process_is_dead(process):
            age = lease["spec"].get("leaseDurationSeconds", 0) - left
            raise LockHeld(self._target, holder, age, left)

    def _confirm_ours(self, error: Conflict) -> dict[str, Any]:
        """After a conflict: either somebody was quicker, or our own write had arrived before the answer got lost."""
        lease = self._api.get_lease()
        if lease is None:
            raise error
        annotations = lease["metadata"].get("annotations") or {}
        if holder_of(lease) == self.identity and annotations.get(ANNOTATION_PROCESS) == self.process:
            return lease
        raise LockHeld(self._target, holder_of(lease) or "another run", 0, self._duration)

    @property
    def token(self) -> int:
        """Grows with each holder."""
        return int(self._lease["spec"].get("leaseTransitions") or 0) if self._lease else 0

    def keep(self) -> None:
        """Renew when a third of the time is over. Called before every write and during every wait.

        Raises LockLost if somebody else has taken over.
        """
        if self._clock.monotonic() - self._renewed >= self._duration / 3:
            self.renew()

    def renew(self) -> None:
        """Renew now. Raises LockLost if somebody else has taken over."""
        try:
            self._lease = self._api.replace_lease(self._wanted(self._lease, self.identity))
        except Conflict as error:
            try:
                self._lease = self._confirm_ours(error)
            except LockHeld as held:
                raise LockLost(self._target, held.holder) from held
        self._renewed = self._clock.monotonic()

    def release(self) -> None:
        """Give the lock back; if it is no longer ours, leave it."""
        if self._lease is None:
            return
        try:
            self._api.replace_lease(self._wanted(self._lease, ""))
        except Conflict:
            pass
        finally:
            self._lease = None

    def _wanted(self, current: dict[str, Any] | None, identity: str) -> dict[str, Any]:
        now = isoformat(self._api.server_now()).replace("Z", "000Z")
        spec = dict((current or {}).get("spec") or {})
        if holder_of(current) != identity:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (1 if identity else 0)
            spec["acquireTime"] = now
        spec.update(holderIdentity=identity, leaseDurationSeconds=self._duration, renewTime=now)
        metadata: dict[str, Any] = {"name": self._target.journal, "namespace": self._target.namespace}
        metadata["annotations"] = {ANNOTATION_PROCESS: self.process if identity else ""}
        if current is not None:
            metadata["resourceVersion"] = current["metadata"]["resourceVersion"]
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
