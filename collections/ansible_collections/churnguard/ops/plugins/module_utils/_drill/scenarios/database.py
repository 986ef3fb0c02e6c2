# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the drills of a database share: settings, connections, heartbeats, the restore. Internal: may change in any
release."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..._common.errors import OperationError
from ..._pgbackrest import api
from ..._pgbackrest.model import Catalog, Place
from ..._pgbackrest.runner import SYSTEM_USER, Runner
from ..._postgres import manifest_session, store
from ..._postgres.connection import Connect, connector, open_session, rows
from ..._postgres.model import CHECKS, Options
from ..._restore.model import LATEST, SOCKET, Point, Request, Target
from ..._restore.server import isolation
from ..._restore.session import Session
from ..model import Resource
from ..remove_local import make_directory
from ..scenario import DrillContext, Refused

# Beside a data directory: whoever puts it there says that this cluster may be destroyed.
DRILLABLE = ".churnguard-drillable"
SCHEMA = "churnguard_drill"
PROGRAMS = "/usr/lib/postgresql/15/bin"

SPEC: dict[str, dict[str, Any]] = {
    "source": {
        "type": "dict",
        "required": True,
        "options": {
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 5432},
            "user": {"type": "str", "default": "postgres"},
            "database": {"type": "str", "default": "postgres"},
            "ssl_mode": {"type": "str", "default": "prefer"},
            "data_dir": {"type": "path"},
        },
    },
    "pgbackrest": {
        "type": "dict",
        "required": True,
        "options": {
            "config": {"type": "path", "default": "/etc/pgbackrest/pgbackrest.conf"},
            "stanza": {"type": "str", "default": "main"},
            "repo": {"type": "int", "default": 0},
            "program": {"type": "str", "default": "pgbackrest"},
            "system_user": {"type": "str", "default": SYSTEM_USER},
        },
    },
    "target": {
        "type": "dict",
        "required": True,
        "options": {"directory": {"type": "path", "required": True}, "port": {"type": "int", "required": True}},
    },
    "programs": {"type": "path", "default": PROGRAMS},
    "backup": {"type": "str", "choices": ["none", "full", "diff", "incr"], "default": "none"},
    "verify_repository": {"type": "bool", "default": True},
    "manifest": {
        "type": "dict",
        "default": {},
        "options": {
            "path": {"type": "path"},
            "include": {"type": "list", "elements": "str", "default": ["*.*"]},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "checks": {"type": "list", "elements": "str", "default": list(CHECKS)},
            "allow_skipped": {"type": "list", "elements": "str", "default": []},
            "ignore_settings": {"type": "list", "elements": "str", "default": []},
            "workers": {"type": "int", "default": 2},
        },
        "apply_defaults": True,
    },
    "timeout": {"type": "int", "default": 3600},
}


