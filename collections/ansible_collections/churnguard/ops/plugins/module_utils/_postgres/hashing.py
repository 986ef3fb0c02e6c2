# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL that reads a table once and yields an order-free digest of its rows. Pure. Internal: may change in any release.

A row's hash is made of PostgreSQL's own 64-bit hashes, and a table's digest is the number of rows and the exact sum of
their hashes: it does not depend on the order of rows, so that any number of workers can add to it. Columns that are
never null and have a hash function that SQL can call are hashed one after the other, each with the hash so far as its
seed: no record has to be built of them. All others are hashed as a record, and that is the first seed. The hash of a
record is linear in those of its columns (31 * a + b), so that two rows that swap a value would leave the sum as it is;
where nothing is hashed after it, it is therefore hashed once more.

With a primary key the rows are also dealt into at most 1024 buckets, each with its own count, its own sum, and the sum
of (hash >> 33) * position, where the position tells a key from the others of its bucket. Where one row of a bucket
differs, the quotient of the two sums' changes is its position: see digest.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .model import Column, Query, Table

#: Types whose equality means "written alike", so that their own hash misses nothing. hash partitions survive
#: pg_upgrade, so these hashes are the same in every version.
_EXACT = frozenset(
    "pg_catalog." + name
    for name in (
        *("bool", "char", "int2", "int4", "int8", "oid", "text", "varchar", "bpchar", "name", "uuid", "bytea"),
        *("date", "time", "timetz", "timestamp", "timestamptz", "macaddr", "macaddr8", "inet", "cidr", "pg_lsn"),
    )
)
#: Equal values of these may be written differently (0 and -0, a month and 30 days, 1.0 and 1.00): their wire form.
_SENT = {
    "pg_catalog.float4": "float4send",
    "pg_catalog.float8": "float8send",
    "pg_catalog.interval": "interval_send",
    "pg_catalog.numeric": "numeric_send",
}
#: The hash function of a type that takes a seed, around the column's own expression.
_SEEDED = {
    "pg_catalog." + name: f"pg_catalog.{function}"
    for name, function in {
        "bool": "hashint4extended({}::pg_catalog.int4, {})",
        "int2": "hashint2extended({}, {})",
        "int4": "hashint4extended({}, {})",
        "int8": "hashint8extended({}, {})",
        "numeric": "hash_numeric_extended({}, {})",
        "oid": "hashoidextended({}, {})",
        "text": "hashtextextended({}, {})",
        "timestamp": "timestamp_hash_extended({}, {})",
        # An offset of zero only changes the type; a cast would compute the session's time zone for each row.
        "timestamptz": "timestamp_hash_extended(pg_catalog.timezone(INTERVAL '0', {}), {})",
        "uuid": "uuid_hash_extended({}, {})",
        "varchar": "hashtextextended({}, {})",
    }.items()
}
_INTEGERS = frozenset({"pg_catalog.int2", "pg_catalog.int4", "pg_catalog.int8"})

MAX_BUCKETS = 1024
#: Keys to a bucket at least, and the widest one whose positions still multiply within 64 bits.
_MIN_SHIFT, _MAX_SHIFT = 6, 31
_POSITION_BITS = 31
#: Bits of a key's hash that a bucket may take; the position has those above.
MAX_HASH_BITS = 32
BLOCK = 8192
_CHUNK_MIN_BLOCKS = 16 * 2**20 // BLOCK
_CHUNK_MAX_BLOCKS = 512 * 2**20 // BLOCK
_CHUNKS_PER_WORKER = 16


@dataclass(frozen=True)
class Buckets:
    """How the rows of a table are dealt. C(kind) integer: bucket = key >> C(bits); hash: the low C(bits) bits of the
    key's hash."""

    kind: str
    bits: int

    def plain(self) -> dict[str, Any]:
        return {"kind": self.kind, "bits": self.bits}


def quote(name: str) -> str:
    """An identifier, quoted whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant; sessions have standard_conforming_strings on."""
    return "'" + text.replace("'", "''") + "'"


