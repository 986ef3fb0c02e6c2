# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake cluster behind a real HTTP server that speaks the Kubernetes API, for whole modules."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.objects import Ref

from .cluster import FakeCluster
from .objects import NAMESPACE
from .servers import Answer, Request, Server

KINDS = ("ConfigMap", "Service", "Pod", "Event", "Deployment", "HorizontalPodAutoscaler", "Lease", "HTTPRoute")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
COLLECTIONS = {Ref(kind, NAMESPACE).collection_path: kind for kind in KINDS}


class ApiServer(Server):
    """Serves C(cluster). A request without C(token) is refused if there is one."""

    def __init__(self, cluster: FakeCluster, token: str = "") -> None:
        self._cluster = cluster
        self._token = token
        super().__init__(self._serve)

    def _serve(self, request: Request) -> Answer:
        if self._token and request.headers.get("authorization") != f"Bearer {self._token}":
            return Answer(401, {"message": "Unauthorized"})
        collection = request.path if request.path in COLLECTIONS else request.path.rpartition("/")[0]
        name = request.path.removeprefix(collection).strip("/")
        body = json.loads(request.body) if request.body else None
        ref = Ref(COLLECTIONS[collection], NAMESPACE, name or (body or {}).get("metadata", {}).get("name", ""))
        try:
            return Answer(200, self._answer(request, ref, body))
        except ApiError as error:
            return Answer(error.status, {"message": error.answer})

    def _answer(self, request: Request, ref: Ref, body: Any) -> Any:
        if request.method in VERBS:
            return self._cluster.write(VERBS[request.method], ref, body)
        if not ref.name:
            labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
            return {"items": self._cluster.select(ref, labels, fields)}
        found = self._cluster.read(ref)
        if found is None:
            raise ApiError("get", ref, 404, "not found")
        return found
