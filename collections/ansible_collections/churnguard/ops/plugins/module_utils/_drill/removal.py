# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What removers work with. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._common.clock import Clock
from .._common.errors import OperationError
from .model import Resource


def _silent(text: str) -> None:
    """For callers to whom nobody listens."""


@dataclass(frozen=True)
class Tools:
    """The drill that owns the resource, time, somebody to tell, and what the user gave: C(options) may hold what no
    journal may, such as where a password file lies."""

    drill_id: str
    clock: Clock
    options: Mapping[str, Any] = field(default_factory=dict)
    say: Callable[[str], None] = _silent


class NotRemoved(OperationError):
    """A resource is still there; C(commands) finish the work by hand."""

    def __init__(self, resource: Resource, answer: str, commands: Sequence[str]) -> None:
        self.commands = tuple(commands)
        by_hand = "; ".join(commands)
        super().__init__(f"remove {resource.kind} {resource.id}", answer, f"finish it by hand: {by_hand}")
