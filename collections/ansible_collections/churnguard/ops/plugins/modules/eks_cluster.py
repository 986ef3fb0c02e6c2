#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_cluster
short_description: Make EKS clusters with encrypted secrets, logs and a restricted API server
version_added: 1.0.0
description:
  - Makes an EKS cluster, or brings one in line - access to its API server, logs of the control plane, encryption of
    secrets, Kubernetes version and tags.
  - An API server that is open to the whole internet has to be asked for by naming the addresses.
  - Upgrades go through every minor version in turn, as EKS demands. Nodes are not upgraded by this.
  - Deletes nothing.
extends_documentation_fragment:
  - churnguard.ops.aws
attributes:
  check_mode:
    description: Can run in check mode and say what would be done.
    support: full
  diff_mode:
    description: Returns the properties of the cluster before and after.
    support: full
  idempotent:
    description: A cluster that is as wanted is left alone.
    support: full
options:
  name:
    description:
      - Name of the cluster.
    type: str
    required: true
  version:
    description:
      - Kubernetes version, such as V(1.35). Without it a new cluster gets EKS' default, and another keeps its own.
    type: str
  role_arn:
    description:
      - IAM role of the control plane. Cannot be changed later.
    type: str
    required: true
  subnet_ids:
    description:
      - Subnets of the control plane's network interfaces, in two zones at least. Cannot be changed later.
    type: list
    elements: str
    required: true
  endpoint_private_access:
    description:
      - Whether the API server answers inside the VPC.
    type: bool
    default: true
  endpoint_public_access:
    description:
      - Whether it answers outside, to O(public_access_cidrs).
    type: bool
    default: false
  public_access_cidrs:
    description:
      - Addresses that may reach it from outside. Required with O(endpoint_public_access).
    type: list
    elements: str
    default: []
  secrets_kms_key_arn:
    description:
      - KMS key that encrypts Kubernetes secrets. Once set it cannot be changed or removed.
    type: str
  log_types:
    description:
      - What the control plane logs to CloudWatch; all others are switched off.
    type: list
    elements: str
    choices: [api, audit, authenticator, controllerManager, scheduler]
    default: [api, audit, authenticator, controllerManager, scheduler]
  tags:
    description:
      - Tags to set. Others stay.
    type: dict
    default: {}
  wait_timeout:
    description:
      - Seconds to wait at most, for the making of the cluster and for each update.
    type: int
    default: 1800
  wait_interval:
    description:
      - Seconds between looks.
    type: int
    default: 15
seealso:
  - module: community.aws.eks_cluster
    description: >-
      Makes and deletes clusters, yet knows neither encryption of secrets, logs, access to the API server nor upgrades,
      and does not touch the tags of a cluster that is there. Deleting is its task still.
  - module: community.aws.eks_nodegroup
    description: Makes the nodes.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: A cluster that only the office and the VPC reach
  churnguard.ops.eks_cluster:
    name: churnguard-production
    version: "1.35"
    role_arn: arn:aws:iam::111122223333:role/churnguard-production-eks-cluster
    subnet_ids: [subnet-0a, subnet-0b, subnet-0c]
    endpoint_public_access: true
    public_access_cidrs: [198.51.100.0/24]
    secrets_kms_key_arn: arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
"""

RETURN = r"""
cluster:
  description: The cluster as EKS describes it, in snake case. Empty in check mode if it does not exist.
  returned: success
  type: dict
  sample:
    name: churnguard-production
    status: ACTIVE
node_groups:
  description: The cluster's groups of nodes as EKS describes them, in snake case.
  returned: success
  type: list
  elements: dict
  sample:
    - nodegroup_name: general
      status: ACTIVE
actions:
  description: What was done, or would be in check mode, in words.
  returned: success
  type: list
  elements: str
  sample: [change what is logged]
"""

from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.churnguard.ops.plugins.module_utils._aws.library import aws_module
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._eks.course import Clusters, Course
from ansible_collections.churnguard.ops.plugins.module_utils._eks.plan import LOG_TYPES, Wish, summary, wanted


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        "name": {"type": "str", "required": True},
        "version": {"type": "str"},
        "role_arn": {"type": "str", "required": True},
        "subnet_ids": {"type": "list", "elements": "str", "required": True},
        "endpoint_private_access": {"type": "bool", "default": True},
        "endpoint_public_access": {"type": "bool", "default": False},
        "public_access_cidrs": {"type": "list", "elements": "str", "default": []},
        "secrets_kms_key_arn": {"type": "str", "no_log": False},
        "log_types": {"type": "list", "elements": "str", "choices": list(LOG_TYPES), "default": list(LOG_TYPES)},
        "tags": {"type": "dict", "default": {}},
        "wait_timeout": {"type": "int", "default": 1800},
        "wait_interval": {"type": "int", "default": 15},
    }


def wish_of(params: dict[str, Any]) -> Wish:
    return Wish(
        name=params["name"],
        role=params["role_arn"],
        subnets=tuple(params["subnet_ids"]),
        version=params["version"] or "",
        private=params["endpoint_private_access"],
        public=params["endpoint_public_access"],
        public_cidrs=tuple(params["public_access_cidrs"]),
        secrets_key=params["secrets_kms_key_arn"] or "",
        log_types=tuple(kind for kind in LOG_TYPES if kind in params["log_types"]),
        tags={str(name): str(value) for name, value in params["tags"].items()},
    )


def plain(cluster: Any) -> dict[str, Any]:
    """In snake case, the tags' own names as they are."""
    if not cluster:
        return {}
    described = {name: value for name, value in cluster.items() if name != "tags"}
    return {**camel_dict_to_snake_dict(described), "tags": dict(cluster.get("tags") or {})}


def main() -> None:
    module = aws_module(
        argument_spec=argument_spec(),
        required_if=[("endpoint_public_access", True, ["public_access_cidrs"])],
        supports_check_mode=True,
    )
    params, clock = module.params, Clock()
    try:
        wish = wish_of(params)
        clusters = Clusters(module.client("eks"), clock)
        course = Course(clusters, clock, params["wait_timeout"], params["wait_interval"])
        actions, before, after = course.run(wish, module.check_mode)
        groups = clusters.node_groups(wish.name) if before else []
    except OperationError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {
        "changed": bool(actions),
        "actions": actions,
        "cluster": plain(after),
        "node_groups": [plain(group) for group in groups],
    }
    if module._diff:
        was = summary(before) if before else None
        result["diff"] = {"before": was or {}, "after": wanted(wish, was)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
