# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP requests that are made many times a minute. Internal: may change in any release."""

from __future__ import annotations

from functools import cache
from typing import Any

from ansible.module_utils.urls import Request, make_context


def send(method: str, url: str, validate_certs: bool = True, **options: Any) -> Any:
    """One request on a connection of its own, without the cookies of earlier ones; C(options) and errors are those of
    C(open_url)."""
    return Request(context=_context(validate_certs)).open(method, url, validate_certs=validate_certs, **options)


@cache
def _context(validate_certs: bool) -> Any:
    # open_url reads the system's certificates for each request, which takes longer than the request.
    return make_context(validate_certs=validate_certs)