def relation(table: Table) -> str:
    return f"{quote(table.schema)}.{quote(table.name)}"


def hashed(column: Column, mode: str) -> str:
    """The expression that stands for the column in a row's hash. C(mode) record: as the cluster stores it; text: what
    also survives a dump, where for example an enum's labels have other numbers."""
    name = f"t.{quote(column.name)}"
    if _exact(column):
        return f'{name} COLLATE pg_catalog."C"' if column.collatable else name
    if column.type in _SENT:
        return f"pg_catalog.{_SENT[column.type]}({name})"
    stored = column.kind == "e" or column.type == "pg_catalog.jsonb"
    if mode == "record" and stored and column.hashable:
        return name
    return f'{name}::pg_catalog.text COLLATE pg_catalog."C"'


def _exact(column: Column) -> bool:
    return column.type in _EXACT or (column.type == "pg_catalog.numeric" and column.length >= 0)


def _seeded(column: Column) -> bool:
    """Whether the column is hashed by a function of its own, with the hash of those before it as the seed."""
    return column.never_null and column.type in _SEEDED and _exact(column)


def _after(column: Column, mode: str, seed: str) -> str:
    return _SEEDED[column.type].format(hashed(column, mode), seed)


def recipe(table: Table, mode: str) -> list[str]:
    """How each column enters the hash; both sides of a comparison must have the same one."""
    return [_after(one, mode, "*") if _seeded(one) else hashed(one, mode) for one in table.columns]


def hash_of(columns: Sequence[Column], mode: str) -> str:
    """The 64-bit hash of these columns of a row."""
    whole = _mixed(_record(columns, mode))
    seeded = [column for column in columns if _seeded(column)]
    if not seeded:
        return whole
    others = [column for column in columns if not _seeded(column)]
    chain = _record(others, mode) if others else "0"
    for column in seeded:
        chain = _after(column, mode, chain)
    # A null where none may be (a damaged row, a constraint that is not valid yet) makes the chain null.
    return f"coalesce({chain}, {whole})"


def _record(columns: Sequence[Column], mode: str) -> str:
    return f"pg_catalog.hash_record_extended(ROW({', '.join(hashed(column, mode) for column in columns)}), 0)"


def _mixed(expression: str) -> str:
    # Of PostgreSQL's hashes of one number only this one takes 8 bytes as they are: 53 of the 64 bits go in.
    return f"pg_catalog.hashfloat8extended(({expression})::pg_catalog.float8, 0)"


def key_of(table: Table, buckets: Buckets) -> str:
    """The number from which bucket and position are taken."""
    if buckets.kind == "integer":
        return f"t.{quote(table.key[0])}::pg_catalog.int8"
    by_name = {column.name: column for column in table.columns}
    return hash_of([by_name[name] for name in table.key], "text")


def bucket_of(buckets: Buckets, key: str) -> str:
    if buckets.kind == "integer":
        return f"({key} >> {buckets.bits})"
    return f"({key} & {(1 << buckets.bits) - 1})"


def position_of(buckets: Buckets, key: str) -> str:
    if buckets.kind == "integer":
        return f"({key} & {(1 << buckets.bits) - 1})"
    return f"(({key} >> {buckets.bits}) & {(1 << _POSITION_BITS) - 1})"


def has_integer_key(table: Table) -> bool:
    types = {column.name: column.type for column in table.columns}
    return len(table.key) == 1 and types.get(table.key[0]) in _INTEGERS


