#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Restore a PostgreSQL backup into a scratch cluster, and prove that it got there
version_added: 0.1.0
description:
  - Restores a pgBackRest backup into a scratch cluster on this machine, recovers it to a point, and checks that the
    point was reached. That the server was promoted is no proof - without a target, PostgreSQL takes any WAL segment
    that is missing or broken as the end of the WAL.
  - Never touches anything but a scratch target. Before anything changes, interlocks refuse a folder that holds or is
    near the source, a folder with anything in it that this module has not put there, the source's port, what is on
    the deny list, and a file system without room.
  - Before the files are copied, the repository is verified and the archived WAL is walked through, by names and by
    content. Gaps and broken segments are named.
  - The copy boots isolated. It archives nothing, connects to no primary, loads no libraries of background jobs, and
    listens on nothing but a socket in its private folder, or on loopback.
extends_documentation_fragment:
  - churnguard.ops.pgbackrest
attributes:
  check_mode:
    description: Can run in check mode. All interlocks, the choice of the backup, the verification and the walk through
      the WAL are done; nothing is written.
    support: full
  diff_mode:
    description: Shows which paths of the target are there before and after.
    support: full
  idempotent:
    description: O(state=absent) does nothing when the target is gone. A restore always begins anew.
    support: partial
    details: A restore of the same target replaces its earlier scratch copy.
options:
  state:
    description:
      - V(present) restores. V(absent) stops and removes a scratch target, and proves that it is gone.
    type: str
    choices: [present, absent]
    default: present
  target:
    description:
      - The scratch cluster.
    type: dict
    required: true
    suboptions:
      data_dir:
        description:
          - Its data folder. The marker file, the log and the folder of tablespaces lie beside it, with its name and
            a suffix. The folder above must exist.
        type: path
        required: true
      port:
        description: Its port, which is also part of the socket's name.
        type: int
        required: true
      marker:
        description:
          - Word that marks the target as this caller's. A target with another word is neither overwritten nor removed.
        type: str
        default: churnguard-scratch
      access:
        description:
          - V(socket) lets only the system's user in, without a password, by a socket in the private data folder.
            V(loopback) also lets the roles of the copy in, with their passwords, on 127.0.0.1.
        type: str
        choices: [socket, loopback]
        default: socket
      settings:
        description: More settings for the server, such as C(shared_buffers). None that would undo the isolation.
        type: dict
        default: {}
  confirm:
    description:
      - The target's O(target.data_dir), typed again. Anything else is refused.
    type: str
    required: true
  point:
    description:
      - How far to recover.
      - V(latest) is the end of the archive, V(immediate) the end of the backup, V(time) an instant, V(lsn) a position
        in the WAL, V(name) a restore point.
    type: str
    choices: [latest, time, lsn, name, immediate]
    default: latest
  point_value:
    description:
      - The instant in ISO 8601 with its offset from UTC, the LSN, or the name.
    type: str
  backup:
    description:
      - Label of the backup to restore. Without it, the newest good one that ended before the point.
      - pgBackRest's own choice is not used. Where no backup ended before a target time, it takes the latest.
    type: str
  deny:
    description:
      - What must never be a target. An entry is a path (also what is above and below it), a host name, or the system
        identifier of a cluster that is no scratch copy.
    type: list
    elements: str
    default: []
  ignore:
    description:
      - Interlocks to go past. V(backup_broken) restores what verify calls broken, V(disk_space) does not look for
        room, V(wal_gap) and V(wal_content) go on although the WAL ends before its end - the restore fails then, once
        the copy is as far as it gets.
    type: list
    elements: str
    choices: [backup_broken, disk_space, wal_content, wal_gap]
    default: []
  verify:
    description:
      - Whether to verify the whole repository first.
    type: bool
    default: true
  read_wal:
    description:
      - Whether to read the content of the archived WAL up to the point, and not only its names.
      - Where the source's data folder is lost, it is read after the files were restored and before the server starts.
    type: bool
    default: true
  require_wal:
    description:
      - Name of a WAL segment that must be in the archive, such as C(last_archived_wal) of the source. The archive
        alone cannot tell that its newest segments are missing.
    type: str
  received_wal:
    description:
      - Folder in which C(pg_receivewal) has written this cluster's WAL, uncompressed. Recovery takes from it what the
        archive does not have, also the segment that is not complete (C(.partial)).
      - Where C(pg_receivewal --synchronous) is in the source's C(synchronous_standby_names), no acknowledged write is
        lost this way.
    type: path
  bin_dir:
    description:
      - Folder of PostgreSQL's programs, of the version of the backup.
    type: path
    default: /usr/lib/postgresql/15/bin
  superuser:
    description:
      - Name of the cluster's superuser.
    type: str
    default: postgres
  timeout:
    description:
      - Seconds that each of verification, copy, start and recovery may take.
    type: int
    default: 14400
