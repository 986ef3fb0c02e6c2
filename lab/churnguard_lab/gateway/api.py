"""The Kubernetes API: list, watch and status patches. One call per function; objects are plain dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config, watch

from churnguard_lab.gateway.model import Object
from churnguard_lab.gateway.store import Kind

#: A watch is renewed after this time, so that a connection that died silently is noticed.
WATCH_S = 60
_CONNECT_S, _REPLY_S = 3.0, 10.0


class ApiError(Exception):
    """The API server could not be reached or refused; the message says what was tried and what it answered."""


class Api:
    """The API server behind a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        try:
            self._client = config.new_client_from_config(str(kubeconfig))
        except (config.ConfigException, OSError) as error:
            raise ApiError(f"cannot use the kubeconfig {kubeconfig}: {error}") from error

    def list(self, kind: Kind) -> tuple[list[Object], str]:
        """All objects of a kind, and the resource version to watch from. Raises ApiError."""
        content = self._call("GET", _path(kind))
        return content.get("items") or [], content["metadata"]["resourceVersion"]

    def watch(self, kind: Kind, version: str) -> Iterator[tuple[str, Object]]:
        """Events (ADDED, MODIFIED, DELETED; object) from `version` on, for at most WATCH_S. Raises ApiError, also
        when the version is too old (list again then)."""
        stream = watch.Watch(return_type="object")
        try:
            for event in stream.stream(
                self._open, kind, resource_version=version, timeout_seconds=WATCH_S, allow_watch_bookmarks=True
            ):
                if event["type"] == "ERROR":
                    raise ApiError(f"watch of {kind.plural}: {event['object']}")
                yield event["type"], event["object"]
        except (client.ApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise ApiError(f"watch of {kind.plural}: {_text(error)}") from error

    def _open(self, kind: Kind, **parameters: Any) -> Any:
        """The function that Watch calls, with the parameters that it sets."""
        names = {
            "watch": "watch",
            "resource_version": "resourceVersion",
            "timeout_seconds": "timeoutSeconds",
            "allow_watch_bookmarks": "allowWatchBookmarks",
        }
        query = [(names[name], _query_value(value)) for name, value in parameters.items() if name in names]
        return self._client.call_api(
            _path(kind),
            "GET",
            query_params=query,
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=(_CONNECT_S, WATCH_S + _REPLY_S),
        )

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object. Raises ApiError."""
        return self._call("GET", _path(kind, namespace, name))

    def patch_status(self, kind: Kind, namespace: str, name: str, version: str, status: Object) -> None:
        """Write the status of the object at exactly this resource version. Raises ApiError (409: it has moved on)."""
        body = {"metadata": {"resourceVersion": version}, "status": status}
        self._call("PATCH", _path(kind, namespace, name) + "/status", body)

    def _call(self, method: str, path: str, body: Object | None = None) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            reply = self._client.call_api(
                path,
                method,
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=(_CONNECT_S, _REPLY_S),
            )
            return json.loads(reply.data)
        except (client.ApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise ApiError(f"{method} {path}: {_text(error)}") from error


def _query_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _path(kind: Kind, namespace: str = "", name: str = "") -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    middle = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{middle}/{kind.plural}" + (f"/{name}" if name else "")


def _text(error: Exception) -> str:
    if isinstance(error, client.ApiException) and error.body:
        try:
            return f"{error.status} {json.loads(error.body)['message']}"
        except (ValueError, KeyError, TypeError):
            return f"{error.status} {error.reason}"
    return str(error)