def plan_buckets(table: Table, lowest: int | None, highest: int | None) -> Buckets | None:
    """How to deal the table's rows; None without a key. C(lowest), C(highest): bounds of an integer key, if known."""
    if not table.key:
        return None
    if has_integer_key(table) and lowest is not None and highest is not None:
        bits = max((((highest - lowest) // MAX_BUCKETS) + 1).bit_length(), _MIN_SHIFT)
        if bits <= _MAX_SHIFT:
            return Buckets("integer", bits)
    return Buckets("hash", min(max(table.blocks, 1), MAX_BUCKETS).bit_length() - 1)


def ranges(table: Table, total_blocks: int, workers: int) -> list[tuple[int, int | None]]:
    """Block ranges [first, end) that workers read one by one, so that all of them are busy until the end; the last has
    no end, since a table may have grown."""
    fair = total_blocks // max(workers * _CHUNKS_PER_WORKER, 1)
    size = min(max(fair, _CHUNK_MIN_BLOCKS), _CHUNK_MAX_BLOCKS)
    if not table.heap or table.blocks <= size:
        return [(0, None)]
    starts = range(0, table.blocks, size)
    return [(start, None if start + size >= table.blocks else start + size) for start in starts]


def where(block_range: tuple[int, int | None], condition: str = "") -> str:
    first, end = block_range
    lower = f"t.ctid >= '({first},0)'" if first else ""
    upper = f"t.ctid < '({end},0)'" if end is not None else ""
    all_of_it = " AND ".join(part for part in (lower, upper, condition) if part)
    return f" WHERE {all_of_it}" if all_of_it else ""


def in_bucket(table: Table, buckets: Buckets, bucket: int) -> str:
    """The condition for rows of one bucket; one on an integer key can use its index."""
    if buckets.kind == "integer":
        key, first = f"t.{quote(table.key[0])}", bucket << buckets.bits
        return f"{key} >= {first} AND {key} <= {first + (1 << buckets.bits) - 1}"
    return f"{bucket_of(buckets, key_of(table, buckets))} = {bucket}"


def search_sql(table: Table, buckets: Buckets, bucket: int, position: int) -> str:
    """The keys, as JSON objects, of the rows at one position of one bucket."""
    pairs = ", ".join(f"{literal(name)}, t.{quote(name)}" for name in table.key)
    condition = f"{position_of(buckets, key_of(table, buckets))} = {position}"
    return (
        f"SELECT pg_catalog.jsonb_build_object({pairs}) FROM ONLY {relation(table)} t "
        f"WHERE {in_bucket(table, buckets, bucket)} AND {condition}"
    )


def digest_sql(
    table: Table, mode: str, buckets: Buckets | None, block_range: tuple[int, int | None], condition: str = ""
) -> str:
    """Rows (bucket or null, count, sum of hashes, sum of hash times position) of one range."""
    source = f"FROM ONLY {relation(table)} t{where(block_range, condition)}"
    if buckets is None:
        return f"SELECT NULL, count(*), coalesce(sum({hash_of(table.columns, mode)}), 0), 0 {source}"
    key = key_of(table, buckets)
    # OFFSET 0 keeps the planner from writing the hash out twice.
    return (
        f"SELECT b, count(*), sum(h), sum((h >> 33) * x) FROM (SELECT {hash_of(table.columns, mode)} AS h, "
        f"{bucket_of(buckets, key)} AS b, {position_of(buckets, key)} AS x {source} OFFSET 0) s GROUP BY 1"
    )


def content_queries(tables: Sequence[Table], mode: str, plans: dict[str, Buckets | None], workers: int) -> list[Query]:
    """The statements that digest these tables, largest tables first."""
    total = sum(table.blocks for table in tables)
    ordered = sorted(tables, key=lambda table: (-table.blocks, table.title))
    return [
        Query("content", table.title, digest_sql(table, mode, plans.get(table.title), part), _weight(table, part))
        for table in ordered
        for part in ranges(table, total, workers)
    ]


def _weight(table: Table, part: tuple[int, int | None]) -> int:
    first, end = part
    return ((table.blocks if end is None else end) - first) * BLOCK


def bounds_sql(table: Table) -> str:
    """Lowest and highest value of an integer key: two looks into its index."""
    key = f"t.{quote(table.key[0])}"
    return f"SELECT min({key}), max({key}) FROM ONLY {relation(table)} t"