seealso:
  - module: churnguard.ops.pgbackrest_backup
  - module: churnguard.ops.pgbackrest_info
  - name: Continuous archiving and point-in-time recovery
    description: What PostgreSQL does at the end of the WAL.
    link: https://www.postgresql.org/docs/15/continuous-archiving.html
notes:
  - C(community.postgresql.postgresql_db) with C(state=restore) writes a dump straight into the database it names and
    knows no point in time. There is no module for pgBackRest.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Restore to just before the mistake
  churnguard.ops.restore:
    stanza: churnguard
    target:
      data_dir: /srv/scratch/before-the-mistake
      port: 15432
    confirm: /srv/scratch/before-the-mistake
    point: time
    point_value: "2026-11-21T19:33:00Z"
    deny: [db-1.example.com, "7710830770453719675"]

- name: Remove the scratch copy
  churnguard.ops.restore:
    stanza: churnguard
    state: absent
    target:
      data_dir: /srv/scratch/before-the-mistake
      port: 15432
    confirm: /srv/scratch/before-the-mistake
"""

RETURN = r"""
restored:
  description: The copy, once it has reached its point.
  returned: when O(state=present), on success, not in check mode
  type: dict
  contains:
    data_dir:
      description: Its data folder.
      type: str
      returned: always
    port:
      description: Its port.
      type: int
      returned: always
    socket_dir:
      description: Where its socket is.
      type: str
      returned: always
    backup:
      description: The backup it came from, with its age.
      type: dict
      returned: always
    selection:
      description: Why that one.
      type: str
      returned: always
    wal:
      description: First and last segment, how many, which are missing or broken, how many were read, and how many came
        from O(received_wal).
      type: dict
      returned: always
    timeline:
      description: The timeline that the copy writes to.
      type: int
      returned: always
    recovery_target:
      description: The point that was asked for.
      type: dict
      returned: always
    stopped_by:
      description: The server's own words about where it stopped, or how far it replayed.
      type: str
      returned: always
    last_replayed_commit:
      description: Time of the last transaction in it, UTC.
      type: str
      returned: always
    system_identifier:
      description: The cluster's identifier, which a physical copy shares with its source.
      type: str
      returned: always
    isolation:
      description: Settings that keep the copy from acting on the world, as the server itself reads them.
      type: dict
      returned: always
    durations:
      description: C(files_s), C(start_s) (until consistent) and C(replay_s) (until promoted).
      type: dict
      returned: always
removed:
  description: Paths that were removed, and are gone.
  returned: when O(state=absent)
  type: list
  elements: str
refused:
  description: Whether an interlock refused it, with nothing changed.
  returned: failure
  type: bool
interlock:
  description: >-
    Which one - V(confirm), V(path), V(same_path), V(same_port), V(deny), V(own_system), V(not_scratch),
    V(other_marker), V(isolation), V(disk_space), V(no_backup), V(no_backup_before_point), V(backup_broken),
    V(received_wal), V(wal_gap) or V(wal_content).
  returned: when RV(refused) is true
  type: str
facts:
  description: What the interlock saw, such as C(needed_bytes) and C(free_bytes), or the missing segments.
  returned: when RV(refused) is true
  type: dict
envelope:
  description: Result envelope of the restore.
  returned: when O(state=present), not in check mode
  type: dict
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import FAILED, PASSED, Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._common.known import known
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.args import place_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.runner import Runner
from ansible_collections.churnguard.ops.plugins.module_utils._restore import plan, scratch
from ansible_collections.churnguard.ops.plugins.module_utils._restore.args import request_of
from ansible_collections.churnguard.ops.plugins.module_utils._restore.model import IGNORABLE, KINDS, Refused, Request
from ansible_collections.churnguard.ops.plugins.module_utils._restore.session import Session, restore


