# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests, plans and verdicts of manifests, without a server."""

from __future__ import annotations

import random

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._postgres import (
    args,
    compare,
    digest,
    hashing,
    sequences,
    store,
)
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.hashing import Buckets
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.model import Check, Column, Table

WIDTH = 64
AS_TEXT = 't."c"::pg_catalog.text COLLATE pg_catalog."C"'


def table(type_name: str = "pg_catalog.int8", blocks: int = 100_000, heap: bool = True) -> Table:
    column = Column("id", type_name, "b", True, -1, False, True)
    return Table("public", "t", (column,), ("id",), blocks, heap, True)


def digested(rows: dict[int, int]) -> dict[str, list]:
    """The buckets of {key: hash}, as the server's statement yields them."""
    parts = [(key // WIDTH, 1, value, (value >> 33) * (key % WIDTH)) for key, value in rows.items()]
    return digest.gathered([parts])["buckets"]


def hashes(seed: int, count: int = 500) -> dict[int, int]:
    chance = random.Random(seed)
    return {key: chance.randrange(-(2**63), 2**63) for key in range(count)}


@pytest.mark.parametrize("seed", range(20))
def test_one_row_that_differs_is_found_whatever_its_hash(seed):
    rows = hashes(seed)
    key, other = seed * 17 % 500, random.Random(seed + 1000).randrange(-(2**63), 2**63)
    changed = digest.differing(digested(rows), digested({**rows, key: other}), WIDTH)
    missing = digest.differing(digested(rows), digested({k: v for k, v in rows.items() if k != key}), WIDTH)
    extra = digest.differing(digested(rows), digested({**rows, 600 + seed: other}), WIDTH)
    assert changed == [digest.Difference(key // WIDTH, 0, key % WIDTH)]
    assert missing == [digest.Difference(key // WIDTH, -1, key % WIDTH)]
    assert extra == [digest.Difference((600 + seed) // WIDTH, 1, (600 + seed) % WIDTH)]


def test_several_rows_of_one_bucket_are_not_taken_for_one():
    rows, others = hashes(1), hashes(2)
    found = digest.differing(digested(rows), digested({**rows, 3: others[3], 9: others[9]}), WIDTH)
    assert found == [digest.Difference(0, 0, None)]


def test_digests_do_not_depend_on_how_the_work_was_split():
    parts = [[(0, 3, 100, 7), (1, 1, -5, 2)], [(0, 1, 2**90, 1)]]
    assert digest.gathered(parts) == digest.gathered(reversed(parts))
    assert digest.gathered(parts)["sum"] == str(2**90 + 95)


def test_ranges_cover_every_block_once_and_the_last_is_open():
    found = hashing.ranges(table(blocks=100_000), 100_000, 2)
    assert found[0][0] == 0 and found[-1][1] is None
    assert [end for _first, end in found[:-1]] == [first for first, _end in found[1:]]
    assert len(found) >= 32
    assert hashing.ranges(table(blocks=100), 100, 2) == [(0, None)]
    assert hashing.ranges(table(heap=False), 100_000, 2) == [(0, None)]


@pytest.mark.parametrize(("lowest", "highest"), [(1, 100), (1, 2_000_000), (-5_000_000, 5_000_000), (0, 2**40)])
def test_a_whole_number_key_is_dealt_into_at_most_1024_ranges(lowest, highest):
    plan = hashing.plan_buckets(table(), lowest, highest)
    assert plan.kind == "integer"
    assert (highest >> plan.bits) - (lowest >> plan.bits) + 1 <= hashing.MAX_BUCKETS + 1
    assert plan.bits <= 31, "hash >> 33 times a position has to stay within 64 bits"


def test_other_keys_are_dealt_by_their_hash():
    assert hashing.plan_buckets(table("pg_catalog.uuid"), None, None) == Buckets("hash", 10)
    assert hashing.plan_buckets(table(), -(2**62), 2**62) == Buckets("hash", 10)
    assert hashing.plan_buckets(table("pg_catalog.uuid", blocks=0), None, None) == Buckets("hash", 0)


@pytest.mark.parametrize(
    ("column", "record", "text"),
    [
        (("pg_catalog.int4", "b", True, -1, False), 't."c"', 't."c"'),
        (("pg_catalog.text", "b", True, -1, True), 't."c" COLLATE pg_catalog."C"', 't."c" COLLATE pg_catalog."C"'),
        (("pg_catalog.numeric", "b", True, 655366, False), 't."c"', 't."c"'),
        (
            ("pg_catalog.numeric", "b", True, -1, False),
            'pg_catalog.numeric_send(t."c")',
            'pg_catalog.numeric_send(t."c")',
        ),
        (("pg_catalog.float8", "b", True, -1, False), 'pg_catalog.float8send(t."c")', 'pg_catalog.float8send(t."c")'),
        (("public.risk", "e", True, -1, False), 't."c"', AS_TEXT),
        (("public.citext", "b", True, -1, True), AS_TEXT, AS_TEXT),
        (("pg_catalog.xml", "b", False, -1, False), AS_TEXT, AS_TEXT),
    ],
)
def test_how_a_column_enters_the_hash(column, record, text):
    made = Column("c", *column, False)
    assert (hashing.hashed(made, "record"), hashing.hashed(made, "text")) == (record, text)


def test_columns_that_are_never_null_are_hashed_one_after_the_other_and_the_rest_as_a_record_before():
    number = Column("n", "pg_catalog.int8", "b", True, -1, False, True)
    word = Column("w", "pg_catalog.text", "b", True, -1, True, True)
    maybe = Column("m", "pg_catalog.int4", "b", True, -1, False, False)
    made = hashing.hash_of((number, maybe, word), "record")
    assert made.startswith(
        'coalesce(pg_catalog.hashtextextended(t."w" COLLATE pg_catalog."C", pg_catalog.hashint8extended(t."n", '
        'pg_catalog.hash_record_extended(ROW(t."m"), 0))), pg_catalog.hashfloat8extended('
    )
    assert hashing.hash_of((maybe,), "record").startswith(
        "pg_catalog.hashfloat8extended((pg_catalog.hash_record_extended("
    )
    unscaled = Column("u", "pg_catalog.numeric", "b", True, -1, False, True)
    assert "hash_numeric" not in hashing.hash_of((number, unscaled), "record"), "1.0 and 1.00 are two values"


def test_names_are_quoted():
    assert hashing.quote('a"b') == '"a""b"'
    assert hashing.literal("it's") == "'it''s'"


def check(verdict: str, name: str = "content", subject: str = "public.t") -> Check:
    return Check(name, subject, verdict)


@pytest.mark.parametrize(
    ("checks", "allowed", "verdict"),
    [
        ([check("passed")], [], "passed"),
        ([check("passed"), check("failed")], ["*"], "failed"),
        ([check("passed"), check("skipped")], [], "failed"),
        ([check("passed"), check("skipped")], ["amcheck"], "failed"),
        ([check("passed"), check("skipped")], ["content"], "passed"),
        ([check("passed"), check("skipped")], ["content:public.*"], "passed"),
        ([check("passed"), check("skipped")], ["content:other.*"], "failed"),
        ([check("skipped")], ["content"], "failed"),
        ([], ["*"], "failed"),
    ],
)
def test_only_what_was_proved_passes(checks, allowed, verdict):
    assert compare.verdict_of(checks, allowed) == verdict


def position(last: int, called: bool = True, increment: int = 1, cycles: bool = False) -> dict:
    return {"last_value": last, "is_called": called, "increment": increment, "cycles": cycles, "relation": '"s"."q"'}


@pytest.mark.parametrize(
    ("expected", "actual", "furthest", "verdict"),
    [
        (position(10), position(10), 10, "passed"),
        (position(10), position(42), 10, "passed"),
        (position(10), position(9), 9, "failed"),
        (position(1, called=False), position(1, called=False), None, "passed"),
        (position(1, called=False), position(1, called=False), 1, "failed"),
        (position(5), position(5), 771_182, "failed"),
        (position(-5, increment=-1), position(-5, increment=-1), -5, "passed"),
        (position(-5, increment=-1), position(-5, increment=-1), -6, "failed"),
        (position(5, cycles=True), position(1, cycles=True), 10, "passed"),
        (None, position(5), 3, "passed"),
    ],
)
def test_a_sequence_is_ahead_of_its_columns_and_not_behind_the_manifest(expected, actual, furthest, verdict):
    (found,) = sequences.compare({"s.q": expected} if expected else {}, {"s.q": actual}, {"s.q": {"s.t.id": furthest}})
    assert found.verdict == verdict
    if verdict == "failed":
        known = [value for value in (expected["last_value"], furthest) if value is not None]
        wanted = max(known) if actual["increment"] > 0 else min(known)
        assert found.differences[0]["suggested"] == f"""SELECT pg_catalog.setval('"s"."q"', {wanted});"""


def test_a_sequence_that_is_missing_fails():
    (found,) = sequences.compare({"s.q": position(5)}, {}, {})
    assert (found.verdict, found.reason) == ("failed", "missing")


def test_settings_that_differ_by_place_do_not_count():
    kept = compare.without({"port": "1", "archive_command": "x", "work_mem": "4096 kB"}, compare.PLACE_SETTINGS)
    assert kept == {"work_mem": "4096 kB"}


def test_a_library_that_sorts_otherwise_fails():
    before = {"database": {"definition": "C", "recorded": "2.36", "actual": "2.36"}}
    after = {"database": {"definition": "C", "recorded": "2.36", "actual": "2.31"}}
    assert [one.verdict for one in compare.collation_checks(before, before)] == ["passed", "passed"]
    assert [one.verdict for one in compare.collation_checks(before, after)] == ["passed", "failed"]


def test_a_sealed_manifest_is_known_and_another_is_not(tmp_path):
    manifest = store.seal({"format": store.FORMAT, "tables": {"public.t": {"rows": 1}}})
    path = str(tmp_path / "m.json")
    store.save(path, manifest)
    assert store.load(path) == manifest
    for wrong in ({**manifest, "format": 99}, {**manifest, "tables": {}}, {"tables": {}}, [], None):
        with pytest.raises(OperationError):
            store.verify(wrong, "the manifest")


def test_connection_parameters_leave_out_what_is_not_given():
    given = {
        "login_host": "",
        "login_unix_socket": "/run/p",
        "login_port": 5433,
        "login_user": "u",
        "ssl_mode": "prefer",
    }
    assert args.connect_parameters(given) == {
        "host": "/run/p",
        "port": 5433,
        "user": "u",
        "sslmode": "prefer",
        "connect_timeout": 10,
        "application_name": "churnguard.ops",
    }
