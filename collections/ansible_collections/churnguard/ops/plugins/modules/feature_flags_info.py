#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: feature_flags_info
short_description: Show the feature flags of an application
version_added: 0.1.0
description:
  - Reads the flags that M(churnguard.ops.feature_flags) keeps, whoever wrote them, and says what each of them answers,
    which have expired, and what is wrong with the document.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.flags
  - churnguard.ops.read_only
seealso:
  - module: churnguard.ops.feature_flags
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Look at the flags
  churnguard.ops.feature_flags_info:
    name: churnguard-flags
    namespace: churnguard-production
  register: found

- name: Fail as long as a flag is there whose day has come
  ansible.builtin.assert:
    that: found.expired | length == 0
    fail_msg: "Remove from code and document: {{ found.expired | map(attribute='name') | join(', ') }}"
"""

RETURN = r"""
exists:
  description: Whether there is such a ConfigMap.
  returned: success
  type: bool
flags:
  description: Every flag of the document, in the terms of the options of M(churnguard.ops.feature_flags).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the flag.
      type: str
      returned: always
    state:
      description: V(enabled) or V(disabled).
      type: str
      returned: always
    answers:
      description: What the flag answers, in words.
      type: str
      returned: always
    type:
      description: Type of the values; empty if they have no common one.
      type: str
      returned: always
    variants:
      description: Name and value of everything the flag can answer.
      type: dict
      returned: always
    default_variant:
      description: Variant for whom no targeting applies to.
      type: str
      returned: always
    percentage:
      description: Share of the users, if the flag is staged.
      type: int
      returned: always
    conditions:
      description: The conditions; empty if the targeting was written in another way.
      type: dict
      returned: always
    targeting:
      description: The rule as it stands in the document.
      type: dict
      returned: always
    owner:
      description: Who answers for the flag.
      type: str
      returned: always
    expires:
      description: Day on which the flag should be gone.
      type: str
      returned: always
    expired:
      description: Whether that day has come, by the API server's clock.
      type: bool
      returned: always
    description:
      description: What the flag is for.
      type: str
      returned: always
expired:
  description: Those of RV(flags) whose day has come.
  returned: success
  type: list
  elements: dict
problems:
  description: >-
    From name of a flag to what is wrong with it, the empty name standing for the document itself. Providers may refuse
    a document that has any.
  returned: success
  type: dict
document:
  description: The whole document.
  returned: success
  type: dict
resource_version:
  description: The ConfigMap's resourceVersion; empty if there is none.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._flags.args import api_of, place_argument_spec, shown
from ansible_collections.churnguard.ops.plugins.module_utils._flags.validate import document_problems
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.access import need_kubernetes


def main() -> None:
    module = AnsibleModule(argument_spec=place_argument_spec(), supports_check_mode=True)
    need_kubernetes(module)
    try:
        api = api_of(module.params)
        stored = api.read()
    except OperationError as error:
        module.fail_json(msg=str(error))
    flags = shown(stored.document, api.today())
    module.exit_json(
        changed=False,
        exists=stored.config_map is not None,
        flags=flags,
        expired=[flag for flag in flags if flag["expired"]],
        problems=document_problems(stored.document),
        document=stored.document,
        resource_version=stored.version,
    )


if __name__ == "__main__":
    main()
