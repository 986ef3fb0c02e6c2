#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: feature_flags
short_description: Create, stage, switch off and remove feature flags
version_added: 0.1.0
description:
  - Keeps feature flags in a ConfigMap, as a JSON document in the form of flagd, which OpenFeature's flagd providers
    evaluate in the application - from the mounted file, without a server.
  - An option that is left out leaves that part of the flag as it is, so that a task may say one thing only. A flag that
    does not exist yet starts enabled, boolean (variants V(on) and V(off)), and off for everybody.
  - A share of users (O(flags[].percentage)) is drawn by the murmur3 hash of the flag's name and the user's id, the same
    in every process. Raising it keeps the feature for everybody who had it.
  - The document is checked before it is written. Flags that the task does not name are never changed, unless
    O(purge=true); if somebody else writes at the same time, the task reads again and repeats its decision.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.flags
attributes:
  check_mode:
    description: Can run in check mode and return what would change without writing anything.
    support: full
  diff_mode:
    description: Returns the document before and after.
    support: full
  idempotent:
    description: A document that is right already is not written.
    support: full
options:
  flags:
    description:
      - The flags this task is about.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the flag, as the application asks for it.
        type: str
        required: true
      state:
        description:
          - V(enabled) lets the flag answer by its rules. V(disabled) is the kill switch - the application uses the
            value in its code, and the rules are kept for later. V(absent) removes the flag.
          - Left out, a flag stays enabled or disabled as it is. So a regular run does not switch on again what was
            switched off in an emergency.
        type: str
        choices: [enabled, disabled, absent]
      type:
        description: Type of the values, checked against the variants.
        type: str
        choices: [boolean, string, number, object]
      variants:
        description:
          - Name and value of everything the flag can answer. All values have one type.
          - Quote V(on) and V(off) as keys; unquoted they are booleans in YAML.
        type: dict
      default_variant:
        description: Variant for whom no targeting applies to.
        type: str
      percentage:
        description:
          - Share of the users who get variant V(on), from 0 to 100. The others get V(off).
          - With O(flags[].conditions), the share of those who meet them.
          - Requests without a user's id are in no share; V(100) without conditions is everybody, those included.
        type: int
      conditions:
        description:
          - From attribute of the request to the values it may have. Whoever meets all of them gets V(on), the others
            V(off).
          - An empty dictionary removes the conditions. A flag without share and conditions is off for everybody.
        type: dict
      targeting:
        description:
          - Rule in flagd's JSONLogic, for what O(flags[].percentage) and O(flags[].conditions) cannot say.
          - An empty dictionary removes it.
        type: dict
      owner:
        description: Who answers for the flag; kept as its metadata. An empty text removes it.
        type: str
      expires:
        description:
          - Day (V(YYYY-MM-DD), from 00:00 UTC on) on which the flag should be gone; kept as its metadata. An empty text
            removes it.
        type: str
      description:
        description: What the flag is for; kept as its metadata. An empty text removes it.
        type: str
  purge:
    description:
      - Whether to remove every flag of the document that O(flags) does not name.
    type: bool
    default: false
  on_expired:
    description:
      - What to do about a flag in O(flags) whose day has come. V(warn) reports it, V(fail) refuses the task, V(disable)
        switches it off.
      - Expired flags that O(flags) does not name are always only reported.
    type: str
    choices: [warn, fail, disable]
    default: warn
seealso:
  - module: churnguard.ops.feature_flags_info
  - module: churnguard.ops.rollout
  - name: Schema of the document
    description: Everything that a flag of flagd can have.
    link: https://flagd.dev/reference/flag-definitions/
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Declare the flags of an application
  churnguard.ops.feature_flags:
    name: churnguard-flags
    namespace: churnguard-production
    flags:
      - name: new_dashboard_ui
        percentage: 10
        owner: dashboard team
        expires: "2027-06-30"
      - name: advanced_analytics
        conditions:
          subscription_tier: [professional, enterprise]

