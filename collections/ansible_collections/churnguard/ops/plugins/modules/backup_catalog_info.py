#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_catalog_info
short_description: List every backup of every component, and hold them against the policies
version_added: 0.1.0
description:
  - Asks each source - pgBackRest, RDS, exports of Kubernetes namespaces, synchronised buckets - which backups it has,
    and judges them by the policies.
  - Fails when a component's state is one of O(fail_on). A source that cannot be read counts as one without backups.
  - A threshold that a policy does not set reads C(not_checked). It is never taken for a good answer.
extends_documentation_fragment:
  - churnguard.ops.aws
  - churnguard.ops.read_only
options:
  policies:
    description:
      - What is asked of each component's backups.
    type: list
    elements: dict
    required: true
    suboptions:
      component:
        description: Name of the component.
        type: str
        required: true
      frequency:
        description: How often it is backed up, for the reader; freshness is judged by O(policies[].max_age).
        type: str
        choices: [hourly, daily, weekly]
      retention_days:
        description: For how many days backups are kept, for the reader.
        type: int
      encrypted:
        description: Whether every backup has to be encrypted.
        type: bool
        default: false
      cross_region:
        description: Whether a source with O(sources[].copy=true) has to be there.
        type: bool
        default: false
      max_age:
        description: Seconds that the newest usable backup may be old.
        type: int
      copy_max_age:
        description: The same for sources with O(sources[].copy=true).
        type: int
      verify_within:
        description: Seconds within which a usable backup of each source has to have been verified.
        type: int
      drill_within:
        description: Seconds within which a drill of the component has to have passed.
        type: int
      min_count:
        description: How many usable backups each source has to have.
        type: int
      min_size:
        description: Bytes that the newest usable backup has to have.
        type: int
  sources:
    description:
      - Where backups are.
    type: list
    elements: dict
    required: true
    suboptions:
      component:
        description: The component that they are of.
        type: str
        required: true
      provider:
        description: What made them.
        type: str
        required: true
        choices: [pgbackrest, rds, namespace_export, bucket_sync]
      copy:
        description: Whether this is the second region.
        type: bool
        default: false
      location:
        description: What to call this source. By default it is called by the options that find it.
        type: str
      stanza:
        description: With V(pgbackrest), the stanza.
        type: str
      config:
        description: With V(pgbackrest), its configuration file.
        type: path
        default: /etc/pgbackrest/pgbackrest.conf
      repo:
        description: With V(pgbackrest), the number of the repository. Without it, all of them are one source.
        type: int
      pgbackrest:
        description: With V(pgbackrest), the program.
        type: path
        default: pgbackrest
      system_user:
        description: With V(pgbackrest), the user that runs it when the module runs as root.
        type: str
        default: postgres
      db_instance_identifier:
        description: With V(rds), the DB instance.
        type: str
      region:
        description: With V(rds) or a bucket, its region. By default the module's.
        type: str
      path:
        description: With V(namespace_export), the folder of the archives.
        type: path
      namespace:
        description: With V(namespace_export), the namespace.
        type: str
      bucket:
        description: With V(bucket_sync), the bucket that was written to; with V(namespace_export), one that archives
          were copied to.
        type: str
      prefix:
        description: With a bucket, what the keys of the manifests begin with.
        type: str
        default: ""
  drills_dir:
    description:
      - Folder of the drills; its C(history.jsonl) tells which passed.
    type: path
  verifications:
    description:
      - Folder of verification records, one JSON file for each source - C(component), C(provider), C(location), C(ids),
        C(verified_at) and C(passed).
    type: path
  max_clock_skew:
    description:
      - Seconds that a backup's time may lie in the future before its age counts as unknown.
    type: int
    default: 60
  fail_on:
    description:
      - States of a component that make the module fail. Empty to only look.
    type: list
    elements: str
    choices: [missing, failed, stale, unverified]
    default: [missing, failed, stale, unverified]
