# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options by which a module finds AWS: the same names, aliases and environment fallbacks as amazon.aws, so that AWX's
credential and group_vars serve both. They are written down here, and not taken from there, so that a module can say
what it takes, and that amazon.aws is missing. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import env_fallback


def connection_argument_spec() -> dict[str, dict[str, Any]]:
    """Argument spec of the documentation fragment churnguard.ops.aws."""
    return {
        "region": {
            "type": "str",
            "aliases": ["aws_region"],
            "fallback": (env_fallback, ["AWS_REGION", "AWS_DEFAULT_REGION"]),
        },
        "access_key": {
            "type": "str",
            "aliases": ["aws_access_key_id", "aws_access_key"],
            "fallback": (env_fallback, ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]),
            "no_log": False,
        },
        "secret_key": {
            "type": "str",
            "aliases": ["aws_secret_access_key", "aws_secret_key"],
            "fallback": (env_fallback, ["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]),
            "no_log": True,
        },
        "session_token": {
            "type": "str",
            "aliases": ["aws_session_token"],
            "fallback": (env_fallback, ["AWS_SESSION_TOKEN"]),
            "no_log": True,
        },
        "profile": {
            "type": "str",
            "aliases": ["aws_profile"],
            "fallback": (env_fallback, ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]),
        },
        "endpoint_url": {
            "type": "str",
            "aliases": ["aws_endpoint_url"],
            "fallback": (env_fallback, ["AWS_URL"]),
        },
        "validate_certs": {"type": "bool", "default": True},
        "aws_ca_bundle": {"type": "path", "fallback": (env_fallback, ["AWS_CA_BUNDLE"])},
        "aws_config": {"type": "dict"},
        "debug_botocore_endpoint_logs": {
            "type": "bool",
            "default": False,
            "fallback": (env_fallback, ["ANSIBLE_DEBUG_BOTOCORE_LOGS"]),
        },
    }
