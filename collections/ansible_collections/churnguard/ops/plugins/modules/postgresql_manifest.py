#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_manifest
short_description: Prove that the rows of a PostgreSQL database came back
version_added: "1.0.0"
description:
  - With O(state=captured), writes down what a database holds at one moment - the count and a digest of every table's
    rows, sequences, catalog, roles and grants, settings, extensions, collation versions - under one exported snapshot,
    read by several workers.
  - With O(state=compared), holds a restored copy against such a manifest, and checks what no manifest can hold -
    foreign keys, sequences against the columns that they fill, and heaps and B-trees with amcheck.
  - Only passes if every check was made. What could not be checked is V(skipped) with its reason, and fails unless
    O(allow_skipped) names it.
  - Rows are read on the server; only digests travel.
extends_documentation_fragment:
  - churnguard.ops.postgresql
attributes:
  check_mode:
    description: >-
      Can run in check mode. O(state=captured) then only tells which tables it would read; O(state=compared) reads as
      always, but runs amcheck only where it is installed.
    support: full
  diff_mode:
    description: A manifest is new each time; its file has no difference to show.
    support: none
  idempotent:
    description: O(state=compared) only reads. O(state=captured) is a new photograph each time.
    support: partial
options:
  state:
    description:
      - Whether to make a manifest or to compare a database with one.
    type: str
    choices: [captured, compared]
    required: true
  path:
    description:
      - File of the manifest, on the host where this module runs. It is readable for its owner only.
      - Without it, V(captured) returns the manifest and V(compared) takes O(manifest).
    type: path
  manifest:
    description:
      - The manifest itself, for O(state=compared).
    type: dict
  hash:
    description:
      - V(record) hashes values as the cluster stores them, and is right for physical copies (pgBackRest, snapshots).
      - V(text) also survives a dump and restore, or logical replication, where for example the labels of an enum get
        other numbers.
      - A comparison takes what the manifest was captured with.
    type: str
    choices: [record, text]
    default: record
  workers:
    description:
      - Sessions that read side by side. Large tables are split among them.
    type: int
    default: 2
  include:
    description:
      - Shell patterns of the tables (C(schema.table)) whose rows, sequences and foreign keys count. A comparison takes
        the manifest's.
    type: list
    elements: str
    default: ["*.*"]
  exclude:
    description:
      - Patterns of tables to leave out. The catalog is compared as a whole all the same.
    type: list
    elements: str
    default: []
  locate:
    description:
      - Keep a digest for each of at most 1024 ranges of primary keys, so that a comparison names rows that differ.
        Costs a few per cent of time.
    type: bool
    default: true
  dump:
    description:
      - For O(state=captured), also run pg_dump under the manifest's snapshot. For O(state=compared), check that the
        dump at O(dump.path) is still the one that the manifest tells of.
    type: dict
    suboptions:
      path:
        description: File, or folder for the format V(directory). It appears only when it is whole.
        type: path
        required: true
      format:
        description: Format of pg_dump.
        type: str
        choices: [custom, directory, plain]
        default: custom
      jobs:
        description: Sessions of pg_dump, for the format V(directory).
        type: int
        default: 1
      program:
        description: The program, which must not be older than the server.
        type: str
        default: pg_dump
      timeout:
        description: Seconds that it may take.
        type: int
        default: 86400
  snapshot:
    description:
      - Name of a snapshot that another session has exported and keeps open, to capture what that session sees.
    type: str
  checks:
    description:
      - Layers to compare. All, by default.
    type: list
    elements: str
    choices: [rows, content, sequences, catalog, roles, settings, extensions, collations, foreign_keys, amcheck]
    default: [rows, content, sequences, catalog, roles, settings, extensions, collations, foreign_keys, amcheck]
  allow_skipped:
    description:
      - Checks that may be skipped, as C(name) or C(name:subject); shell patterns are understood.
    type: list
    elements: str
    default: []
  ignore_settings:
    description:
      - Patterns of settings that may differ, besides those that have to on a copy (ports, paths, archiving, logging).
    type: list
    elements: str
    default: []
  amcheck_heapallindexed:
    description:
      - Also look every row up in every index. Takes about ten times as long.
    type: bool
    default: false
  statement_timeout:
    description:
      - Seconds that one statement may take; V(0) is no limit. What takes longer is V(skipped).
    type: float
    default: 0
  reference:
    description:
      - For O(state=compared), a database that still is as it was captured (a replica paused there, or another copy).
        With it also those rows are named of which several lie in one range.
    type: dict
    suboptions:
      login_host:
        description: Host of its server.
        type: str
        default: ""
      login_port:
        description: Its port.
        type: int
        default: 5432
      login_user:
        description: User of the database.
        type: str
        default: postgres
      login_password:
        description: The user's password.
        type: str
      login_db:
        description: The database.
        type: str
        default: postgres
      login_unix_socket:
        description: Folder of the server's socket.
        type: path
        default: ""
      ssl_mode:
        description: How TLS is negotiated.
        type: str
        choices: [allow, disable, prefer, require, verify-ca, verify-full]
        default: prefer
      ssl_rootcert:
        description: File with certificates of authorities.
        type: path
        aliases: [ca_cert]
