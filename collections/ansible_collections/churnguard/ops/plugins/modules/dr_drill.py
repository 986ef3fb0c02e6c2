#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dr_drill
short_description: Drill a disaster, measure the recovery, and prove that nothing is left of it
version_added: 1.0.0
description:
  - Runs a scenario phase by phase - preflight, prepare, fault, detect, recover, verify, accept, cleanup -, and measures
    the recovery time from the fault to the first read and write that the application had accepted, and the recovery
    point from a ledger of acknowledged writes that is kept outside the system under test.
  - Over the objective is a failed drill, and so is a check that was skipped.
  - What a drill makes is written to its journal before it is made, and provably removed, however the drill ends. A
    drill that was killed is finished by O(state=cleaned), from its journal alone.
  - Runs on the machine that has the scenario's programs and its scratch folder.
extends_documentation_fragment:
  - churnguard.ops.progress
attributes:
  check_mode:
    description: Can run in check mode; checks the settings and returns what it would do or remove, without writing.
    support: full
  diff_mode:
    description: Returns the resources that are there before and after cleaning; a drill itself leaves none.
    support: full
  idempotent:
    description: Each drill is a new one. O(state=cleaned) and O(state=swept) change nothing where nothing is left.
    support: partial
options:
  state:
    description:
      - V(drilled) runs O(scenario).
      - V(cleaned) finishes drills that did not end, by their journals - O(drill_id), or all of them. A drill that is
        running is left alone.
      - V(swept) does so for those that have expired, and removes what is marked as a drill's in O(scratch_dirs), or by
        its tags in O(aws_regions), has expired, and has no journal any more.
    type: str
    choices: [drilled, cleaned, swept]
    default: drilled
  scenario:
    description:
      - What is to happen, as docs/drills.md describes it. Required for O(state=drilled).
    type: str
  settings:
    description:
      - Settings of the scenario, as docs/drills.md lists them. They are checked before anything happens.
    type: dict
    default: {}
  secrets:
    description:
      - What the scenario needs and nobody may read, such as C(source_password).
      - Also for O(state=cleaned), where what is left can only be removed with them.
    type: dict
    default: {}
  drills_dir:
    description:
      - Folder of journals, ledgers, reports and the history.
    type: path
    required: true
  drill_id:
    description:
      - With O(state=cleaned), the drill to finish.
    type: str
  scratch_dirs:
    description:
      - With O(state=swept), folders in which drills keep their copies.
    type: list
    elements: path
    default: []
  aws_regions:
    description:
      - With O(state=swept), AWS regions in which to look for resources with the tag C(churnguard.ops/drill). Where they
        are and with which credentials is the environment's, as for every AWS tool.
      - Removed are DB instances, DB snapshots and ElastiCache replication groups whose tags say that they have expired,
        and name them. Anything else with that tag is told, and left.
    type: list
    elements: str
    default: []
  lift_protection:
    description:
      - With O(state=swept), take deletion protection off tagged resources that have expired. Without it, they are left,
        and the commands that finish the work are told. A drill that has its journal takes off what it has made itself.
    type: bool
    default: false
  environment_name:
    description:
      - Environment in which the drill runs. In V(production) nothing is ever broken, and O(confirm) is needed.
    type: str
    required: true
  confirm:
    description:
      - The exact name of the drill's target, which V(production) asks for.
    type: str
    default: ''
  rto:
    description:
      - Recovery time objective in seconds. Without it the time is measured and reads C(not_checked).
    type: float
  rpo:
    description:
      - Recovery point objective in seconds. Without it the loss is measured and reads C(not_checked).
    type: float
  allow_skipped:
    description:
      - Kinds or names of evidence that may be skipped without failing the drill. The report shows them all the same.
    type: list
    elements: str
    default: []
  prometheus_url:
    description:
      - Prometheus that knows of incidents. While it has firing alerts, or does not answer, no drill begins.
    type: str
  ignore_alerts:
    description:
      - Alerts that are no incident, such as a watchdog that always fires.
    type: list
    elements: str
    default: [Watchdog]
  expires_after:
    description:
      - Seconds after which O(state=swept) may take what is left of this drill.
    type: int
    default: 14400
requirements:
  - psycopg2 (scenarios of databases)
  - boto3, and the collection amazon.aws (resources in AWS)
