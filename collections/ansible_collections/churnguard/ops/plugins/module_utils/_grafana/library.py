# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's SDK: the one release that serves, and what to say where it is not. Internal: may change in any release."""

from __future__ import annotations

import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

GRAFANA_IMPORT_ERROR: str | None
try:
    from grafana_foundation_sdk.models.dashboard import Dashboard
except ImportError:
    GRAFANA_IMPORT_ERROR = traceback.format_exc()
else:
    GRAFANA_IMPORT_ERROR = None

#: The epoch before the "!" is the time of the release: without it, pip takes the newest time for the newest version and
#: installs the SDK of Grafana 10.1, whose schema is 36.
REQUIREMENT = "grafana-foundation-sdk==1769699379!11.6.0"
#: Angular panels are gone from 39 on.
OLDEST_SCHEMA = 39


def require_library(module: AnsibleModule) -> None:
    """Fail the module unless the SDK is there and writes a schema that is new enough."""
    if GRAFANA_IMPORT_ERROR:
        module.fail_json(
            msg=missing_required_lib(REQUIREMENT, reason="with exactly this version and its epoch (the number and !)"),
            exception=GRAFANA_IMPORT_ERROR,
        )
    reason = too_old(Dashboard().schema_version)
    if reason:
        module.fail_json(msg=reason)


def too_old(schema: int) -> str | None:
    """Why dashboards of that schema do not serve, and what to do; None if they do."""
    if schema >= OLDEST_SCHEMA:
        return None
    return (
        f"Could not build dashboards: the grafana-foundation-sdk that is installed writes schema {schema}, and "
        f"{OLDEST_SCHEMA} or newer is needed. Next: pip install '{REQUIREMENT}', with the epoch before the '!'."
    )