class Database:
    """The source, its repository and the copy that a drill makes of it, by the drill's settings."""

    def __init__(self, ctx: DrillContext) -> None:
        options = ctx.options
        self.ctx = ctx
        self.source: Mapping[str, Any] = options["source"]
        backup = options["pgbackrest"]
        self.place = Place(backup["config"], backup["stanza"], backup["repo"], backup["program"])
        self.run = Runner(backup["system_user"])
        self.home = Path(options["target"]["directory"]) / ctx.drill_id
        self.target = Target(self.home / "data", options["target"]["port"], ctx.drill_id, SOCKET)
        self.timeout = float(options["timeout"])

    # --- connections --------------------------------------------------------------------------------------------

    def to_source(self) -> Connect:
        """Opens sessions on the source."""
        return connector(source_login(self.ctx.options))

    def to_copy(self, database: str = "") -> Connect:
        """Opens sessions on the restored copy, by the socket in its private folder."""
        login = {
            "login_unix_socket": str(self.target.data_dir),
            "login_port": self.target.port,
            "login_user": self.source["user"],
            "login_db": database or self.source["database"],
        }
        return connector(login)

    def ask(self, connect: Connect, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a reading statement in a session of its own. Raises OperationError."""
        session = open_session(connect, None, 60)
        try:
            return rows(session, sql, parameters)
        finally:
            session.close()

    # --- backup -------------------------------------------------------------------------------------------------

    def catalog(self) -> Catalog:
        """What the repository holds."""
        return api.info(self.place, self.run)

    def back_up(self, kind: str) -> None:
        """Make a backup; only the catalog says whether there is one. Raises OperationError."""
        before = {backup.label for backup in self.catalog().backups}
        self.ctx.say(f"making a {kind} backup of stanza {self.place.stanza}")
        done = api.backup(self.place, kind, self.run, self.timeout)
        if not {backup.label for backup in self.catalog().backups} - before:
            raise OperationError(
                f"back up stanza {self.place.stanza}", api.complaint(done), "mend the backup before drilling it."
            )

    def verify(self) -> dict[str, Any]:
        """Every file of the repository against its checksum, as evidence."""
        self.ctx.say("verifying every file of the repository")
        found = api.verify(self.place, self.run, self.timeout)
        told = [" ".join(part for part in (item.path, item.kind, item.detail) if part) for item in found.findings]
        return {
            "kind": "repository",
            "name": "repository",
            "verdict": "passed" if found.passed else "failed",
            "reason": "; ".join(told[:5]),
            "findings": told[:20],
            "wal_checked": found.wal_checked,
            "files_checked": found.files_checked,
        }

    # --- manifest -----------------------------------------------------------------------------------------------

    def manifest_options(self, form: str = "record") -> Options:
        """What is captured and compared; C(form) C(text) also for logical copies."""
        wanted = self.ctx.options["manifest"]
        return Options(
            hash=form,
            workers=wanted["workers"],
            include=tuple(wanted["include"]),
            exclude=(*wanted["exclude"], f"{SCHEMA}.*"),
            checks=tuple(wanted["checks"]),
            allow_skipped=tuple(wanted["allow_skipped"]),
            # What isolates a copy has to differ.
            ignore_settings=(*wanted["ignore_settings"], *isolation(self.target, {}, 99), "restore_command"),
        )

    def capture(self) -> dict[str, Any]:
        """The manifest of the source: the given one, else one taken now and kept in the drill's folder."""
        path = self.ctx.options["manifest"]["path"]
        if path:
            return store.load(path)
        self.ctx.say("taking the manifest of the source")
        manifest = manifest_session.capture(self.to_source(), self.manifest_options())
        store.save(str(self.ctx.folder / "manifest.json"), manifest)
        return manifest

    def compare(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """The copy held against the manifest, as evidence: the integrity matrix."""
        self.ctx.say("comparing the copy with the manifest")
        found = manifest_session.compare(self.to_copy(), manifest, self.manifest_options())
        failed = [f"{check['name']} {check['subject']}" for check in found["checks"] if check["verdict"] == "failed"]
        reason = f"{', '.join(failed[:5])} differ" if failed else ""
        return {"kind": "integrity", "verdict": found["verdict"], "reason": reason, "checks": found["checks"]}

    # --- restore ------------------------------------------------------------------------------------------------

    def session(self, place: Place | None = None, target: Target | None = None, **more: Any) -> Session:
        """A restore to the end of the archive, into the drill's own folder; nothing happens before its phases are
        called."""
        target = target or self.target
        received = self.ctx.options.get("received_wal")
        request = Request(
            place=place or self.place,
            target=target,
            point=Point(LATEST),
            confirm=str(target.data_dir),
            deny=(str(self.source["data_dir"]),) if self.source["data_dir"] else (),
            verify=False,
            received=Path(received) if received else None,
            # What a killed drill was reading lies in its own folder, and goes with it.
            workspace=self.home if self.home.is_dir() else None,
            programs=Path(self.ctx.options["programs"]),
            timeout=self.timeout,
            **more,
        )
        return Session(request, self.run, self.ctx.clock, self.ctx.progress)

    def make_home(self) -> list[Resource]:
        """The folder of the copy, announced with what will run in it."""
        resources = [
            self.ctx.record_resource("directory", str(self.home)),
            self.ctx.record_resource(
                "restore_target",
                str(self.target.data_dir),
                {"port": self.target.port, "marker": self.target.marker},
            ),
        ]
        make_directory(self.home, self.ctx.drill_id, self.ctx.expires_at)
        self.run.own(str(self.home))
        return resources

    def free_bytes(self) -> int:
        """Room where the copy will go."""
        place = self.home
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free


def source_login(options: Mapping[str, Any]) -> dict[str, Any]:
    """The source's settings as the options of a connection."""
    source = options["source"]
    return {
        "login_host": source["host"],
        "login_port": source["port"],
        "login_user": source["user"],
        "login_db": source["database"],
        "ssl_mode": source["ssl_mode"],
        "login_password": options.get("source_password"),
    }


def check_drillable(data_dir: str | None, served: str, environment: str) -> str:
    """Why this cluster must not be destroyed; empty when it may. C(served) is the data directory as the server says."""
    if environment == "production":
        return "nothing is ever broken in production; set inject_fault to false"
    if not data_dir:
        return "source.data_dir is not given, so nobody knows which folder to break"
    if os.path.realpath(data_dir) != os.path.realpath(served):
        return f"the server works in {served}, not in {data_dir}"
    marker = Path(data_dir).parent / DRILLABLE
    if not marker.is_file():
        return f"there is no {marker}, which says that this cluster may be destroyed"
    return ""


def refuse(interlock: str, attempted: str, answer: str, next_step: str) -> Refused:
    """A refusal, to be raised."""
    return Refused(interlock, attempted, f"{answer}.", next_step)


Write = Callable[[int], None]
