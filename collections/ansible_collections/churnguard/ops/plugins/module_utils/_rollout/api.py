# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One remote call per function. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._kubernetes.connection import Connection
from .._kubernetes.errors import ApiError, Conflict
from .._kubernetes.objects import Ref, resource_version
from . import control
from .manifest import slot_selector
from .model import ANNOTATION_FENCE, Target


class RolloutApi:
    """What a rollout reads and writes in its namespace. Every write carries the resourceVersion of what was read."""

    def __init__(self, connection: Connection, target: Target) -> None:
        self._connection = connection
        self._target = target

    @property
    def connection(self) -> Connection:
        """For what else is read and written on behalf of a rollout, such as feature flags."""
        return self._connection

    def _ref(self, kind: str, name: str = "") -> Ref:
        return Ref(kind, self._target.namespace, name)

    def server_now(self) -> Any:
        return self._connection.server_now()

    def get_lease(self) -> dict[str, Any] | None:
        return self._connection.get(self._ref("Lease", self._target.journal))

    def create_lease(self, lease: dict[str, Any]) -> dict[str, Any]:
        return self._connection.create(self._ref("Lease", self._target.journal), lease)

    def replace_lease(self, lease: dict[str, Any]) -> dict[str, Any]:
        return self._connection.replace(self._ref("Lease", self._target.journal), lease)

    def get_journal(self) -> dict[str, Any] | None:
        return self._connection.get(self._ref("ConfigMap", self._target.journal))

    def create_journal(self, config_map: dict[str, Any]) -> dict[str, Any]:
        return self._connection.create(self._ref("ConfigMap", self._target.journal), config_map)

    def replace_journal(self, config_map: dict[str, Any]) -> dict[str, Any]:
        return self._connection.replace(self._ref("ConfigMap", self._target.journal), config_map)

    def get_control(self) -> dict[str, Any] | None:
        return self._connection.get(self._ref("ConfigMap", control.name_of(self._target)))

    def create_control(self, config_map: dict[str, Any]) -> dict[str, Any]:
        return self._connection.create(self._ref("ConfigMap", control.name_of(self._target)), config_map)

    def replace_control(self, config_map: dict[str, Any]) -> dict[str, Any]:
        return self._connection.replace(self._ref("ConfigMap", control.name_of(self._target)), config_map)

    def get_deployment(self, slot: str) -> dict[str, Any] | None:
        return self._connection.get(self._ref("Deployment", self._target.workload(slot)))

    def create_deployment(self, deployment: dict[str, Any]) -> dict[str, Any]:
        return self._connection.create(self._ref("Deployment", deployment["metadata"]["name"]), deployment)

    def replace_deployment(self, deployment: dict[str, Any]) -> dict[str, Any]:
        return self._connection.replace(self._ref("Deployment", deployment["metadata"]["name"]), deployment)

    def scale_deployment(self, deployment: dict[str, Any], replicas: int) -> dict[str, Any]:
        ref = self._ref("Deployment", deployment["metadata"]["name"])
        operations = [{"op": "replace", "path": "/spec/replicas", "value": replicas}]
        return self._connection.json_patch(ref, resource_version(deployment), operations)

    def list_pods(self, slot: str) -> list[dict[str, Any]]:
        selector = ",".join(f"{key}={value}" for key, value in slot_selector(self._target, slot).items())
        return self._connection.list(self._ref("Pod"), label_selector=selector)

    def list_warnings(self) -> list[dict[str, Any]]:
        return self._connection.list(self._ref("Event"), field_selector="type=Warning,involvedObject.kind=Pod")

    def get_service(self, slot: str) -> dict[str, Any] | None:
        return self._connection.get(self._ref("Service", self._target.workload(slot)))

    def get_router(self) -> dict[str, Any] | None:
        return self._connection.get(self._ref(self._target.router_kind, self._target.router_name))

    def patch_router(self, router: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
        ref = self._ref(self._target.router_kind, self._target.router_name)
        return self._connection.json_patch(ref, resource_version(router), operations)

    def list_autoscalers(self) -> list[dict[str, Any]]:
        try:
            return self._connection.list(self._ref("HorizontalPodAutoscaler"))
        except ApiError as error:
            if error.status == 404:
                return []  # The cluster does not serve autoscaling/v2, so nothing scales by itself.
            raise

    def get_autoscaler(self, name: str) -> dict[str, Any] | None:
        return self._connection.get(self._ref("HorizontalPodAutoscaler", name))

    def patch_autoscaler(self, hpa: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
        ref = self._ref("HorizontalPodAutoscaler", hpa["metadata"]["name"])
        return self._connection.json_patch(ref, resource_version(hpa), operations)

    def fence(self, kind: str, name: str, token: int) -> None:
        """Mark an object as belonging to lock holder number C(token). It changes the resourceVersion, so that a
        write which an earlier holder prepared before it lost the lock is refused. Absent objects need none."""
        ref = self._ref(kind, name)
        for _attempt in range(5):
            obj = self._connection.get(ref)
            if obj is None:
                return
            try:
                annotations = {"metadata": {"annotations": {ANNOTATION_FENCE: str(token)}}}
                self._connection.merge_patch(ref, resource_version(obj), annotations)
                return
            except Conflict:
                continue