seealso:
  - module: amazon.aws.rds_snapshot_info
    description: Lists the snapshots of one region, and says neither how old they may be nor that one is missing.
  - module: churnguard.ops.rds_snapshot_copy
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Fail when a backup of the database is missing or older than it may be
  churnguard.ops.backup_catalog_info:
    policies:
      - component: database
        frequency: hourly
        encrypted: true
        cross_region: true
        max_age: 5400
        copy_max_age: 10800
    sources:
      - {component: database, provider: rds, db_instance_identifier: churnguard, region: us-east-1}
      - {component: database, provider: rds, db_instance_identifier: churnguard, region: us-west-2, copy: true}
    drills_dir: /var/lib/churnguard/drills

- name: Only look
  churnguard.ops.backup_catalog_info:
    policies: []
    sources:
      - {component: database, provider: pgbackrest, stanza: main}
    fail_on: []
"""

RETURN = r"""
backups:
  description:
    - Every backup, newest first within each source, and one row with the state V(missing) and no C(id) for a source
      that has none that can be used.
    - The newest usable backup of a source carries the state that the checks make of the source.
  returned: success, or when a component's state is one of O(fail_on)
  type: list
  elements: dict
  sample:
    - component: database
      provider: rds
      id: churnguard-production-20261122030000
      type: manual
      finished: "2026-11-22T03:00:00.000Z"
      age_s: 1712.4
      size_bytes: 107374182400
      encrypted: true
      location: us-east-1/churnguard-production
      copy: false
      verified_at: null
      drill_passed_at: "2026-11-20T02:11:09.000Z"
      state: ok
      detail: ""
components:
  description: State and checks of each component and of each of its sources.
  returned: success, or when a component's state is one of O(fail_on)
  type: list
  elements: dict
problems:
  description: Every check that failed, worst first, with component, provider, location, state, value and limit.
  returned: success, or when a component's state is one of O(fail_on)
  type: list
  elements: dict
  sample:
    - component: database
      provider: rds
      location: us-west-2/churnguard-production
      name: freshness
      verdict: failed
      state: stale
      detail: the newest, churnguard-production-20261121-from-us-east-1, is 26.1 h old
      value: 93960.0
      limit: 10800
msg:
  description: The verdict in words - each component's state, then every problem.
  returned: always
  type: str
  sample: "database is stale. database in us-west-2/churnguard: freshness: the newest, b1, is 26.1 h old."
envelope:
  description:
    - The result envelope - the age of each source's newest backup as C(backup_age_s), and the whole catalog as
      evidence.
  returned: success, or when a component's state is one of O(fail_on)
  type: dict
"""

import importlib.util
from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.churnguard.ops.plugins.module_utils._aws.library import aws_module
from ansible_collections.churnguard.ops.plugins.module_utils._backup.catalog import Moment, judge
from ansible_collections.churnguard.ops.plugins.module_utils._backup.model import STATES
from ansible_collections.churnguard.ops.plugins.module_utils._backup.policy import read_policies
from ansible_collections.churnguard.ops.plugins.module_utils._backup.reading import (
    CatalogReader,
    read_drills,
    read_records,
)
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import FAILED, PASSED, Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

NEEDED = {
    "pgbackrest": ("stanza",),
    "rds": ("db_instance_identifier", "region"),
    "namespace_export": ("namespace",),
    "bucket_sync": ("bucket", "region"),
}


def argument_spec() -> dict[str, dict[str, Any]]:
    text, number, yes_no = {"type": "str"}, {"type": "int"}, {"type": "bool", "default": False}
    thresholds = ("retention_days", "max_age", "copy_max_age", "verify_within", "drill_within", "min_count", "min_size")
    policy = {
        "component": {"type": "str", "required": True},
        "frequency": {"type": "str", "choices": ["hourly", "daily", "weekly"]},
        "encrypted": yes_no,
        "cross_region": yes_no,
        **dict.fromkeys(thresholds, number),
    }
    source = {
        "component": {"type": "str", "required": True},
        "provider": {"type": "str", "required": True, "choices": list(NEEDED)},
        "copy": yes_no,
        "config": {"type": "path", "default": "/etc/pgbackrest/pgbackrest.conf"},
        "repo": number,
        "pgbackrest": {"type": "path", "default": "pgbackrest"},
        "system_user": {"type": "str", "default": "postgres"},
        "path": {"type": "path"},
        "prefix": {"type": "str", "default": ""},
        **dict.fromkeys(("location", "stanza", "db_instance_identifier", "region", "namespace", "bucket"), text),
    }
    worse = [state for state in STATES if state != "ok"]
    return {
        "policies": {"type": "list", "elements": "dict", "required": True, "options": policy},
        "sources": {"type": "list", "elements": "dict", "required": True, "options": source},
        "drills_dir": {"type": "path"},
        "verifications": {"type": "path"},
        "max_clock_skew": {"type": "int", "default": 60},
        "fail_on": {"type": "list", "elements": "str", "choices": worse, "default": worse},
    }


def complete(entry: dict[str, Any], region: str | None) -> dict[str, Any]:
    """A source with the module's region where it has none. Raises OperationError for an option that is missing."""
    entry = {**entry, "region": entry.get("region") or region}
    needed = list(NEEDED[entry["provider"]])
    if entry["provider"] == "namespace_export":
        needed += ["bucket", "region"] if entry.get("bucket") else ["path"]
    missing = [name for name in needed if not entry.get(name)]
    if missing:
        raise OperationError(
            f"use the source {entry['provider']} of {entry['component']}",
            f"it needs {' and '.join(missing)}.",
            "add them.",
        )
    return entry


