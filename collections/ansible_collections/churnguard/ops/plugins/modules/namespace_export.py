#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: namespace_export
short_description: Export the objects of a Kubernetes namespace to an encrypted archive, and test it
version_added: 0.1.0
description:
  - Reads every object of a namespace that can be created again, Secrets included, takes away what the server writes
    (C(status), C(managedFields), C(uid) and the like), and writes one encrypted archive and a manifest beside it.
  - Then reads the archive back as a restore would - its SHA-256, the decryption, every object's own SHA-256, and the
    number of objects of each kind. Only then the manifest gets C(verified_at).
  - The values of Secrets stay in this module's process and in the archive. No result, log, diff or manifest has them.
  - Objects that a controller makes again (pods of a Deployment), events, leases and tokens of this cluster are left
    out, and counted.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
attributes:
  check_mode:
    description: Can run in check mode; it reads the namespace and writes nothing.
    support: full
  diff_mode:
    description: An export is always a new file, so there is no difference to show.
    support: none
  idempotent:
    description: V(exported) makes a new archive each time; V(verified) only sets C(verified_at).
    support: partial
    details: Every run of V(exported) is one more backup.
options:
  state:
    description:
      - V(exported) takes an export, tests it, and deletes expired ones.
      - V(verified) tests an export that is there, with no need for the cluster.
    type: str
    choices: [exported, verified]
    default: exported
  namespace:
    description:
      - The namespace.
    type: str
    required: true
  path:
    description:
      - Folder of the archives. It is made if it is missing, for its owner alone.
    type: path
    required: true
  key_file:
    description:
      - File with the keys, one on each line, that only its owner may read. The first one encrypts, all of them
        decrypt, so that a key is replaced by putting a new one above it.
      - Make one with C(head -c 32 /dev/urandom | base64 | tr '+/' '-_'). Who loses it loses the archives, so keep it
        where the archives are not.
    type: path
    required: true
  export:
    description:
      - With O(state=verified), the export to test, such as C(churnguard-production-20261122T030000Z). By default the
        newest.
    type: str
  excluded_kinds:
    description:
      - Kinds that are not exported, besides those that mean nothing outside a running cluster.
    type: list
    elements: str
    default: []
  retention_days:
    description:
      - Exports older than this are deleted. Without it none is.
    type: int
  keep_last:
    description:
      - How many verified exports stay, however old.
    type: int
    default: 3
  api_patience:
    description:
      - Seconds for which an API server that does not answer is tried again.
    type: int
    default: 30
requirements:
  - cryptography
seealso:
  - module: kubernetes.core.k8s_info
    description: >-
      Reads one kind in one task and returns the values of Secrets, which would then be in the playbook's memory, in its
      callbacks and, with one forgotten no_log, in its output.
  - module: churnguard.ops.backup_catalog_info
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Export the application's namespace
  churnguard.ops.namespace_export:
    namespace: churnguard-production
    path: /var/backups/churnguard/namespaces
    key_file: /etc/churnguard/backup.key
    retention_days: 365

- name: Test the newest export
  churnguard.ops.namespace_export:
    state: verified
    namespace: churnguard-production
    path: /var/backups/churnguard/namespaces
    key_file: /etc/churnguard/backup.key
"""

RETURN = r"""
archive:
  description: Path of the archive. Empty in check mode of O(state=exported).
  returned: success
  type: str
  sample: /var/backups/churnguard/namespaces/churnguard-production-20261122T030000Z.tar.fernet
manifest_file:
  description: Path of its manifest. Empty in check mode of O(state=exported).
  returned: success
  type: str
  sample: /var/backups/churnguard/namespaces/churnguard-production-20261122T030000Z.manifest.json
counts:
  description: Number of objects of each kind, as C(group/kind).
  returned: success
  type: dict
  sample: {apps/Deployment: 2, core/Secret: 3}
objects:
  description: Number of objects.
  returned: success
  type: int
  sample: 27
left_out:
  description: Number of objects that were left out, by kind and reason.
  returned: success
  type: dict
  sample: {"Pod: made by a ReplicaSet": 6}
verified_at:
  description: When the archive was read back. Empty in check mode of O(state=exported).
  returned: success
  type: str
  sample: "2026-11-22T03:00:04.120Z"
expired:
  description: Exports that were deleted, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: []
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.churnguard.ops.plugins.module_utils._backup import archive, namespace_export, namespace_plan
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.access import connect, need_kubernetes
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.args import auth_argument_spec


def run_exported(module: AnsibleModule, keys: Any, clock: Clock) -> dict[str, Any]:
    params = module.params
    folder, namespace = Path(params["path"]), params["namespace"]
    collected = namespace_export.collect(connect(params, clock), namespace, params["excluded_kinds"])
    if module.check_mode:
        result = {
            "objects": len(collected.objects),
            "counts": namespace_plan.counts(collected.objects),
            "left_out": collected.left_out,
            **{"archive": "", "manifest_file": "", "verified_at": ""},
        }
    else:
        if folder.is_dir():
            namespace_export.clear_leftovers(folder, namespace, clock)
        path = namespace_export.write(folder, namespace, collected, keys, clock)
        result = described(path, namespace_export.restore_test(path, keys, clock))
    return {"changed": True, **result, "expired": expire(module, folder, clock)}


def run_verified(module: AnsibleModule, keys: Any, clock: Clock) -> dict[str, Any]:
    params = module.params
    folder, namespace = Path(params["path"]), params["namespace"]
    if params["export"]:
        path = folder / f"{params['export']}{namespace_export.MANIFEST_SUFFIX}"
    else:
        path = namespace_export.newest(folder, namespace)
    if path is None:
        raise OperationError(f"test the newest export of {namespace}", f"there is none in {folder}.", "check path.")
    manifest = namespace_export.restore_test(path, keys, clock, record=not module.check_mode)
    return {"changed": True, **described(path, manifest), "expired": []}


def described(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    kept = {name: manifest[name] for name in ("objects", "counts", "left_out", "verified_at")}
    return {"archive": str(path.with_name(manifest["archive"])), "manifest_file": str(path), **kept}


def expire(module: AnsibleModule, folder: Path, clock: Clock) -> list[str]:
    params = module.params
    if params["retention_days"] is None:
        return []
    for name in ("retention_days", "keep_last"):
        if params[name] < 1:
            raise OperationError(f"use {name} {params[name]}", "it is less than 1.", "give 1 or more.")
    days, last = params["retention_days"], params["keep_last"]
    return namespace_export.expire(folder, params["namespace"], days, last, clock, module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            "state": {"type": "str", "choices": ["exported", "verified"], "default": "exported"},
            "namespace": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "key_file": {"type": "path", "required": True, "no_log": False},
            "export": {"type": "str"},
            "excluded_kinds": {"type": "list", "elements": "str", "default": []},
            "retention_days": {"type": "int"},
            "keep_last": {"type": "int", "default": 3},
            "api_patience": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    if archive.CRYPTOGRAPHY_ERROR is not None:
        module.fail_json(msg=missing_required_lib("cryptography"), exception=archive.CRYPTOGRAPHY_ERROR)
    exporting = module.params["state"] == "exported"
    if exporting:
        need_kubernetes(module)
    try:
        keys = archive.read_keys(Path(module.params["key_file"]))
        result = (run_exported if exporting else run_verified)(module, keys, Clock())
    except OperationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
