# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that reviews a period: from its options to its result. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ansible.module_utils.basic import AnsibleModule

from .._common.clock import Clock
from .._common.envelope import Recorder
from .._common.errors import OperationError
from .asking import Asker, Server
from .limits import Scope, Wish, acceptable, check_coverage


class Reviewer(Protocol):
    """What a kind of review has to offer."""

    asker: Asker

    def run(self) -> str:
        """Review everything and return the verdict. Raises OperationError."""

    def verdicts(self) -> list[str]:
        """Those of everything that has a limit."""

    def result(self) -> dict[str, Any]:
        """What the module returns of its own: the outcome in a sentence as C(msg), and what was found."""


def review(
    module: AnsibleModule,
    operation: str,
    purpose: str,
    scope: Scope,
    reviewer_of: Callable[[Asker, Wish, Recorder], Reviewer],
) -> None:
    """Run the review that C(module)'s options describe and end the module with its result; C(purpose) is what errors
    say was tried. With something that O(fail_on) names it ends as failed."""
    params = module.params
    clock = Clock()
    recorder = Recorder(clock, operation)
    server = Server(params["prometheus_url"], params["query_timeout"], params["deadline"])
    wish = Wish(scope, params["period"], params["end"], params["step"], params["min_coverage"])
    try:
        check_coverage(purpose, wish.min_coverage)
        reviewer = reviewer_of(Asker(server, clock, recorder, purpose, params["max_clock_skew"]), wish, recorder)
        verdict = reviewer.run()
    except OperationError as error:
        module.fail_json(msg=str(error))
    if reviewer.asker.warning:
        module.warn(reviewer.asker.warning)
    result = {
        "changed": False,
        **reviewer.result(),
        "clock_skew": round(reviewer.asker.skew_s, 3),
        "interruptions": reviewer.asker.interruptions,
        "acceptable": acceptable(reviewer.verdicts(), params["fail_on"]),
        "envelope": recorder.envelope(verdict, False),
    }
    if not result["acceptable"]:
        module.fail_json(**result)
    module.exit_json(**result)
