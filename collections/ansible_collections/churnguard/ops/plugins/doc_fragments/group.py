# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.churnguard.ops.plugins.doc_fragments import data_plane, release, rollout

_SERVICES = """
services:
  description:
    - The services, in the order in which they are rolled out. They are taken back in reverse order.
    - Each may have every option of M(churnguard.ops.rollout) that says how it is released; what it does not say is
      taken from the option of that name beside O(services). Required for O(state=present).
  type: list
  elements: dict
  default: []
  suboptions:
    name:
      description: Name of the application, as in M(churnguard.ops.rollout).
      type: str
      required: true
    version:
      description: Version to ship; it must be what replies carry in the version header. Required for O(state=present).
      type: str
    deployment:
      description: The C(apps/v1) Deployment of that version. Required for O(state=present).
      type: dict
    replicas:
      description: Size of the new slot. Defaults to the live size of the old one, else to what the Deployment says.
      type: int
"""
_OF_THE_RUN = ("lease_duration", "api_patience")


def _options(fragment: Any, *names: str) -> dict[str, Any]:
    options = yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    return {key: option for key, option in options.items() if not names or key in names}


def _documentation() -> str:
    """The options of a single rollout once more, for a service of the group: none of them has a default there."""
    document = yaml.safe_load(_SERVICES)
    own = {**_options(release), **_options(data_plane), **_options(rollout, "slots", "router")}
    for key, option in own.items():
        if key in _OF_THE_RUN:
            continue
        option.pop("default", None)
        if key == "router":
            for part in option["suboptions"].values():
                part.pop("default", None)
        document["services"]["suboptions"][key] = option
    return yaml.safe_dump({"options": document}, sort_keys=False, width=118)


class ModuleDocFragment:
    # The annotation keeps yamllint of ansible-test from taking the call for a text.
    DOCUMENTATION: str = _documentation()
