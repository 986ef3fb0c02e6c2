# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters on a report model share. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from jinja2 import UndefinedError

from ...module_utils._common.errors import OperationError


def of_model(name: str, render: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """The filter C(name) that calls C(render) with a report model, as C(FilterModule.filters) returns it. An input that
    is no report model raises AnsibleFilterError."""

    def call(model: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return render(model, *arguments, **options)
        except OperationError as error:
            raise AnsibleFilterError(f"{name}: {error}") from error
        except (KeyError, TypeError, UndefinedError) as error:
            raise AnsibleFilterError(f"{name}: the input is not a report model ({error!r}).") from error

    return {name: call}
