"""Rows are hashed by PostgreSQL itself: every column counts, whatever its type."""

from __future__ import annotations

import pytest

from .comparing import ROWS, capture, compare, failed

#: Types with a hash function of their own: a value, and another one.
SEEDED = {
    "bool": ("true", "false"),
    "int2": ("1", "-1"),
    "int4": ("1", "-1"),
    "int8": ("1", "-1"),
    "numeric(8, 2)": ("1.00", "1.01"),
    "oid": ("1", "2"),
    "text": ("'a'", "'a '"),
    "timestamp": ("'2026-01-01'", "'infinity'"),
    "timestamptz": ("'2026-01-01 00:00:00.000001Z'", "'2026-01-01 00:00:00.000002Z'"),
    "uuid": ("'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'"),
    "varchar(9)": ("'ab'", "'ba'"),
}


@pytest.mark.parametrize("mode", ["record", "text"])
def test_a_change_in_any_column_that_is_never_null_is_seen(empty, mode):
    columns = ", ".join(f'"{name}" {name} NOT NULL DEFAULT {value}' for name, (value, _) in SEEDED.items())
    copy = empty(f"CREATE TABLE every (id int PRIMARY KEY, {columns}); INSERT INTO every (id) VALUES (1), (2)")
    manifest = capture(copy, hash=mode)
    assert compare(copy, manifest, checks=ROWS)["verdict"] == "passed"
    for name, (value, other) in SEEDED.items():
        copy.run(f'UPDATE every SET "{name}" = {other} WHERE id = 2')
        found = failed(compare(copy, manifest, checks=ROWS))
        assert list(found) == [("content", "public.every")], name
        assert found["content", "public.every"]["differences"] == [{"kind": "changed", "key": {"id": 2}}], name
        copy.run(f'UPDATE every SET "{name}" = {value} WHERE id = 2')
    assert compare(copy, manifest, checks=ROWS)["verdict"] == "passed"


def test_values_that_two_rows_swap_are_seen_in_columns_that_are_never_null(empty):
    copy = empty("CREATE TABLE pairs (id int PRIMARY KEY, n int8 NOT NULL); INSERT INTO pairs VALUES (1, 7), (2, 9)")
    manifest = capture(copy)
    copy.run("UPDATE pairs SET n = 16 - n")
    assert list(failed(compare(copy, manifest, checks=ROWS))) == [("content", "public.pairs")]


def test_a_row_with_a_null_where_none_may_be_is_not_left_out(empty):
    copy = empty("CREATE TABLE odd (id int PRIMARY KEY, a text NOT NULL, b text); INSERT INTO odd VALUES (1, 'x', 'y')")
    declared = "UPDATE pg_attribute SET attnotnull = {} WHERE attrelid = 'odd'::regclass AND attname = 'a'"
    copy.run(f"{declared.format('false')}; UPDATE odd SET a = NULL; {declared.format('true')}")
    manifest = capture(copy)
    assert manifest["tables"]["public.odd"]["sum"] != "0"
    copy.run(f"{declared.format('false')}; UPDATE odd SET b = 'z'; {declared.format('true')}")
    assert list(failed(compare(copy, manifest, checks=ROWS))) == [("content", "public.odd")]
