# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags as dictionaries. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .library import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict, compare_aws_tags


def from_aws(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """A list of C(Key) and C(Value) as a dictionary."""
    return boto3_tag_list_to_ansible_dict(list(tags))


def to_aws(tags: Mapping[str, Any]) -> list[dict[str, str]]:
    """The inverse of :func:`from_aws`; values that are no text become text."""
    return ansible_dict_to_boto3_tag_list(as_text(tags))


def as_text(tags: Mapping[str, Any]) -> dict[str, str]:
    """C(tags) with every key and value as the text that AWS would keep."""
    return {str(key): str(value) for key, value in tags.items()}


def difference(current: Mapping[str, str], wish: Mapping[str, Any], purge: bool) -> tuple[dict[str, str], list[str]]:
    """Tags to set, and keys to remove if C(purge). AWS' own, which start with aws:, are left alone."""
    to_set, to_remove = compare_aws_tags(dict(current), as_text(wish), purge_tags=purge)
    return to_set, sorted(to_remove)