def argument_spec() -> dict[str, dict[str, Any]]:
    target = {
        "data_dir": {"type": "path", "required": True},
        "port": {"type": "int", "required": True},
        "marker": {"type": "str", "default": "churnguard-scratch"},
        "access": {"type": "str", "choices": ["socket", "loopback"], "default": "socket"},
        "settings": {"type": "dict", "default": {}},
    }
    return {
        **place_argument_spec(),
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "target": {"type": "dict", "required": True, "options": target},
        "confirm": {"type": "str", "required": True},
        "point": {"type": "str", "choices": list(KINDS), "default": "latest"},
        "point_value": {"type": "str"},
        "backup": {"type": "str"},
        "deny": {"type": "list", "elements": "str", "default": []},
        "ignore": {"type": "list", "elements": "str", "choices": list(IGNORABLE), "default": []},
        "verify": {"type": "bool", "default": True},
        "read_wal": {"type": "bool", "default": True},
        "require_wal": {"type": "str"},
        "received_wal": {"type": "path"},
        "bin_dir": {"type": "path", "default": "/usr/lib/postgresql/15/bin"},
        "superuser": {"type": "str", "default": "postgres"},
        "timeout": {"type": "int", "default": 14400},
    }


def present(request: Request, module: AnsibleModule, run: Runner) -> dict[str, Any]:
    """Restore, or say what would be. Raises OperationError, with the envelope as its attribute."""
    clock = Clock()
    if module.check_mode:
        session = Session(request, run, clock)
        session.prepare()
        chosen = known(session.chosen, "the backup")
        label, reason = chosen.backup.label, chosen.reason
        return {"changed": True, "msg": f"Would restore {label} into {request.target.data_dir}: {reason}."}
    recorder = Recorder(clock, "restore")
    recorder.subject = {
        "stanza": request.place.stanza,
        "target": str(request.target.data_dir),
        "port": request.target.port,
        "point": plan.describe(request.point),
    }
    try:
        restored = restore(request, run, clock, lambda text: recorder.event("progress", text)).as_data()
    except OperationError as error:
        kind = error.interlock if isinstance(error, Refused) else "failed"
        recorder.event(kind, str(error))
        error.envelope = recorder.envelope(FAILED, os.path.lexists(request.target.marker_file))
        raise
    for name, seconds in restored["durations"].items():
        recorder.measure(name, seconds, "s")
    recorder.measure("backup_age_s", restored["backup"]["age_s"], "s")
    recorder.evidence += [
        {"kind": "backup", "selection": restored["selection"], **restored["backup"]},
        {"kind": "wal", **restored["wal"]},
        {"kind": "isolation", **restored["isolation"]},
    ]
    message = f"Restored {restored['backup']['label']} into {request.target.data_dir}: {restored['stopped_by']}."
    return {"changed": True, "restored": restored, "envelope": recorder.envelope(PASSED, True), "msg": message}


def absent(request: Request, module: AnsibleModule) -> dict[str, Any]:
    """Remove the target, or say what would go. Raises OperationError."""
    if request.confirm != str(request.target.data_dir):
        raise Refused(
            "confirm", f"remove {request.target.data_dir}", f"confirm is {request.confirm!r}.", "type the data_dir."
        )
    removed = scratch.remove(request.target, Clock(), module.check_mode)
    verb = "Would remove" if module.check_mode else "Removed"
    message = f"{verb} {', '.join(removed)}." if removed else f"{request.target.data_dir} is not there."
    return {"changed": bool(removed), "removed": removed, "msg": message}


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        request = request_of(module.params)
        run = Runner(module.params["system_user"])
        target = request.target
        paths = (target.data_dir, target.tablespaces, target.log_file, target.marker_file)
        before = [str(path) for path in paths if os.path.lexists(path)]
        result = present(request, module, run) if module.params["state"] == "present" else absent(request, module)
    except OperationError as error:
        failure: dict[str, Any] = {"msg": str(error), "refused": isinstance(error, Refused)}
        if isinstance(error, Refused):
            failure.update(interlock=error.interlock, facts=error.facts)
        if hasattr(error, "envelope"):
            failure["envelope"] = error.envelope
        module.fail_json(**failure)
    if module._diff:
        coming = [str(path) for path in paths] if module.params["state"] == "present" else []
        result["diff"] = {"before": {"paths": before}, "after": {"paths": coming}}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
