# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One shape for every error a user can meet. Internal: may change in any release."""

from __future__ import annotations


class OperationError(Exception):
    """Something the user has to know: what was attempted, what was answered, and what to do next.

    C(attempted) names the action and its object ("switch traffic of churnguard-lab/churnguard-api to green"),
    C(answer) is what the system said, C(next_step) what helps.
    """

    def __init__(self, attempted: str, answer: str, next_step: str) -> None:
        self.attempted = attempted
        self.answer = answer
        self.next_step = next_step
        super().__init__(f"Could not {attempted}: {answer} Next: {next_step}")
