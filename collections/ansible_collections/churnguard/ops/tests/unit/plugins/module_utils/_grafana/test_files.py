# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a file is, and what is to be done about it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._grafana import files
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.document import Style

STYLE = Style()
OWN = json.dumps({"uid": "churnguard-redis", "tags": ["churnguard", "churnguard.ops/redis"]})


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("churnguard-redis.json", OWN),
        ("churnguard-gone.json", json.dumps({"uid": "churnguard-gone", "tags": ["churnguard.ops/gone"]})),
    ],
)
def test_own_files_are_known(file, text):
    assert files.is_own(file, text, STYLE)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("copy.json", OWN),
        ("mine.json", OWN.replace("churnguard-redis", "mine")),
        ("churnguard-mine.json", OWN.replace("churnguard-redis", "churnguard-mine")),
        ("churnguard-redis.json", json.dumps({"uid": "churnguard-redis", "tags": ["churnguard"]})),
        ("churnguard-redis.json", json.dumps({"uid": "churnguard-redis"})),
        ("churnguard-redis.json", json.dumps({"uid": "churnguard-redis", "tags": [1, None]})),
        ("churnguard-redis.json", "[]"),
        ("churnguard-redis.json", OWN[:-1]),
        ("churnguard-redis.json", ""),
    ],
)
def test_others_files_are_not_taken_for_own(file, text):
    assert not files.is_own(file, text, STYLE)


def test_another_prefix_is_somebody_else():
    assert not files.is_own("churnguard-redis.json", OWN, Style(uid_prefix="staging"))


def test_only_what_differs_is_written_and_only_own_files_are_removed():
    existing = {"churnguard-redis.json": OWN, "same.json": "{}", "other.json": "{}"}
    planned = files.plan({"same.json": "{}", "new.json": "{}"}, existing, STYLE)
    assert (planned.write, planned.remove) == ({"new.json": "{}"}, ["churnguard-redis.json"])
    assert planned.before == {"churnguard-redis.json": OWN}
    assert planned.after == {"new.json": "{}"}


def test_what_is_not_own_is_replaced_only_when_told_so():
    existing = {"churnguard-redis.json": "{}"}
    with pytest.raises(OperationError, match=r"churnguard-redis\.json.*not one that this module wrote.*force"):
        files.plan({"churnguard-redis.json": OWN}, existing, STYLE)
    assert files.plan({"churnguard-redis.json": OWN}, existing, STYLE, force=True).write


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    assert files.read(tmp_path / "none") == {}
    (tmp_path / "a.json").write_bytes(b"\xff{}")
    (tmp_path / "b.json").mkdir()
    (tmp_path / "c.txt").write_text("c")
    assert list(files.read(tmp_path)) == ["a.json"]
