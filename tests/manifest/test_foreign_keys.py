"""Rows without a parent, for every shape that a foreign key can have: each check agrees with what was taken away."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._postgres import manifest_session
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.model import Options

#: 3000 parents and 3000 children each; a child's reference is its own number. `breaking` leaves `orphans` of them.
SHAPES: dict[str, tuple[str, str, int]] = {
    "plain": (
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE c (id int, p int, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p);"
        "INSERT INTO p SELECT generate_series(1, 3000); INSERT INTO c SELECT i, i FROM generate_series(1, 3000) i;"
        "INSERT INTO c VALUES (0, NULL)",
        "DELETE FROM p WHERE id <= 500",
        500,
    ),
    "composite": (
        "CREATE TABLE p (a int, b text, PRIMARY KEY (b, a));"
        "CREATE TABLE c (x int, y text, CONSTRAINT fk FOREIGN KEY (x, y) REFERENCES p (a, b));"
        "INSERT INTO p SELECT i, 't' || i FROM generate_series(1, 3000) i; INSERT INTO c SELECT * FROM p;"
        # MATCH SIMPLE: one null excuses the rest.
        "INSERT INTO c VALUES (9999, NULL), (NULL, 'nobody')",
        "DELETE FROM p WHERE a <= 500",
        500,
    ),
    "match full": (
        "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b));"
        "CREATE TABLE c (x int, y int, CONSTRAINT fk FOREIGN KEY (x, y) REFERENCES p (a, b) MATCH FULL);"
        "INSERT INTO p SELECT i, i FROM generate_series(1, 3000) i; INSERT INTO c SELECT * FROM p;"
        "INSERT INTO c VALUES (NULL, NULL)",
        # Half a reference is one too many under MATCH FULL: 490 without a parent, 10 of them half null.
        "DELETE FROM p WHERE a <= 490; UPDATE c SET y = NULL WHERE x BETWEEN 2000 AND 2009",
        500,
    ),
    "partitioned child": (
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE c (id int, p int, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p) PARTITION BY RANGE (id);"
        "CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (1000);"
        "CREATE TABLE c2 PARTITION OF c FOR VALUES FROM (1000) TO (9000) PARTITION BY LIST (id);"
        "CREATE TABLE c3 PARTITION OF c2 DEFAULT;"
        "INSERT INTO p SELECT generate_series(1, 3000); INSERT INTO c SELECT i, i FROM generate_series(1, 3000) i",
        "DELETE FROM p WHERE id BETWEEN 801 AND 1300",
        500,
    ),
    "partitioned parent": (
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY HASH (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "CREATE TABLE c (id int, p int, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p);"
        "INSERT INTO p SELECT generate_series(1, 3000); INSERT INTO c SELECT i, i FROM generate_series(1, 3000) i",
        "DELETE FROM p WHERE id <= 500",
        500,
    ),
    "self": (
        "CREATE TABLE c (id int PRIMARY KEY, boss int, CONSTRAINT fk FOREIGN KEY (boss) REFERENCES c);"
        "INSERT INTO c SELECT i, nullif(i - 1, 0) FROM generate_series(1, 3000) i",
        # Each one that goes leaves its follower; 500 apart so that none of those goes too.
        "DELETE FROM c WHERE id % 6 = 3",
        500,
    ),
    "mixed case": (
        'CREATE SCHEMA "Up"; CREATE TABLE "Up"."Par ent" ("I d" int PRIMARY KEY);'
        'CREATE TABLE c ("Ref ""x" int, CONSTRAINT fk FOREIGN KEY ("Ref ""x") REFERENCES "Up"."Par ent");'
        'INSERT INTO "Up"."Par ent" SELECT generate_series(1, 3000); INSERT INTO c SELECT generate_series(1, 3000)',
        'DELETE FROM "Up"."Par ent" WHERE "I d" <= 500',
        500,
    ),
    "types that differ": (
        "CREATE TABLE p (id numeric PRIMARY KEY);"
        "CREATE TABLE c (p bigint, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p);"
        "INSERT INTO p SELECT generate_series(1, 3000) + 0.0; INSERT INTO c SELECT generate_series(1, 3000)",
        "DELETE FROM p WHERE id <= 500",
        500,
    ),
    "operator of an extension": (
        "CREATE EXTENSION citext; CREATE TABLE p (name citext PRIMARY KEY);"
        "CREATE TABLE c (p citext, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p);"
        "INSERT INTO p SELECT 'Name' || i FROM generate_series(1, 3000) i;"
        "INSERT INTO c SELECT 'NAME' || i FROM generate_series(1, 3000) i",
        "DELETE FROM p WHERE substr(name::text, 5)::int <= 500",
        500,
    ),
    "collations that differ": (
        'CREATE TABLE p (id text COLLATE "C" PRIMARY KEY);'
        'CREATE TABLE c (p text COLLATE "POSIX", CONSTRAINT fk FOREIGN KEY (p) REFERENCES p);'
        "INSERT INTO p SELECT i::text FROM generate_series(1, 3000) i; INSERT INTO c SELECT id FROM p",
        "DELETE FROM p WHERE id::int <= 500",
        500,
    ),
    "heir of the parent does not count": (
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE heir () INHERITS (p);"
        "CREATE TABLE c (p int, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p); CREATE TABLE c_heir () INHERITS (c);"
        "INSERT INTO p SELECT generate_series(1, 3000); INSERT INTO heir SELECT generate_series(1, 500);"
        "INSERT INTO c SELECT generate_series(1, 3000); INSERT INTO c_heir VALUES (777777)",
        "DELETE FROM ONLY p WHERE id <= 500",
        500,
    ),
}


def keys_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [check for check in result["checks"] if check["name"] == "foreign_keys"]


def compare(database, manifest, *checks: str) -> dict[str, Any]:
    return manifest_session.compare(database.connect, manifest, Options(checks=checks or ("foreign_keys",)))


@pytest.fixture(scope="module")
def shapes(server):
    """One database; each shape has a schema of its own, which is its only content while its test runs."""
    return server.database()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_orphan_is_counted(shapes, shape):
    make, breaking, orphans = SHAPES[shape]
    shapes.run(
        'DROP EXTENSION IF EXISTS citext CASCADE; DROP SCHEMA IF EXISTS public, "Up" CASCADE; CREATE SCHEMA public;'
        + make
    )
    manifest = manifest_session.capture(shapes.connect, Options(checks=()))
    (healthy,) = keys_of(compare(shapes, manifest))
    assert (healthy["verdict"], healthy["actual"], healthy["subject"]) == ("passed", 0, "public.c.fk")
    shapes.run(f"SET session_replication_role = replica; {breaking}")
    (broken,) = keys_of(compare(shapes, manifest))
    assert (broken["verdict"], broken["actual"], broken["expected"]) == ("failed", orphans, 0)
    assert len(broken["differences"]) == 20
    assert shapes.run("SELECT DISTINCT convalidated FROM pg_constraint WHERE conname = 'fk'") == [(True,)]


def test_amcheck_does_not_make_orphans_good(source):
    source.run(
        "CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers,"
        " organization int REFERENCES organizations);"
        "INSERT INTO orders SELECT i, i, 1 FROM generate_series(1, 20000) i"
    )
    manifest = manifest_session.capture(source.connect, Options())
    source.run("SET session_replication_role = replica; DELETE FROM customers WHERE id <= 500")
    result = compare(source, manifest, "foreign_keys", "amcheck")
    assert {check["verdict"] for check in result["checks"] if check["name"] == "amcheck"} == {"passed"}
    found = {check["subject"]: check["actual"] for check in keys_of(result) if check["verdict"] == "failed"}
    assert found == {"public.orders.orders_customer_fkey": 500}
    assert result["verdict"] == "failed"


def test_a_key_that_was_never_validated_is_listed_with_what_the_source_had(source):
    source.run(
        "CREATE TABLE loose (customer int); INSERT INTO loose VALUES (-1), (-2), (3);"
        "ALTER TABLE loose ADD CONSTRAINT later FOREIGN KEY (customer) REFERENCES customers NOT VALID"
    )
    manifest = manifest_session.capture(source.connect, Options(checks=()))
    assert manifest["foreign_keys"]["public.loose.later"] == {"validated": False, "orphans": 2}
    as_before = {check["subject"]: check for check in keys_of(compare(source, manifest))}["public.loose.later"]
    assert (as_before["verdict"], as_before["expected"], as_before["actual"]) == ("passed", 2, 2)
    assert as_before["reason"] == "NOT VALID: 2 rows without a parent, 2 at the source"
    source.run("SET session_replication_role = replica; DELETE FROM customers WHERE id = 3")
    worse = {check["subject"]: check for check in keys_of(compare(source, manifest))}["public.loose.later"]
    assert (worse["verdict"], worse["actual"]) == ("failed", 3)


def test_a_missing_function_is_skipped_and_no_finding(source):
    # amcheck 1.0 has no verify_heapam: it came later.
    source.run("CREATE EXTENSION amcheck VERSION '1.0'")
    manifest = manifest_session.capture(source.connect, Options())
    result = compare(source, manifest, "amcheck")
    assert {check["verdict"] for check in result["checks"]} == {"skipped"}
    assert "verify_heapam" in result["checks"][0]["reason"]
    assert result["verdict"] == "failed"
