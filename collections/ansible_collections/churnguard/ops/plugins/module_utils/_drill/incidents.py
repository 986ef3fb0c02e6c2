# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there is an incident, by the alerts that are firing. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Collection

from .._prometheus.api import QueryError, query_vector
from .scenario import Refused

_FIRING = 'ALERTS{alertstate="firing"}'


def firing(url: str | None, ignored: Collection[str]) -> list[str] | None:
    """Names of the firing alerts; None when there is no Prometheus to ask.

    Raises Refused when it does not answer: then nobody knows whether there is an incident.
    """
    if not url:
        return None
    try:
        series = query_vector(url, _FIRING)
    except QueryError as error:
        raise Refused(
            "alerts",
            "ask for firing alerts",
            f"Prometheus does not say: {error}.",
            "mend it, or give its right address.",
        ) from error
    names = {alert.labels.get("alertname", "an alert without a name") for alert in series}
    return sorted(names - set(ignored))
