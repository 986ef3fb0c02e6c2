# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that speaks HTTP to a Kubernetes API server.

The client library finds server and credentials (kubeconfig, exec plugins such as EKS's, in-cluster). Requests go
through its connection pool directly, without its dynamic client: that one keeps a discovery cache in a predictable
file of the shared temporary folder and costs a second for each task. Internal: may change in any release.
"""

from __future__ import annotations

import email.utils
import importlib.util
import json
import traceback
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from .._common.clock import Clock
from .._common.errors import OperationError
from .errors import Unreachable, error_from_response
from .kubeconfig import PlainConfiguration, plain_configuration
from .objects import Ref

try:
    import urllib3
    import yaml

    # It is imported where it is needed: see kubeconfig.py.
    if importlib.util.find_spec("kubernetes") is None:
        raise ImportError("No module named 'kubernetes'")
except ImportError:
    HAS_KUBERNETES = False
    KUBERNETES_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_KUBERNETES = True
    KUBERNETES_IMPORT_ERROR = None

FIELD_MANAGER = "churnguard-rollout"
_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_COME_AGAIN = frozenset({429, 500, 502, 503, 504})
# For about a second after its start an API server answers 403, until it has loaded its roles.
_ROLES_LOAD_SECONDS = 3.0


def client_configuration(params: dict[str, Any]) -> Any:
    """The way to the cluster of a module's parameters. Raises OperationError when there is none."""
    configuration = plain_configuration(params) or _library_configuration(params)
    if params.get("ca_cert"):
        configuration.ssl_ca_cert = params["ca_cert"]
    if params.get("validate_certs") is not None:
        configuration.verify_ssl = params["validate_certs"]
    return configuration


def _library_configuration(params: dict[str, Any]) -> Any:
    """The client library's Configuration: it knows every kind of credential, and the pod's own."""
    import kubernetes

    configuration = kubernetes.client.Configuration()
    try:
        if params.get("host"):
            configuration.host = params["host"]
            if params.get("api_key"):
                configuration.api_key["authorization"] = f"Bearer {params['api_key']}"
        elif params.get("kubeconfig") or params.get("context"):
            kubernetes.config.load_kube_config(
                config_file=params.get("kubeconfig"), context=params.get("context"), client_configuration=configuration
            )
        else:
            _load_default(configuration)
    except (kubernetes.config.ConfigException, yaml.YAMLError, OSError, ValueError) as error:
        raise OperationError(
            "find the cluster",
            f"{error}.",
            "give kubeconfig (and context), or host with api_key, or set K8S_AUTH_KUBECONFIG.",
        ) from error
    return configuration


def _load_default(configuration: Any) -> None:
    """In a pod its service account, elsewhere ~/.kube/config or $KUBECONFIG."""
    import kubernetes

    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    except kubernetes.config.ConfigException:
        kubernetes.config.load_kube_config(client_configuration=configuration)


class Connection:
    """Requests to one API server.

    Transient failures (no connection, 429, 5xx) are tried again for up to C(patience) seconds and then raise
    Unreachable. That is safe for every verb used here: writes carry a resourceVersion or a name, so that one which
    did arrive is answered by 409 the second time and the caller reads again.
    """

    def __init__(self, configuration: Any, clock: Clock, patience: float = 60.0) -> None:
        self._configuration = configuration
        self._pool = _pool_manager(configuration)
        self._clock = clock
        self._patience = patience
        self._server_offset: timedelta | None = None

    def server_now(self) -> datetime:
        """The API server's time, from its last answer: what leases are compared by, so that a wrong clock on
        this machine cannot steal a lock. Good to a second."""
        return self._clock.now() + (self._server_offset or timedelta(0))

    def get(self, ref: Ref) -> dict[str, Any] | None:
        """The object, or None if it does not exist."""
        status, answer = self._send("GET", ref, "get", ref.path, missing_is_none=True)
        return None if status == 404 else answer

    def list(self, ref: Ref, label_selector: str = "", field_selector: str = "") -> list[dict[str, Any]]:
        """The objects of a collection."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        _status, answer = self._send("GET", ref, "list", ref.collection_path, query)
        return answer.get("items") or []

    def create(self, ref: Ref, body: dict[str, Any]) -> dict[str, Any]:
        """The object as created. Raises Conflict if it exists."""
        return self._send("POST", ref, "create", ref.collection_path, _write(), body, _JSON)[1]

    def replace(self, ref: Ref, body: dict[str, Any]) -> dict[str, Any]:
        """The object as replaced. C(body) carries its resourceVersion. Raises Conflict if it has changed."""
        return self._send("PUT", ref, "update", ref.path, _write(), body, _JSON)[1]

    def json_patch(self, ref: Ref, version: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        """The patched object. The patch only applies to resourceVersion C(version); else Conflict."""
        guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        return self._send("PATCH", ref, "patch", ref.path, _write(), [guard, *operations], _JSON_PATCH)[1]

    def merge_patch(self, ref: Ref, version: str, body: dict[str, Any]) -> dict[str, Any]:
        """As json_patch, for fields that may be absent."""
        metadata = {**body.get("metadata", {}), "resourceVersion": version}
        guarded = {**body, "metadata": metadata}
        return self._send("PATCH", ref, "patch", ref.path, _write(), guarded, _MERGE_PATCH)[1]

    def _send(
        self,
        method: str,
        ref: Ref,
        verb: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "",
        missing_is_none: bool = False,
    ) -> tuple[int, Any]:
        begin = self._clock.monotonic()
        pause = 0.2
        while True:
            try:
                status, payload = self._request(method, path, query, body, content_type)
                reason = f"answer {status}"
            except (urllib3.exceptions.HTTPError, OSError) as error:
                status, payload, reason = 0, b"", str(error)
            tried = self._clock.monotonic() - begin
            loading_roles = status == 403 and tried < _ROLES_LOAD_SECONDS
            if status and status not in _COME_AGAIN and not loading_roles:
                break
            if tried >= self._patience and not loading_roles:
                raise Unreachable(verb, ref, self._configuration.host, reason, tried)
            self._clock.sleep(min(pause, 2.0))
            pause *= 1.6
        if status == 404 and missing_is_none:
            return status, None
        if status >= 400:
            raise error_from_response(verb, ref, status, payload)
        try:
            return status, json.loads(payload)
        except ValueError as error:
            raise error_from_response(verb, ref, status, payload) from error

    def _request(
        self, method: str, path: str, query: dict[str, str] | None, body: Any, content_type: str
    ) -> tuple[int, bytes]:
        headers = {"Accept": _JSON, "User-Agent": "churnguard.ops"}
        token = _bearer_token(self._configuration)
        if token:
            headers["Authorization"] = token
        if content_type:
            headers["Content-Type"] = content_type
        response = self._pool.request(
            method,
            self._configuration.host.rstrip("/") + path + _encode(query),
            body=None if body is None else json.dumps(body).encode(),
            headers=headers,
            timeout=urllib3.Timeout(connect=5.0, read=30.0),
            retries=False,
        )
        date = _date(response.headers.get("Date", ""))
        if date is not None:
            # The header is cut to whole seconds: the latest estimate is the nearest, and time never goes back.
            offset = date - self._clock.now()
            self._server_offset = offset if self._server_offset is None else max(self._server_offset, offset)
        return response.status, response.data


def _pool_manager(configuration: Any) -> Any:
    """urllib3's connections with the configuration's credentials. Raises OperationError when those cannot be used."""
    if not isinstance(configuration, PlainConfiguration):
        import kubernetes

        return kubernetes.client.ApiClient(configuration).rest_client.pool_manager
    try:
        return configuration.pool_manager()
    except (OSError, ValueError) as error:
        raise OperationError(
            "use the credentials for the cluster",
            f"{error}.",
            "give a kubeconfig whose certificates and key are whole, or another ca_cert.",
        ) from error


def _bearer_token(configuration: Any) -> str:
    """The Authorization header; empty without a token.

    Not by the library's auth_settings(): its release 36.0.0 looks under one name for what its loaders keep under the
    other, and would send every request anonymously.
    """
    if configuration.refresh_api_key_hook is not None:
        configuration.refresh_api_key_hook(configuration)
    for name in ("authorization", "BearerToken"):
        key = configuration.api_key.get(name)
        if key:
            prefix = configuration.api_key_prefix.get(name)
            return f"{prefix} {key}" if prefix else key
    return ""


def _date(text: str) -> datetime | None:
    """A Date header; None if it is absent, or a proxy has made it unreadable."""
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else None


def _write() -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER}


def _encode(query: dict[str, str] | None) -> str:
    chosen = {key: value for key, value in (query or {}).items() if value}
    return "?" + urlencode(chosen) if chosen else ""
