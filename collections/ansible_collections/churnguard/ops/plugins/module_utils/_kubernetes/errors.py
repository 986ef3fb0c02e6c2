# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Kubernetes API server can answer other than yes. Internal: may change in any release."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .._common.errors import OperationError

if TYPE_CHECKING:
    from .objects import Ref


class ApiError(OperationError):
    """The server answered, and the answer was no. C(status) is the HTTP status."""

    def __init__(self, verb: str, ref: Ref, status: int, message: str) -> None:
        self.status = status
        self.verb = verb
        self.ref = ref
        answer = f"the API server answered {status}: {message.rstrip('.')}."
        super().__init__(f"{verb} {ref}", answer, _next_step(verb, ref, status))


class Conflict(ApiError):
    """409: the object changed since it was read, or exists already. Somebody else is writing."""


class Unreachable(OperationError):
    """No answer, or only answers that ask to come again, for as long as we were willing to try."""

    def __init__(self, verb: str, ref: Ref, server: str, reason: str, tried_seconds: float) -> None:
        super().__init__(
            f"{verb} {ref}",
            f"no usable answer from {server} for {tried_seconds:.0f} s: {reason.rstrip('.')}.",
            "check that the API server runs and that this machine reaches it (kubeconfig, VPN, firewall); "
            "then run the same command again: it goes on from the journal.",
        )


def error_from_response(verb: str, ref: Ref, status: int, body: bytes) -> ApiError:
    """The exception for a response with C(status) >= 400."""
    try:
        message = str(json.loads(body).get("message") or body[:300].decode(errors="replace"))
    except (ValueError, AttributeError):
        message = body[:300].decode(errors="replace")
    kind = Conflict if status == 409 else ApiError
    return kind(verb, ref, status, message)


def _next_step(verb: str, ref: Ref, status: int) -> str:
    if status == 401:
        return "log in to the cluster again, or give a kubeconfig or api_key that is still valid."
    if status == 403:
        return (
            f"let this user '{verb}' {ref.plural} (API group '{ref.group or 'core'}') in namespace {ref.namespace}; "
            "docs/rollout.md lists the whole Role."
        )
    if status == 404:
        return "apply the application's manifests first (playbooks/site.yml), or check name and namespace."
    if status == 409:
        return "see who changes the object (rollout_info shows the lock holder), then run again."
    if status == 422:
        return "correct the manifest: the server names the field."
    return "read the API server's answer; run again when it is dealt with: the journal holds how far it came."
