# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from a module's parameters to the cluster. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .._common.clock import Clock
from . import connection as kubernetes_connection
from .connection import Connection


def need_kubernetes(module: AnsibleModule) -> None:
    """End C(module) with an explanation if the kubernetes library is missing."""
    if not kubernetes_connection.HAS_KUBERNETES:
        module.fail_json(
            msg=missing_required_lib("kubernetes"), exception=kubernetes_connection.KUBERNETES_IMPORT_ERROR
        )


def connect(params: dict[str, Any], clock: Clock) -> Connection:
    """The connection that the parameters of the fragment churnguard.ops.kubernetes, and C(api_patience), describe.

    Raises OperationError when no cluster can be found."""
    configuration = kubernetes_connection.client_configuration(params)
    return Connection(configuration, clock, params["api_patience"])
