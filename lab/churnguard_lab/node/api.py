"""The node's calls to the Kubernetes API, one function each. Objects go in and out as plain dictionaries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config, watch

#: Seconds to connect, and to wait for an answer.
TIMEOUT = (2, 10)
#: A watch is renewed this often, so that a connection that died silently is noticed.
WATCH_S = 60
_STRATEGIC = "application/strategic-merge-patch+json"

Json = dict[str, Any]
_FAILURES = (client.ApiException, urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError)


class ApiError(Exception):
    """A call failed; `status` is the HTTP status, or None when the API server did not answer."""

    def __init__(self, attempted: str, status: int | None, answer: str) -> None:
        super().__init__(f"{attempted}: {answer}")
        self.status = status

    @property
    def unavailable(self) -> bool:
        """Whether the same call may succeed later: no answer, too many requests, or a server's fault."""
        return self.status is None or self.status == 429 or self.status >= 500


class NodeApi:
    """What the node asks of the API server. Every method raises ApiError."""

    def __init__(self, kubeconfig: Path) -> None:
        """Connect with a kubeconfig. Raises ApiError when it cannot be read."""
        settings = client.Configuration()
        try:
            config.load_kube_config(config_file=str(kubeconfig), client_configuration=settings)
        except (OSError, config.ConfigException) as error:
            raise ApiError(f"read {kubeconfig}", None, str(error)) from error
        settings.retries = False  # callers know better when to ask again
        settings.connection_pool_maxsize = 32
        connection = client.ApiClient(settings)
        self._core = client.CoreV1Api(connection)
        self._leases = client.CoordinationV1Api(connection)

    def list_pods(self, node: str) -> tuple[list[Json], str]:
        """The node's pods and the list's resource version."""
        answer = _call(
            f"list the pods of node {node}",
            self._core.list_pod_for_all_namespaces,
            field_selector=f"spec.nodeName={node}",
        )
        return answer["items"], answer["metadata"]["resourceVersion"]

    def watch_pods(self, node: str, version: str) -> Iterator[tuple[str, Json]]:
        """Changes of the node's pods since `version`, as (ADDED, MODIFIED, DELETED or BOOKMARK, object)."""
        attempted = f"watch the pods of node {node}"
        try:
            for event in watch.Watch(return_type="object").stream(
                self._core.list_pod_for_all_namespaces,
                field_selector=f"spec.nodeName={node}",
                resource_version=version,
                allow_watch_bookmarks=True,
                timeout_seconds=WATCH_S,
                _request_timeout=(TIMEOUT[0], WATCH_S + 15),
            ):
                if event is not None:
                    yield event["type"], event["raw_object"]
        except _FAILURES as error:
            raise _api_error(attempted, error) from error

    def patch_pod_status(self, namespace: str, name: str, uid: str, status: Mapping[str, Any]) -> Json:
        """Write a pod's status; the uid makes sure that it is not a later pod of the same name."""
        return _call(
            f"write the status of pod {namespace}/{name}",
            self._core.patch_namespaced_pod_status,
            name,
            namespace,
            {"metadata": {"uid": uid}, "status": status},
            _content_type=_STRATEGIC,
        )

    def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Remove a pod's object, at once. One that is gone already (or replaced) is no error."""
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        try:
            _call(f"delete pod {namespace}/{name}", self._core.delete_namespaced_pod, name, namespace, body=body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def get_object(self, kind: str, namespace: str, name: str) -> Json | None:
        """A ConfigMap ("configmap") or Secret ("secret"), or None when there is none."""
        function = {
            "configmap": self._core.read_namespaced_config_map,
            "secret": self._core.read_namespaced_secret,
        }[kind]
        try:
            return _call(f"read {kind} {namespace}/{name}", function, name, namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create_event(self, namespace: str, body: Mapping[str, Any]) -> str:
        """Create an event; its name."""
        answer = _call("create an event", self._core.create_namespaced_event, namespace, body)
        return answer["metadata"]["name"]

    def patch_event(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Change an event's count and time."""
        _call(
            f"update event {namespace}/{name}",
            self._core.patch_namespaced_event,
            name,
            namespace,
            body,
            _content_type=_STRATEGIC,
        )

    def ensure_node(self, body: Mapping[str, Any]) -> Json:
        """Create the node, or return the one that is there."""
        name = body["metadata"]["name"]
        try:
            return _call(f"read node {name}", self._core.read_node, name)
        except ApiError as error:
            if error.status != 404:
                raise
        return _call(f"create node {name}", self._core.create_node, body)

    def patch_node(self, name: str, body: Mapping[str, Any]) -> None:
        """Change a node's labels."""
        _call(f"update node {name}", self._core.patch_node, name, body, _content_type=_STRATEGIC)

    def patch_node_status(self, name: str, status: Mapping[str, Any]) -> None:
        """Write the node's status."""
        _call(
            f"write the status of node {name}",
            self._core.patch_node_status,
            name,
            {"status": status},
            _content_type=_STRATEGIC,
        )

    def renew_lease(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Renew the node's Lease; create it when there is none."""
        attempted = f"renew lease {namespace}/{name}"
        try:
            _call(
                attempted,
                self._leases.patch_namespaced_lease,
                name,
                namespace,
                {"spec": body["spec"]},
                _content_type=_STRATEGIC,
            )
        except ApiError as error:
            if error.status != 404:
                raise
            _call(attempted, self._leases.create_namespaced_lease, namespace, body)


def _call(attempted: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Json:
    try:
        answer = function(*arguments, _preload_content=False, _request_timeout=TIMEOUT, **options)
        return json.loads(answer.data)
    except _FAILURES as error:
        raise _api_error(attempted, error) from error


def _api_error(attempted: str, error: Exception) -> ApiError:
    """The ApiError of what the client library raised."""
    if isinstance(error, AttributeError):
        # A TLS connection that breaks makes an ApiException without a body, at which the library itself stumbles.
        if not isinstance(error.__context__, client.ApiException):
            raise error
        error = error.__context__
    if isinstance(error, client.ApiException) and error.status:
        return ApiError(attempted, error.status, f"{error.status} {_message(error)}")
    reason = error.reason if isinstance(error, client.ApiException) else str(error)
    return ApiError(attempted, None, f"no answer from the API server: {reason}")


def _message(error: client.ApiException) -> str:
    """What the server said: the message of its Status object, else the HTTP reason."""
    try:
        return json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
