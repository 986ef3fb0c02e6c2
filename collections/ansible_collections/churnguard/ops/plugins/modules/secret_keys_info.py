#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_keys_info
short_description: Tell which keys a Secret has, without its values
version_added: 0.1.0
description:
  - Reads a Secret and returns the names of its keys.
  - The API server sends the values along. They stay in this module's process - no result, log or diff holds them.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.read_only
options:
  name:
    description:
      - Name of the Secret.
    type: str
    required: true
  namespace:
    description:
      - Its namespace.
    type: str
    required: true
  api_patience:
    description:
      - Seconds for which an API server that does not answer is tried again.
    type: int
    default: 10
seealso:
  - module: kubernetes.core.k8s_info
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Look at the application's Secret
  churnguard.ops.secret_keys_info:
    name: churnguard-secrets
    namespace: churnguard-production
  register: secret

- name: Require what the pods refer to
  ansible.builtin.assert:
    that: "['database-url', 'redis-url'] is subset(secret.key_names)"
"""

RETURN = r"""
exists:
  description: Whether the Secret exists.
  returned: success
  type: bool
  sample: true
key_names:
  description: The names of its keys, sorted. Empty when it does not exist.
  returned: success
  type: list
  elements: str
  sample: [database-url, redis-url]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.access import connect, need_kubernetes
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.args import auth_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.objects import Ref


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "api_patience": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    need_kubernetes(module)
    try:
        secret = connect(module.params, Clock()).get(Ref("Secret", module.params["namespace"], module.params["name"]))
    except OperationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, exists=secret is not None, key_names=sorted((secret or {}).get("data") or {}))


if __name__ == "__main__":
    main()