seealso:
  - module: churnguard.ops.dr_drill_info
  - module: churnguard.ops.restore
  - module: churnguard.ops.postgresql_manifest
  - module: amazon.aws.backup_restore_job_info
    description: AWS Backup tells that a restore job has ended, not that the rows are there, and it breaks nothing.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Lose a throwaway database, and get it back
  churnguard.ops.dr_drill:
    scenario: database_loss
    environment_name: staging
    drills_dir: /var/lib/churnguard/drills
    rto: 1800
    rpo: 900
    settings:
      inject_fault: true
      source: {port: 5433, data_dir: /srv/throwaway/data}
      pgbackrest: {config: /etc/pgbackrest/pgbackrest.conf, stanza: throwaway}
      target: {directory: /srv/scratch, port: 5499}
    secrets:
      source_password: "{{ lookup('ansible.builtin.env', 'THROWAWAY_PASSWORD') }}"

- name: Finish what a killed drill left
  churnguard.ops.dr_drill:
    state: cleaned
    environment_name: staging
    drills_dir: /var/lib/churnguard/drills

- name: Remove what expired drills left, also in AWS
  churnguard.ops.dr_drill:
    state: swept
    environment_name: staging
    drills_dir: /var/lib/churnguard/drills
    scratch_dirs: [/srv/scratch]
    aws_regions: [us-west-2, us-east-1]
"""

RETURN = r"""
envelope:
  description: Result envelope of the drill - timeline, figures, evidence, reasons.
  returned: with O(state=drilled), once the drill has begun
  type: dict
refused:
  description: Whether an interlock kept the drill from beginning; nothing was touched then.
  returned: with O(state=drilled)
  type: bool
interlock:
  description: Name of that interlock.
  returned: when RV(refused)
  type: str
  sample: alerts
plan:
  description: What the drill would do.
  returned: with O(state=drilled), in check mode
  type: list
  elements: str
drills:
  description: >-
    Each drill that was looked at, with C(drill_id), C(state) (V(running), V(nothing_to_do), V(cleaned), V(incomplete)),
    C(removed), C(left) and its C(envelope).
  returned: with O(state=cleaned) and O(state=swept)
  type: list
  elements: dict
swept:
  description: >-
    Leftovers without a journal - C(removed), C(left) and C(kept), each a list with C(drill_id), C(id), in AWS also
    C(kind) and C(region), and C(proof), C(error) with C(commands), or C(reason).
  returned: with O(state=swept)
  type: dict
commands:
  description: Commands that remove what could not be removed.
  returned: when something is left
  type: list
  elements: str
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import PASSED, Recorder, lines_to
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._drill import cleanup, engine, incidents, journal, sweeper
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import scenario_of, settings_of
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Objectives
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenario import Refused


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        "state": {"type": "str", "choices": ["drilled", "cleaned", "swept"], "default": "drilled"},
        "scenario": {"type": "str"},
        "settings": {"type": "dict", "default": {}},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "drills_dir": {"type": "path", "required": True},
        "drill_id": {"type": "str"},
        "scratch_dirs": {"type": "list", "elements": "path", "default": []},
        "aws_regions": {"type": "list", "elements": "str", "default": []},
        "lift_protection": {"type": "bool", "default": False},
        "environment_name": {"type": "str", "required": True},
        "confirm": {"type": "str", "default": ""},
        "rto": {"type": "float"},
        "rpo": {"type": "float"},
        "allow_skipped": {"type": "list", "elements": "str", "default": []},
        "prometheus_url": {"type": "str"},
        "ignore_alerts": {"type": "list", "elements": "str", "default": ["Watchdog"]},
        "expires_after": {"type": "int", "default": 14400},
        "progress_file": {"type": "path"},
    }