- name: Go to the next stage
  churnguard.ops.feature_flags:
    name: churnguard-flags
    namespace: churnguard-production
    flags:
      - name: new_dashboard_ui
        percentage: 25

- name: Switch two flags off at once
  churnguard.ops.feature_flags:
    name: churnguard-flags
    namespace: churnguard-production
    flags:
      - {name: new_dashboard_ui, state: disabled}
      - {name: advanced_analytics, state: disabled}

- name: Split users three ways
  churnguard.ops.feature_flags:
    name: churnguard-flags
    namespace: churnguard-production
    flags:
      - name: checkout_colour
        variants: {blue: "#00f", green: "#0f0", grey: "#888"}
        default_variant: grey
        targeting:
          fractional: [[blue, 25], [green, 25], [grey, 50]]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the flag.
      type: str
      returned: always
    action:
      description: One of V(created), V(changed), V(enabled), V(disabled), V(removed).
      type: str
      returned: always
    detail:
      description: What the flag answered before and answers now.
      type: str
      returned: always
  sample: [{"name": "new_dashboard_ui", "action": "changed", "detail": "on for 10 % -> on for 25 %"}]
expired:
  description: Flags of the document whose day has come, each with C(name), C(owner), C(expires) and C(state).
  returned: success
  type: list
  elements: dict
flags:
  description: Every flag of the document after the task, as M(churnguard.ops.feature_flags_info) returns it.
  returned: success
  type: list
  elements: dict
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._flags.api import FlagsApi, Stored
from ansible_collections.churnguard.ops.plugins.module_utils._flags.args import api_of, place_argument_spec, shown
from ansible_collections.churnguard.ops.plugins.module_utils._flags.model import read_requests
from ansible_collections.churnguard.ops.plugins.module_utils._flags.plan import Plan, Wish, decide
from ansible_collections.churnguard.ops.plugins.module_utils._flags.store import change
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.access import need_kubernetes


def argument_spec() -> dict[str, dict[str, Any]]:
    flag = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["enabled", "disabled", "absent"]},
        "type": {"type": "str", "choices": ["boolean", "string", "number", "object"]},
        "variants": {"type": "dict"},
        "default_variant": {"type": "str"},
        "percentage": {"type": "int"},
        "conditions": {"type": "dict"},
        "targeting": {"type": "dict"},
        "owner": {"type": "str"},
        "expires": {"type": "str"},
        "description": {"type": "str"},
    }
    return {
        **place_argument_spec(),
        "flags": {"type": "list", "elements": "dict", "default": [], "options": flag},
        "purge": {"type": "bool", "default": False},
        "on_expired": {"type": "str", "choices": ["warn", "fail", "disable"], "default": "warn"},
    }


def run(params: dict[str, Any], check_mode: bool) -> tuple[FlagsApi, Stored, Plan]:
    """Carry out what the parameters ask for. Raises OperationError."""
    api = api_of(params)
    wish = Wish(read_requests(params["flags"], api.place), params["purge"], params["on_expired"])
    stored, plan = change(
        api, lambda document: decide(document, replace(wish, today=api.today()), api.place), check_mode
    )
    return api, stored, plan


def message(api: FlagsApi, plan: Plan, check_mode: bool) -> str:
    if not plan.changes:
        return f"The flags in {api.place} are as they should be."
    told = "; ".join(f"{change['name']} {change['action']}" for change in plan.changes)
    return f"{'Would change' if check_mode else 'Changed'} the flags in {api.place}: {told}."


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    need_kubernetes(module)
    try:
        api, stored, plan = run(module.params, module.check_mode)
    except OperationError as error:
        module.fail_json(msg=str(error))
    for warning in plan.warnings:
        module.warn(warning)
    result: dict[str, Any] = {
        "changed": bool(plan.changes),
        "msg": message(api, plan, module.check_mode),
        "changes": plan.changes,
        "expired": plan.expired,
        "flags": shown(plan.document, api.today()),
    }
    if module._diff:
        result["diff"] = {
            "before_header": api.place,
            "after_header": api.place,
            "before": stored.document,
            "after": plan.document if plan.changes else stored.document,
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