def message(components: list[dict[str, Any]], problems: list[dict[str, Any]]) -> str:
    """The verdict in one sentence for each component, then every problem."""
    states = ", ".join(f"{one['component']} is {one['state']}" for one in components) or "there is nothing to look at"
    places = [one["component"] + (f" in {one['location']}" if one["location"] else "") for one in problems]
    told = [f"{place}: {one['name']}: {one['detail'].rstrip('.')}" for place, one in zip(places, problems, strict=True)]
    return ". ".join([states, *told]) + "."


def envelope(recorder: Recorder, catalog: dict[str, Any], verdict: str) -> dict[str, Any]:
    """The catalog as a result envelope: the age of each source's newest backup against its limit, and everything."""
    recorder.subject = {"components": {one["component"]: one["state"] for one in catalog["components"]}}
    for component in catalog["components"]:
        for source in component["sources"]:
            where = f"{component['component']} in {source['location']}"
            found = next(check for check in source["checks"] if check["name"] == "freshness")
            recorder.measure("backup_age_s", found["value"], "s", found["limit"], found["verdict"], where)
    recorder.evidence.append({"kind": "backup_catalog", **catalog})
    return recorder.envelope(verdict, False)


def needs_aws(entry: dict[str, Any]) -> bool:
    """Whether a source is asked through boto3, which a host of pgBackRest need not have."""
    return entry["provider"] in ("rds", "bucket_sync") or bool(entry.get("bucket"))


def main() -> None:
    module = aws_module(argument_spec=argument_spec(), check_boto3=False, supports_check_mode=True)
    params, clock = module.params, Clock()
    recorder = Recorder(clock, "backup_catalog_info")
    aws = any(needs_aws(entry) for entry in params["sources"])
    if aws and importlib.util.find_spec("boto3") is None:
        module.fail_json(msg=missing_required_lib("boto3"))
    try:
        region = module.region if aws else None
        sources = [complete(entry, region) for entry in params["sources"]]
        policies = read_policies(params["policies"])
        reader = CatalogReader(
            lambda service, region: module.client(service, region=region), clock, read_records(params["verifications"])
        )
        looks = [reader.look(entry) for entry in sources]
        drills = read_drills(params["drills_dir"])
        catalog = judge(policies, looks, drills, Moment(clock.now(), params["max_clock_skew"]))
    except OperationError as error:
        module.fail_json(msg=str(error))
    failed = any(component["state"] in params["fail_on"] for component in catalog["components"])
    result = {"changed": False, "msg": message(catalog["components"], catalog["problems"]), **catalog}
    result["envelope"] = envelope(recorder, catalog, FAILED if failed else PASSED)
    if failed:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
