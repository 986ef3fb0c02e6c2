#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_dashboards
short_description: Build Grafana dashboards from code
version_added: 0.1.0
description:
  - Builds the dashboards of the application, its database, its cache, the cluster, rollouts and the business, and
    writes them as files for Grafana's file provisioning.
  - Without O(path) it only returns them, for M(kubernetes.core.k8s) as ConfigMaps or
    M(community.grafana.grafana_dashboard) to bring them to their place.
  - Also returns every question that the dashboards put to Prometheus, so that a test can ask each.
  - The same options give the same bytes.
attributes:
  check_mode:
    description: Can run in check mode and say what would be written and removed.
    support: full
  diff_mode:
    description: Shows the files before and after.
    support: full
  idempotent:
    description: Files that hold the same content already are left alone.
    support: full
requirements:
  - grafana-foundation-sdk==1769699379!11.6.0, exactly this version with its epoch (the number before the exclamation
    mark), and Python 3.11 or newer for it. Without the epoch, pip installs the library for Grafana 10.1, whose
    dashboards are too old. Not needed with O(built).
options:
  path:
    description:
      - Folder of the dashboards' files, the one that Grafana's provisioning names. It is created if need be.
      - Without it, nothing is written.
    type: path
  state:
    description:
      - Whether the dashboards are to be there.
      - With V(absent), every file in O(path) that this module wrote with the same O(uid_prefix) is removed.
    type: str
    choices: [present, absent]
    default: present
  dashboards:
    description:
      - The dashboards to make. Files of others that this module wrote with the same O(uid_prefix) are removed
        from O(path).
    type: list
    elements: str
    choices: [application, database, redis, kubernetes, rollout, business]
    default: [application, database, redis, kubernetes, rollout, business]
  uid_prefix:
    description:
      - Beginning of each dashboard's uid, and so of its address and its file.
      - Small letters, digits and dashes, 24 characters at most.
    type: str
    default: churnguard
  title_prefix:
    description:
      - Beginning of each dashboard's title.
    type: str
    default: ChurnGuard
  datasource_regex:
    description:
      - Regular expression in slashes that limits the Prometheus data sources to choose from, by name. Empty for all.
    type: str
    default: ""
  refresh:
    description:
      - How often an open dashboard asks anew.
    type: str
    default: 30s
  tags:
    description:
      - Tags to add. C(churnguard) and the one by which this module knows its dashboards again are always there.
    type: list
    elements: str
    default: []
  built:
    description:
      - Dashboards that this module returned elsewhere, to be written as they are with the same O(uid_prefix). Of each,
        C(name) and C(json) are looked at.
      - With it, no library is needed where the module runs, and what says how dashboards are built is not looked at.
    type: list
    elements: dict
  force:
    description:
      - Replace a file that stands in the way and was not written by this module.
    type: bool
    default: false
extends_documentation_fragment:
  - ansible.builtin.files
seealso:
  - module: community.grafana.grafana_dashboard
    description: Brings one dashboard to a Grafana by its API; it does not make one.
  - module: kubernetes.core.k8s
    description: Brings dashboards to a cluster as ConfigMaps; it does not make any.
  - module: ansible.builtin.copy
    description: Writes files as well, but does not remove what is no longer made.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Write all dashboards for Grafana's file provisioning
  churnguard.ops.grafana_dashboards:
    path: /var/lib/grafana/dashboards/churnguard
    owner: root
    group: grafana
    mode: "0640"

- name: Build them on the controller
  churnguard.ops.grafana_dashboards:
  delegate_to: localhost
  run_once: true
  register: built

- name: Write them on a host that has not the library
  churnguard.ops.grafana_dashboards:
    path: /var/lib/grafana/dashboards/churnguard
    built: "{{ built.dashboards }}"

- name: Only build some of them
  churnguard.ops.grafana_dashboards:
    dashboards: [application, business]
  register: built

- name: Bring them to the cluster, where Grafana's side container finds them
  kubernetes.core.k8s:
    definition:
      apiVersion: v1
      kind: ConfigMap
      metadata:
        name: "{{ item.uid }}"
        namespace: monitoring
        labels:
          grafana_dashboard: "1"
      data: "{{ {item.file: item.json} }}"
  loop: "{{ built.dashboards }}"
  loop_control:
    label: "{{ item.uid }}"
"""

RETURN = r"""
dashboards:
  description: The dashboards that were made, empty with O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name, as in O(dashboards).
      type: str
      sample: application
    uid:
      description: Its uid.
      type: str
      sample: churnguard-application
    title:
      description: Its title.
      type: str
      sample: ChurnGuard application
    file:
      description: Name of its file.
      type: str
      sample: churnguard-application.json
    panels:
      description: How many panels it has.
      type: int
      sample: 8
    sources:
      description: Who has to be scraped for all of them to have data.
      type: list
      elements: str
      sample: [application, node_exporter]
    json:
      description: The document as it is written, for ConfigMaps and the API.
      type: str
      sample: "{...}"
questions:
  description: Every query of every panel.
  returned: success
  type: list
  elements: dict
  contains:
    dashboard:
      description: Uid of the dashboard.
      type: str
      sample: churnguard-application
    panel_id:
      description: Number of the panel within it.
      type: int
      sample: 2
    panel:
      description: Title of the panel.
      type: str
      sample: Request rate
    ref_id:
      description: Letter of the query within the panel.
      type: str
      sample: A
    expr:
      description: The expression as Grafana has it.
      type: str
      sample: sum (rate(churnguard_requests_total{job=~"$job"}[$__rate_interval]))
    promql:
      description: The expression without Grafana's variables, as Prometheus itself can be asked.
      type: str
      sample: sum (rate(churnguard_requests_total{job=~".*"}[1m]))
    sources:
      description: Who has to be scraped for it to have data.
      type: list
      elements: str
      sample: [application]