seealso:
  - module: community.postgresql.postgresql_db
    description: Dumps and restores; whether the rows came back it cannot say.
  - module: community.postgresql.postgresql_info
    description: Lists objects of a server, without their rows.
  - name: pg_verifybackup
    description: Proves the files of a base backup; docs/manifest.md in the repository has what each check can see.
    link: https://www.postgresql.org/docs/current/app-pgverifybackup.html
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Write down what the database holds, and dump exactly that
  churnguard.ops.postgresql_manifest:
    state: captured
    login_host: db.internal
    login_user: backup
    login_password: "{{ lookup('ansible.builtin.env', 'BACKUP_PASSWORD') }}"
    login_db: churnguard
    path: /var/backups/churnguard/manifest.json
    hash: text
    dump:
      path: /var/backups/churnguard/churnguard.dump

- name: Hold the restored copy against it
  churnguard.ops.postgresql_manifest:
    state: compared
    login_unix_socket: /run/restored
    login_port: 5433
    login_db: churnguard
    path: /var/backups/churnguard/manifest.json
    allow_skipped:
      - amcheck

- name: Tables only, by name, with a limit of ten minutes for each statement
  churnguard.ops.postgresql_manifest:
    state: captured
    login_db: churnguard
    include: [public.customers, public.predictions*]
    statement_timeout: 600
  register: captured
"""

RETURN = r"""
manifest:
  description: The manifest.
  returned: when captured without O(path)
  type: dict
summary:
  description: Tables, rows, bytes and seconds of the manifest, where it is, and its SHA-256.
  returned: when captured
  type: dict
  sample: {tables: 12, rows: 2000000, bytes: 251658240, seconds: 1.9, skipped: {}, path: /srv/manifest.json}
checks:
  description: The integrity matrix.
  returned: when compared
  type: list
  elements: dict
  contains:
    name:
      description: Layer; one of O(checks), or V(dump).
      type: str
      returned: always
    subject:
      description: The table, sequence, foreign key or kind of object.
      type: str
      returned: always
    verdict:
      description: V(passed), V(failed) or V(skipped).
      type: str
      returned: always
    reason:
      description: Why it is so.
      type: str
      returned: always
    expected:
      description: What the manifest says.
      type: raw
      returned: always
    actual:
      description: What the database says.
      type: raw
      returned: always
    seconds:
      description: Time that the server took.
      type: float
      returned: always
    differences:
      description: At most twenty differences - rows by their primary key, objects by name, a suggested statement.
      type: list
      elements: raw
      returned: always
  sample:
    - name: content
      subject: public.events
      verdict: failed
      reason: the rows are others in 1 of 977 ranges of keys
      differences: [{kind: changed, key: {id: 771182}}]
envelope:
  description: Result envelope, with the matrix as its evidence.
  returned: when compared
  type: dict
verdict:
  description: V(passed) or V(failed).
  returned: when compared
  type: str
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import PASSED, Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._postgres import manifest_session, outcome, store
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.args import login_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.connection import connector, need_psycopg2
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.dump import FORMATS
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.model import CHECKS, Options


