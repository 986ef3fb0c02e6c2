# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS can answer other than yes. Internal: may change in any release."""

from __future__ import annotations

from .._common.errors import OperationError

_ACCESS = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"})
_UNKNOWN_OPERATION = frozenset({"InvalidAction", "NotImplemented", "UnknownOperationException"})


class AwsError(OperationError):
    """AWS answered, and the answer was no, or nobody answered. C(code) is AWS' own, or empty without an answer;
    C(action) is what IAM calls the request, such as elasticache:CreateSnapshot."""

    def __init__(self, attempted: str, action: str, code: str, message: str) -> None:
        self.code = code
        self.action = action
        said = f"AWS answered {code}: {message.rstrip('. ')}." if code else f"{message.rstrip('. ')}."
        super().__init__(attempted, said, next_step(code, action, message))


def next_step(code: str, action: str, message: str = "") -> str:
    """What helps against error C(code) of the request C(action)."""
    if code in _ACCESS:
        return f"allow {action} in the policy of the identity that runs this."
    if code in _CREDENTIALS:
        return "renew the credentials (access key, session token, profile), and check this machine's clock."
    if code in _THROTTLED:
        return "run again later, or at another time than others do: AWS limits how often an account asks."
    if code in _UNKNOWN_OPERATION:
        return "check endpoint_url: the server behind it does not know this operation."
    if code.endswith(("QuotaExceeded", "QuotaExceededFault", "LimitExceeded", "QuotaForCustomerExceeded")):
        return "remove what is no longer needed, or have the quota raised in Service Quotas."
    if "State" in code:
        return "wait until the resource is available (somebody else may be changing it), then run again."
    if "NotFound" in code:
        return "check the name, the region and the account; create what is missing first."
    if code.startswith(("InvalidParameter", "ValidationError")):
        return "correct the option that AWS names."
    if not code and "credentials" in message.lower():
        return "give credentials: access_key and secret_key, a profile, or the role of the machine."
    if not code:
        return "check region and endpoint_url, and that this machine reaches them (proxy, firewall); then run again."
    return "read AWS' answer; run again when it is dealt with."
