# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's parameters to the restore that they ask for. Internal: may change in any release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._common.errors import OperationError
from .._pgbackrest.args import place_of
from . import plan
from .model import Request, Target


def request_of(params: dict[str, Any]) -> Request:
    """The restore that the parameters describe. Raises OperationError for what makes no sense."""
    given = params["target"]
    try:
        point = plan.read_point(params["point"], params["point_value"])
        if params["require_wal"]:
            plan.check_segment_name(params["require_wal"])
    except ValueError as error:
        raise OperationError("read the options", f"{error}.", "correct them.") from error
    settings = {str(name): str(value) for name, value in given["settings"].items()}
    target = Target(Path(given["data_dir"]), given["port"], given["marker"], given["access"], settings)
    return Request(
        place_of(params),
        target,
        point,
        params["confirm"],
        label=params["backup"] or "",
        deny=tuple(params["deny"]),
        ignore=frozenset(params["ignore"]),
        verify=params["verify"],
        wal_content=params["read_wal"],
        require_wal=params["require_wal"] or "",
        received=Path(params["received_wal"]) if params["received_wal"] else None,
        programs=Path(params["bin_dir"]),
        superuser=params["superuser"],
        timeout=params["timeout"],
    )
