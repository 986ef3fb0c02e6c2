# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EKS' API, one call for each method, and the course of bringing a cluster in line. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._aws.calls import Caller
from .._aws.errors import AwsError
from .._common.clock import Clock
from .._common.errors import OperationError
from .._common.waiting import Finding, wait_until
from . import plan


class Clusters:
    """The clusters of one region; C(client) is boto3's for eks. Methods raise AwsError."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._caller = Caller(client, clock)

    def get(self, name: str) -> dict[str, Any] | None:
        """The cluster as EKS describes it; None if it does not exist."""
        try:
            return self._caller.read(f"look up the EKS cluster {name}", "describe_cluster", name=name)["cluster"]
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise

    def create(self, wish: plan.Wish) -> dict[str, Any]:
        """Begin to make it; returns it as it is then."""
        return self._caller.write(f"make the EKS cluster {wish.name}", "create_cluster", **plan.creation(wish))[
            "cluster"
        ]

    def node_groups(self, name: str) -> list[dict[str, Any]]:
        """The groups of nodes of a cluster, as EKS describes them."""
        found: list[dict[str, Any]] = []
        page: dict[str, str] = {}
        while True:
            attempted = f"list the node groups of the EKS cluster {name}"
            answer = self._caller.read(attempted, "list_nodegroups", clusterName=name, **page)
            for group in answer["nodegroups"]:
                found.append(self._node_group(name, group))
            if not answer.get("nextToken"):
                return found
            page = {"nextToken": answer["nextToken"]}

    def _node_group(self, name: str, group: str) -> dict[str, Any]:
        attempted = f"look up the node group {group} of the EKS cluster {name}"
        return self._caller.read(attempted, "describe_nodegroup", clusterName=name, nodegroupName=group)["nodegroup"]

    def change(self, name: str, step: plan.Step) -> None:
        """Begin one update."""
        self._caller.write(f"{step.words} (EKS cluster {name})", step.method, **step.arguments)


class Course:
    """Makes a cluster or brings it in line, one update after the other, each waited for.

    C(timeout) and C(interval) are seconds, for each wait."""

    def __init__(self, clusters: Clusters, clock: Clock, timeout: float, interval: float) -> None:
        self._clusters = clusters
        self._clock = clock
        self._timeout = timeout
        self._interval = interval

    def run(
        self, wish: plan.Wish, check_mode: bool
    ) -> tuple[list[str], Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """What was done, or would be, in words; the cluster before and after. Raises OperationError."""
        plan.check(wish)
        before = self._clusters.get(wish.name)
        if before is None:
            if not check_mode:
                self._clusters.create(wish)
            return ["make the cluster"], None, None if check_mode else self._active(wish.name)
        if not check_mode:
            before = self._active(wish.name)
        steps = plan.steps(wish, before)
        words = [step.words for step in steps]
        if check_mode or not steps:
            return words, before, before
        after: Mapping[str, Any] = before
        for step in steps:
            self._clusters.change(wish.name, step)
            after = self._active(wish.name)
        left = plan.steps(wish, after)
        if left:
            raise OperationError(
                f"bring the EKS cluster {wish.name} in line",
                f"EKS took the request and ended it without effect: {left[0].words}.",
                f"read 'aws eks list-updates --name {wish.name}' and the update's errors, then run again.",
            )
        return words, before, after

    def _active(self, name: str) -> dict[str, Any]:
        """The cluster once it is active."""
        seen: dict[str, Any] = {}

        def look() -> Finding:
            cluster = self._clusters.get(name)
            seen.clear()
            seen.update(cluster or {"status": "gone"})
            return plan.readiness(seen)

        finding, waited = wait_until(look, self._clock, self._timeout, self._interval)
        if not finding.done:
            how = "will not become active" if finding.failed else f"is not active after {waited:.0f} s"
            raise OperationError(
                f"wait for the EKS cluster {name}",
                f"it {how}: {finding.detail}.",
                "look at its events in AWS' console; run again to go on waiting, or raise wait_timeout.",
            )
        return seen