def drill(module: AnsibleModule, recorder: Recorder, clock: Clock) -> None:
    params = module.params
    scenario = scenario_of(params["scenario"])
    options = {**settings_of(scenario, params["settings"]), **params["secrets"]}
    subject = scenario.subject(options, params["environment_name"])
    if module.check_mode:
        plan = scenario.plan(options)
        module.exit_json(changed=True, refused=False, plan=plan, msg=f"Would drill {scenario.name}: {'; '.join(plan)}.")
    request = engine.Request(
        scenario=scenario,
        subject=subject,
        objectives=Objectives(params["rto"], params["rpo"]),
        drills_dir=Path(params["drills_dir"]),
        options=options,
        confirm=params["confirm"],
        alerts=incidents.firing(params["prometheus_url"], params["ignore_alerts"]),
        allow_skipped=frozenset(params["allow_skipped"]),
        expires_after_s=params["expires_after"],
    )
    outcome = engine.run(request, clock, recorder)
    result: dict[str, Any] = {"changed": True, "envelope": outcome.envelope, "refused": bool(outcome.refused)}
    if outcome.refused:
        result["interlock"] = outcome.refused
    if outcome.commands:
        result["commands"] = outcome.commands
    identifier = outcome.envelope["subject"]["drill_id"]
    if outcome.verdict == PASSED:
        module.exit_json(msg=f"{identifier} has passed.", **result)
    module.fail_json(msg=f"{identifier} {outcome.verdict}: {' '.join(outcome.reasons)}", **result)


def clean(module: AnsibleModule, recorder: Recorder, clock: Clock) -> None:
    drills_dir, wanted = Path(module.params["drills_dir"]), module.params["drill_id"]
    folders = [cleanup.the_drill(drills_dir, wanted)] if wanted else list(journal.drills(drills_dir))
    before = cleanup.remaining(folders)
    if module.check_mode:
        found = [cleanup.look(folder) for folder in folders]
    else:
        found = [cleanup.finish(folder, clock, module.params["secrets"], recorder.progress) for folder in folders]
    _leave(module, found, before, {}, [])


def sweep(module: AnsibleModule, recorder: Recorder, clock: Clock) -> None:
    params = module.params
    drills_dir, roots = Path(params["drills_dir"]), [Path(path) for path in params["scratch_dirs"]]
    before = cleanup.remaining(journal.drills(drills_dir)) + [str(item.folder) for item in sweeper.leftovers(roots)]
    aws = sweeper.Aws(params["aws_regions"], params["lift_protection"])
    swept = sweeper.sweep(drills_dir, roots, clock, params["secrets"], recorder.progress, not module.check_mode, aws)
    shown = {"removed": swept.removed, "left": swept.left, "kept": swept.kept}
    before += [item["id"] for item in swept.removed + swept.left if item["id"] not in before]
    _leave(module, swept.drills, before, {"swept": shown}, swept.left)


def _leave(
    module: AnsibleModule, found: list[cleanup.Cleaned], before: list[str], more: dict[str, Any], left: list[dict]
) -> None:
    """End the module with what cleaning has found and done."""
    removed = (more.get("swept") or {}).get("removed", [])
    acted = [drill for drill in found if drill.changed]
    result: dict[str, Any] = {"changed": bool(acted or removed), "drills": [asdict(drill) for drill in found], **more}
    gone = {f"{item['kind']} {item['id']}" for drill in acted for item in drill.removed}
    gone |= {item["id"] for item in removed}
    if module._diff:
        after = [name for name in before if name not in gone]
        result["diff"] = {"before": "\n".join(before) + "\n", "after": "\n".join(after) + "\n"}
    still = [item for drill in found for item in drill.left] + left
    if still:
        result["commands"] = [command for item in still for command in item["commands"]]
        module.fail_json(msg=f"Could not remove everything: {' '.join(item['error'] for item in still)}", **result)
    running = [drill.drill_id for drill in found if drill.state == cleanup.RUNNING]
    told = f"{len(acted)} drills were finished, {len(gone)} resources looked at and gone"
    if module.check_mode:
        told = f"Would finish {len(acted)} drills and remove {', '.join(sorted(gone)) or 'nothing'}"
    kept = [
        f"{item.get('id') or item['drill_id']} ({item['reason']})" for item in more.get("swept", {}).get("kept", [])
    ]
    told += f"; running: {', '.join(running)}" if running else ""
    module.exit_json(msg=f"{told}{'; kept: ' + ', '.join(kept) if kept else ''}.", **result)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        required_if=[("state", "drilled", ["scenario"])],
    )
    clock = Clock()
    recorder = Recorder(clock, "dr_drill", lines_to(module.params["progress_file"]))
    run = {"drilled": drill, "cleaned": clean, "swept": sweep}[module.params["state"]]
    try:
        run(module, recorder, clock)
    except Refused as refusal:
        module.fail_json(msg=str(refusal), refused=True, interlock=refusal.interlock)
    except OperationError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