written:
  description: Names of the files that were written, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [churnguard-application.json]
removed:
  description: Names of the files that were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [churnguard-redis.json]
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._grafana import document, files, library, questions
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.catalogue import BOARDS

#: Grafana's uids have 40 characters at most; the longest name and the dash take the rest.
UID_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")


def style_of(params: dict[str, Any]) -> document.Style:
    """What is the same for all dashboards. Raises OperationError."""
    prefix = params["uid_prefix"]
    if not UID_PREFIX.fullmatch(prefix):
        raise OperationError(
            f"name dashboards {prefix!r}-...",
            "the prefix becomes part of addresses and file names.",
            "give a uid_prefix of small letters, digits and dashes within, 24 characters at most.",
        )
    return document.Style(
        uid_prefix=prefix,
        title_prefix=params["title_prefix"],
        datasource_regex=params["datasource_regex"],
        refresh=params["refresh"],
        tags=tuple(params["tags"]),
    )


def documents(params: dict[str, Any], style: document.Style) -> dict[str, dict[str, Any]]:
    """The documents that are to be there, by name. Raises OperationError."""
    if params["state"] == "absent":
        return {}
    if params["built"] is None:
        return {name: document.document(BOARDS[name], style) for name in BOARDS if name in params["dashboards"]}
    for one in params["built"]:
        name = one.get("name")
        if not files.is_own(files.file_name(name, style), one.get("json"), style):
            raise OperationError(
                f"take over dashboard {name}",
                f"what is in built is not a document of this module with uid_prefix {style.uid_prefix}.",
                "hand over what the module returned as dashboards, and the same uid_prefix.",
            )
    return {one["name"]: json.loads(one["json"]) for one in params["built"]}


def summary(name: str, made: dict[str, Any], style: document.Style) -> dict[str, Any]:
    """What is returned of one dashboard."""
    asked = questions.questions([made])
    return {
        "name": name,
        "uid": made["uid"],
        "title": made["title"],
        "file": files.file_name(name, style),
        "panels": sum(panel["type"] != "row" for panel in made["panels"]),
        "sources": sorted({source for question in asked for source in question.sources}),
        "json": document.text(made),
    }


def prepare(folder: Path) -> None:
    """Create the folder. Raises OperationError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperationError(
            f"create {folder}", f"{error}.", "let the user that runs the task write there, or give another path."
        ) from error


def write(module: AnsibleModule, path: Path, text: str) -> None:
    """Replace one file as a whole: a Grafana that reads it meanwhile sees the old or the new. Raises OperationError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")  # not *.json: Grafana takes no notice of it
    try:
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o644)
        module.atomic_move(str(draft), str(path))
    except OSError as error:
        raise OperationError(f"write {path}", f"{error}.", "check the folder's owner and room.") from error
    finally:
        draft.unlink(missing_ok=True)


def carry_out(module: AnsibleModule, folder: Path, plan: files.Plan) -> None:
    """Write and remove what the plan says. Raises OperationError."""
    if plan.write:
        prepare(folder)
    for name, text in plan.write.items():
        write(module, folder / name, text)
    for name in plan.remove:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OperationError(f"remove {folder / name}", f"{error}.", "check the folder's owner.") from error


def set_attributes(module: AnsibleModule, folder: Path, names: list[str]) -> bool:
    """Owner, group, mode and the like of the files that are there; whether anything changed."""
    arguments = module.load_file_common_arguments(module.params)
    changed = False
    for name in names:
        path = folder / name
        if path.exists():
            changed = module.set_fs_attributes_if_different({**arguments, "path": str(path)}, changed)
    return changed


def shown(texts: dict[str, str]) -> str:
    """Files as the diff shows them."""
    return "".join(f"# {name}\n{texts[name]}" for name in sorted(texts))


def run(module: AnsibleModule) -> dict[str, Any]:
    """Build, write and remove. Raises OperationError."""
    style = style_of(module.params)
    made = documents(module.params, style)
    summaries = [summary(name, one, style) for name, one in made.items()]
    result: dict[str, Any] = {
        "changed": False,
        "dashboards": summaries,
        "questions": [question.as_dict() for question in questions.questions(made.values())],
        "written": [],
        "removed": [],
    }
    if module.params["path"] is None:
        return result
    folder = Path(module.params["path"])
    wanted = {one["file"]: one["json"] for one in summaries}
    plan = files.plan(wanted, files.read(folder), style, module.params["force"])
    if not module.check_mode:
        carry_out(module, folder, plan)
    attributes_changed = set_attributes(module, folder, list(wanted))
    result.update(
        changed=bool(plan.write or plan.remove) or attributes_changed, written=list(plan.write), removed=plan.remove
    )
    if module._diff:
        result["diff"] = {"before": shown(plan.before), "after": shown(plan.after)}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "dashboards": {"type": "list", "elements": "str", "choices": list(BOARDS), "default": list(BOARDS)},
            "uid_prefix": {"type": "str", "default": "churnguard"},
            "title_prefix": {"type": "str", "default": "ChurnGuard"},
            "datasource_regex": {"type": "str", "default": ""},
            "refresh": {"type": "str", "default": "30s"},
            "tags": {"type": "list", "elements": "str", "default": []},
            "built": {"type": "list", "elements": "dict"},
            "force": {"type": "bool", "default": False},
        },
        required_if=[("state", "absent", ["path"])],
        add_file_common_args=True,
        supports_check_mode=True,
    )
    if module.params["state"] == "present" and module.params["built"] is None:
        library.require_library(module)
    try:
        module.exit_json(**run(module))
    except OperationError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
