# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to a cluster whose credentials are fixed: a token, or a client certificate.

The Kubernetes library finds every kind of credential, and its import takes 0.6 s of a processor, in every task. So what
needs none of its skill is read here; what is not understood to the last field is left to the library, its errors
included. Internal: may change in any release.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import urllib3
    import yaml
except ImportError:
    pass  # they come with the Kubernetes library, whose absence connection.py tells

_CLUSTER_FIELDS = {
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "extensions",
}
_USER_FIELDS = {"client-certificate", "client-certificate-data", "client-key", "client-key-data", "token", "extensions"}
# The library goes through a proxy when one of these is set.
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


@dataclass
class PlainConfiguration:
    """As the library's Configuration, as far as connection.py looks at it. Certificates are PEM."""

    host: str
    api_key: dict[str, str] = field(default_factory=dict)
    authority: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    ssl_ca_cert: str | None = None
    verify_ssl: bool = True
    api_key_prefix: dict[str, str] = field(default_factory=dict)
    refresh_api_key_hook: Any = None

    def pool_manager(self) -> Any:
        """The connections. Raises OSError (ssl.SSLError is one) when a certificate is not one."""
        if not self.host.startswith("https"):
            return urllib3.PoolManager(num_pools=4, maxsize=10)
        context = urllib3.util.ssl_.create_urllib3_context()
        if self.ssl_ca_cert:
            context.load_verify_locations(cafile=self.ssl_ca_cert)
        elif self.authority:
            context.load_verify_locations(cadata=self.authority.decode())
        else:
            context.load_default_certs()
        if self.certificate:
            _load_pair(context, self.certificate, self.key)
        context.check_hostname = self.verify_ssl
        context.verify_mode = ssl.CERT_REQUIRED if self.verify_ssl else ssl.CERT_NONE
        return urllib3.PoolManager(num_pools=4, maxsize=10, ssl_context=context)


def plain_configuration(params: dict[str, Any]) -> PlainConfiguration | None:
    """The configuration for a module's parameters, or None where the library has to find it."""
    if any(os.environ.get(name) for name in _PROXIES):
        return None
    if params.get("host"):
        token = params.get("api_key")
        return PlainConfiguration(params["host"], {"authorization": f"Bearer {token}"} if token else {})
    path = params.get("kubeconfig")
    if not path or os.pathsep in path:
        return None
    try:
        return _from_file(Path(path).expanduser(), params.get("context"))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None  # the library says what is wrong with it


def _from_file(path: Path, context: str | None) -> PlainConfiguration | None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    chosen = _named(document["contexts"], context or document["current-context"])["context"]
    cluster = _named(document["clusters"], chosen["cluster"])["cluster"]
    user = _named(document["users"], chosen["user"])["user"]
    if not set(cluster) <= _CLUSTER_FIELDS or not set(user) <= _USER_FIELDS:
        return None
    made = PlainConfiguration(
        cluster["server"].rstrip("/"),
        authority=_content(cluster, "certificate-authority", path),
        certificate=_content(user, "client-certificate", path),
        key=_content(user, "client-key", path),
        verify_ssl=not cluster.get("insecure-skip-tls-verify", False),
    )
    if bool(made.certificate) != bool(made.key):
        return None
    if user.get("token"):
        made.api_key["authorization"] = f"Bearer {user['token']}"
    return made


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one entry of that name. Raises ValueError when there are none or several."""
    (found,) = [entry for entry in entries if entry["name"] == name]
    return found


def _content(entry: dict[str, Any], name: str, kubeconfig: Path) -> bytes:
    """A certificate or key, from the field that holds it or the file that the other field names; empty without both."""
    data, file = entry.get(f"{name}-data"), entry.get(name)
    if data:
        return base64.b64decode(data, validate=True)
    return kubeconfig.parent.joinpath(file).read_bytes() if file else b""


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Give the context a client certificate. Python's ssl takes it from a file only, which exists for that moment."""
    with tempfile.NamedTemporaryFile() as file:  # for its owner alone
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
