# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore from its interlocks to the proof that its point was reached. A drill may run the phases one by one:
C(prepare), C(files), C(start), C(replay), C(result). Internal: may change in any release."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from .._common.clock import Clock
from .._common.envelope import NOT_CHECKED
from .._common.errors import OperationError
from .._common.known import known
from .._pgbackrest import api
from .._pgbackrest.api import complaint
from .._pgbackrest.explain import explain
from .._pgbackrest.model import Catalog, Verification
from .._pgbackrest.plan import shown
from .._pgbackrest.runner import Runner
from . import content, interlocks, plan, received, scratch, server
from .model import IMMEDIATE, LATEST, LSN, NAME, TIME, Chosen, Refused, Request, Restored, Say, Walk


@dataclass
class Session:
    """One restore under way. Every phase may raise OperationError, and C(prepare) Refused before anything changes."""

    request: Request
    run: Runner
    clock: Clock
    say: Say = lambda text: None
    durations: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.source: interlocks.Source | None = None
        self.catalog: Catalog | None = None
        self.chosen: Chosen | None = None
        self.walk: Walk | None = None
        self.verification: Verification | None = None
        self.space: dict[str, int] = {}
        self.marker: scratch.Marker | None = None
        self.isolated: dict[str, str] = {}
        self.state: server.State | None = None
        self.outcome: plan.Outcome | None = None

    # --- phases -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Look at everything and change nothing: the target, the catalog, the repository and the WAL."""
        request = self.request
        wrong = server.may_set(dict(request.target.settings))
        if wrong:
            raise Refused("isolation", self._what(), f"settings may not hold {', '.join(wrong)}.", "leave them out.")
        self.source = interlocks.read_source(request.place)
        interlocks.check_target(request, self.source)
        self.catalog = api.info(request.place, self.run)
        if self.catalog.status != 0 and not self.catalog.backups:
            raise Refused("no_backup", self._what(), f"{self.catalog.message}.", "check the stanza and its repository.")
        allow = "backup_broken" in request.ignore
        self.chosen = plan.choose(self.catalog, request.point, request.label, allow)
        received.check(request, self.chosen.backup.system_id, self._what())
        self._look_at_wal()
        if request.point.kind == NAME:
            self._find_name(allow)
        self._check_space()
        if request.verify:
            self._verify()
        self._check_wal("before the files")

    def files(self) -> None:
        """Restore the files into the marked folder; an earlier scratch copy of the same marker goes first."""
        request, chosen = self.request, self._chosen()
        target = request.target
        begin = self.clock.monotonic()
        if scratch.read_marker(target) is not None:
            self.say(f"removing the earlier scratch copy in {target.data_dir}")
            scratch.remove(target, self.clock)
        tablespaces = bool(api.set_info(request.place, chosen.backup.label, self.run).get("tablespace"))
        marker = scratch.Marker(
            target.marker, os.path.realpath(target.data_dir), target.port, system_identifier=chosen.backup.system_id
        )
        scratch.make_folders(target, marker, self.run, self.clock)
        self.marker = marker
        options = self._recovery_options()
        if tablespaces:
            # Without it they would go where the source has its own.
            options.append(f"--tablespace-map-all={target.tablespaces}")
        place = replace(request.place, repo=chosen.backup.repo)
        done = api.restore(place, str(target.data_dir), chosen.backup.label, self.run, request.timeout, options)
        found = interlocks.system_identifier(target.data_dir)
        if done.code or found != chosen.backup.system_id:
            raise OperationError(
                f"restore {chosen.backup.label} into {target.data_dir}",
                # pgBackRest does not say why it could not write.
                f"{complaint(done)} ({interlocks.free_bytes(target)} bytes are free there).",
                "the folder is marked as scratch: remove it with state absent.",
            )
        scratch.write_inner(target, marker, self.run)
        scratch.write_marker(target, marker, scratch.RESTORED, self.clock)
        control = server.control_data(request, self.run)
        server.configure(request, control, self.run)
        self.isolated = server.prove_isolation(request, self.run)
        self.durations["files_s"] = round(self.clock.monotonic() - begin, 3)
        if self._walk().content_checked == 0:
            self._read_content(target.data_dir)
            self._check_wal("before the start")

    def start(self) -> None:
        """Start the server and wait until it is consistent and takes connections."""
        begin = self.clock.monotonic()
        scratch.write_marker(self.request.target, known(self.marker, "the marker"), scratch.STARTED, self.clock)
        server.start(self.request, self.run)
        self.state = server.await_state(self.request, self.run, self.clock, self.say, False, self.request.timeout)
        self.durations["start_s"] = round(self.clock.monotonic() - begin, 3)

    def replay(self) -> None:
        """Wait until recovery has ended, and check that it ended at the point. Raises OperationError if not."""
        begin = self.clock.monotonic()
        request, walk = self.request, self._walk()
        self.state = server.await_state(request, self.run, self.clock, self.say, True, request.timeout)
        self.durations["replay_s"] = round(self.clock.monotonic() - begin, 3)
        self.outcome = plan.reached(request.point, server.log_of(request.target), walk, self.state.replayed_to)
        if not self.outcome.reached:
            lost = [*walk.missing[:3], *walk.broken][:5]
            raise OperationError(
                f"recover the copy in {request.target.data_dir} to {plan.describe(request.point)}",
                f"the server was promoted, but {self.outcome.reason}"
                + (f"; broken or missing: {', '.join(lost)}." if lost else "."),
                "do not use this copy: what was written after that is not in it. Choose an earlier point or repair "
                "the archive.",
            )
        scratch.write_marker(request.target, known(self.marker, "the marker"), scratch.REACHED, self.clock)

    def result(self) -> Restored:
        """What was restored."""
        request, chosen, walk = self.request, self._chosen(), self._walk()
        state, outcome = known(self.state, "the server's state"), known(self.outcome, "the outcome")
        row = server.query(request, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)", self.run)
        return Restored(
            data_dir=str(request.target.data_dir),
            port=request.target.port,
            socket_dir=str(request.target.data_dir),
            marker=request.target.marker,
            backup=shown(chosen.backup, self.clock.now().timestamp(), self.verification),
            selection=chosen.reason,
            wal={**walk.as_data(), "content": "checked" if walk.content_checked else NOT_CHECKED},
            timeline=int(row[0], 16) if row else 0,
            recovery_target={"kind": request.point.kind, "value": request.point.value or None},
            stopped_by=outcome.stopped_by,
            last_replayed_commit=state.last_commit or None,
            replayed_to=state.replayed_to,
            system_identifier=chosen.backup.system_id,
            isolation=self.isolated,
            durations=dict(self.durations),
        )

    # --- parts of prepare ---------------------------------------------------------------------------------------

    def _look_at_wal(self) -> None:
        request, backup = self.request, self._chosen().backup
        size = plan.DEFAULT_SEGMENT_SIZE
        until = plan.until_of(request.point, backup, size, request.require_wal)
        self.walk = content.names(request, backup.archive_id, backup.wal_start, until, size, self.run)
        if request.point.kind in (IMMEDIATE, LSN):
            last = plan.segment_of(until, size)[1]
            # What lies behind the point is not read, and may be missing.
            for names in (self.walk.segments, self.walk.missing, self.walk.after_gap):
                names[:] = [name for name in names if plan.segment_of(name, size)[1] <= last]
        source = self._readable_source()
        if source is not None:
            self._read_content(source)

    def _find_name(self, allow: bool) -> None:
        """The newest backup behind which the archive holds the restore point by name."""
        request = self.request
        catalog = known(self.catalog, "the catalog")
        older = [backup for backup in reversed(catalog.backups) if backup.good or allow]
        for backup in older if not request.label else [self._chosen().backup]:
            if backup.label != self._chosen().backup.label:
                self.chosen = Chosen(backup, f"the newest good one before restore point {request.point.value}")
                self._look_at_wal()
            if self._walk().content_checked == 0:
                return  # the WAL can only be read once the files are there
            if request.point.value in self._walk().restore_points:
                return
        raise Refused(
            "no_backup_before_point",
            self._what(),
            f"{plan.name_reason(request.point)}.",
            "check its name, or recover to a time.",
        )

    def _check_space(self) -> None:
        request, walk = self.request, self._walk()
        if "disk_space" in request.ignore:
            return
        needed = plan.space_needed(self._chosen().backup, len(walk.segments), walk.segment_size)
        self.space = interlocks.check_space(request.target, needed, self._what())

    def _verify(self) -> None:
        self.say("verifying the repository")
        found = api.verify(self.request.place, self.run, self.request.timeout)
        self.verification = explain(self.request.place, found, self.run)
        broken = plan.broken_for(self._chosen().backup, self.verification)
        if broken and "backup_broken" not in self.request.ignore:
            more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
            raise Refused(
                "backup_broken",
                self._what(),
                f"the repository is broken: {'; '.join(broken[:5])}{more}.",
                "restore another backup (option backup), or one from another repository.",
                {"findings": broken[:20]},
            )

    def _check_wal(self, when: str) -> None:
        request, walk = self.request, self._walk()
        gap = plan.check_gap(walk, self._chosen().backup, request.point)
        if gap and "wal_gap" not in request.ignore:
            raise Refused(
                "wal_gap", self._what(), f"{gap}.", "recover to a point before it.", {"missing": walk.missing[:20]}
            )
        if walk.broken and "wal_content" not in request.ignore:
            told = "; ".join(f"{name}: {reason}" for name, reason in walk.broken.items())
            raise Refused(
                "wal_content",
                self._what(),
                f"archived WAL cannot be read ({when}): {told}.",
                "recover to a point before it.",
                {"broken": dict(walk.broken)},
            )

    def _read_content(self, pg_path: Path) -> None:
        if self.request.wal_content:
            content.read(self.request, self._walk(), pg_path, self.run, self.say)

    def _readable_source(self) -> Path | None:
        """A data folder with a control file of the right cluster, which archive-get asks for."""
        wanted = self._chosen().backup.system_id
        for folder in known(self.source, "the source").data_dirs:
            if interlocks.system_identifier(folder) == wanted:
                return folder
        return None

    def _recovery_options(self) -> list[str]:
        point = self.request.point
        if point.kind == LATEST:
            return ["--type=default"]
        options = [f"--type={point.kind}", "--target-action=promote"]
        if point.kind in (TIME, LSN, NAME):
            options.append(f"--target={point.value}")
        return options

    def _what(self) -> str:
        return f"restore stanza {self.request.place.stanza} into {self.request.target.data_dir}"

    def _chosen(self) -> Chosen:
        return known(self.chosen, "the backup")

    def _walk(self) -> Walk:
        return known(self.walk, "the range of WAL")


def restore(request: Request, run: Runner, clock: Clock, say: Say) -> Restored:
    """All phases of a restore. Raises Refused before anything changed, and OperationError."""
    session = Session(request, run, clock, say)
    session.prepare()
    session.files()
    try:
        session.start()
        session.replay()
        return session.result()
    except OperationError:
        # A copy that did not reach its point must not go on answering queries; its files stay for whoever looks.
        scratch.stop_processes(request.target, clock)
        raise