def argument_spec() -> dict[str, dict[str, Any]]:
    dump = {
        "path": {"type": "path", "required": True},
        "format": {"type": "str", "choices": FORMATS, "default": "custom"},
        "jobs": {"type": "int", "default": 1},
        "program": {"type": "str", "default": "pg_dump"},
        "timeout": {"type": "int", "default": 86400},
    }
    return {
        **login_argument_spec(),
        "state": {"type": "str", "choices": ["captured", "compared"], "required": True},
        "path": {"type": "path"},
        "manifest": {"type": "dict"},
        "hash": {"type": "str", "choices": ["record", "text"], "default": "record"},
        "workers": {"type": "int", "default": 2},
        "include": {"type": "list", "elements": "str", "default": ["*.*"]},
        "exclude": {"type": "list", "elements": "str", "default": []},
        "locate": {"type": "bool", "default": True},
        "dump": {"type": "dict", "options": dump},
        "snapshot": {"type": "str"},
        "checks": {"type": "list", "elements": "str", "choices": list(CHECKS), "default": list(CHECKS)},
        "allow_skipped": {"type": "list", "elements": "str", "default": []},
        "ignore_settings": {"type": "list", "elements": "str", "default": []},
        "amcheck_heapallindexed": {"type": "bool", "default": False},
        "statement_timeout": {"type": "float", "default": 0},
        "reference": {"type": "dict", "options": login_argument_spec()},
    }


def options_of(params: dict[str, Any], check_mode: bool) -> Options:
    """The parameters as options. Raises OperationError for what makes no sense."""
    if params["workers"] < 1:
        raise OperationError("read the database", f"workers is {params['workers']}.", "give at least one.")
    if params["statement_timeout"] < 0:
        raise OperationError("limit statements", "statement_timeout is negative.", "give seconds, or 0 for no limit.")
    names = (
        "hash", "workers", "locate", "dump", "snapshot", "amcheck_heapallindexed", "statement_timeout",
    )  # fmt: skip
    lists = ("include", "exclude", "checks", "allow_skipped", "ignore_settings")
    given = {name: params[name] for name in names}
    return Options(**given, **{name: tuple(params[name]) for name in lists}, may_create=not check_mode)


def captured(module: AnsibleModule, options: Options) -> None:
    """Make a manifest and end the module."""
    connect, path = connector(module.params), module.params["path"]
    if module.check_mode:
        tables = manifest_session.survey(connect, options)
        module.exit_json(changed=path is not None, msg=f"Would read {len(tables)} tables.", tables=tables)
    manifest = manifest_session.capture(connect, options)
    result: dict[str, Any] = {"summary": outcome.summary(manifest, path), "changed": False}
    if path is None:
        result["manifest"] = manifest
    else:
        store.save(path, manifest)
        result["changed"] = True
    module.exit_json(msg=outcome.captured(result["summary"]), **result)


def compared(module: AnsibleModule, options: Options) -> None:
    """Compare with a manifest and end the module."""
    params = module.params
    if (params["path"] is None) == (params["manifest"] is None):
        raise OperationError("compare with a manifest", "there must be one.", "give path or manifest, not both.")
    manifest = store.load(params["path"]) if params["path"] else params["manifest"]
    recorder = Recorder(Clock(), "postgresql_manifest")
    reference = connector(params["reference"]) if params["reference"] else None
    found = manifest_session.compare(connector(params), manifest, options, reference=reference)
    outcome.record(recorder, found, manifest)
    envelope = recorder.envelope(found["verdict"], False)
    end = module.exit_json if found["verdict"] == PASSED else module.fail_json
    end(
        msg=outcome.compared(found["checks"], found["verdict"]),
        changed=False,
        checks=found["checks"],
        verdict=found["verdict"],
        envelope=envelope,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(), supports_check_mode=True, mutually_exclusive=[("path", "manifest")]
    )
    need_psycopg2(module)
    try:
        options = options_of(module.params, module.check_mode)
        (captured if module.params["state"] == "captured" else compared)(module, options)
    except OperationError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
