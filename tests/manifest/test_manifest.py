"""A manifest of a real database, and copies that are not as it says."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._postgres import manifest_session
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.model import Options

from .comparing import ROWS, capture, compare, failed, one


def digests(manifest: dict[str, Any]) -> dict[str, Any]:
    return {title: (entry["rows"], entry["sum"], entry["buckets"]) for title, entry in manifest["tables"].items()}


@pytest.mark.parametrize("mode", ["record", "text"])
def test_an_untouched_copy_passes_every_check(source, mode):
    manifest = capture(source, hash=mode)
    result = compare(source.copy(), manifest)
    assert not failed(result)
    assert result["verdict"] == "passed"
    assert {check["verdict"] for check in result["checks"]} == {"passed"}
    assert one(result, "rows", "public.customers")["actual"] == 20_000


def test_amcheck_leaves_nothing_behind(source):
    copy = source
    result = compare(copy, capture(source), checks=("amcheck",))
    assert one(result, "amcheck", "public.customers")["verdict"] == "passed"
    assert copy.run("SELECT extname FROM pg_extension") == [("plpgsql",)]
    assert copy.run("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%amcheck%'") == [(0,)]


def test_a_missing_table_is_named_and_counts_as_missing(source):
    manifest = capture(source)
    copy = source
    copy.run("DROP TABLE customers CASCADE")
    result = compare(copy, manifest)
    assert result["verdict"] == "failed"
    for name in ROWS:
        check = one(result, name, "public.customers")
        assert (check["verdict"], check["actual"]) == ("failed", "missing")
    tables = one(result, "catalog", "tables")
    assert {"public.customers", "public.risky"} == {entry["name"] for entry in tables["differences"]}
    assert "public.customers missing" in tables["reason"]


@pytest.mark.parametrize("mode", ["record", "text"])
def test_one_changed_value_is_named_by_its_key(source, mode):
    manifest = capture(source, hash=mode)
    changes = [
        "charges = charges + 0.01", "score = score + 1e-9", "free = free * 1.0", "level = 'medium'",
        "notes = notes || '{\"x\": 1}'", "created_at = created_at + interval '1 us'", "score = NULL",
    ]  # fmt: skip
    source.run("CREATE TABLE kept AS SELECT * FROM customers WHERE id = 12345")
    for change in changes:
        source.run(f"UPDATE customers SET {change} WHERE id = 12345")
        result = compare(source, manifest, checks=("content",))
        differences = failed(result)["content", "public.customers"]["differences"]
        assert differences == [{"kind": "changed", "key": {"id": 12345}}], change
        source.run(
            "UPDATE customers c SET (charges, score, free, level, notes, created_at) = "
            "(k.charges, k.score, k.free, k.level, k.notes, k.created_at) FROM kept k WHERE c.id = k.id"
        )
    source.run("DROP TABLE kept")
    assert compare(source, manifest, checks=ROWS)["verdict"] == "passed"


def test_values_that_two_rows_swap_are_seen(source):
    manifest = capture(source)
    copy = source
    for first in range(1, 40, 2):
        copy.run(
            f"UPDATE customers c SET charges = o.charges FROM customers o "
            f"WHERE (c.id, o.id) IN (({first}, {first + 1}), ({first + 1}, {first}))"
        )
    result = compare(copy, manifest, checks=ROWS)
    assert list(failed(result)) == [("content", "public.customers")]


def test_rows_that_are_missing_or_new_are_named(source):
    manifest = capture(source)
    copy = source
    copy.run("DELETE FROM customers WHERE id = 7777")
    copy.run("UPDATE customers SET id = 1000000 WHERE id = 15000")
    differences = one(compare(copy, manifest, checks=ROWS), "content", "public.customers")["differences"]
    assert differences == [
        {"kind": "missing", "key": {"id": 7777}},
        {"kind": "missing", "key": {"id": 15000}},
        {"kind": "unexpected", "key": {"id": 1000000}},
    ]


def test_a_key_that_is_no_number_is_found_too(source):
    manifest = capture(source)
    copy = source
    (code,) = copy.run("UPDATE notes SET body = 'x' WHERE code = md5('77')::uuid RETURNING code::text")[0]
    check = one(compare(copy, manifest, checks=ROWS), "content", "public.notes")
    assert check["differences"] == [{"kind": "changed", "key": {"code": code}}]


def test_a_table_without_a_key_differs_as_a_whole(source):
    manifest = capture(source)
    copy = source
    copy.run("UPDATE keyless SET b = 'other' WHERE ctid = '(0,9)'")
    check = one(compare(copy, manifest, checks=ROWS), "content", "public.keyless")
    assert (check["verdict"], check["differences"]) == ("failed", [])


def test_many_rows_of_one_range_are_a_range_and_rows_with_the_original_at_hand(source):
    manifest = capture(source)
    copy = source.copy()
    copy.run("UPDATE customers SET charges = 0 WHERE id IN (641, 643, 650)")
    copy.run("DELETE FROM customers WHERE id = 645")
    alone = one(compare(copy, manifest, checks=ROWS), "content", "public.customers")["differences"]
    assert alone == [{"kind": "several", "from": {"id": 640}, "to": {"id": 703}, "rows": -1}]
    both = one(compare(copy, manifest, reference=source, checks=ROWS), "content", "public.customers")["differences"]
    assert both == [
        {"kind": "changed", "key": {"id": 641}},
        {"kind": "changed", "key": {"id": 643}},
        {"kind": "missing", "key": {"id": 645}},
        {"kind": "changed", "key": {"id": 650}},
    ]


def test_a_sequence_behind_its_column_is_told_and_left_alone(source):
    manifest = capture(source)
    copy = source
    copy.run("SELECT setval('customers_id_seq', 10)")
    check = one(compare(copy, manifest), "sequences", "public.customers_id_seq")
    assert (check["verdict"], check["expected"], check["actual"]) == ("failed", 20_000, 10)
    assert "its next value 11 is not beyond 20000 in public.customers.id" in check["reason"]
    assert copy.run("SELECT last_value FROM customers_id_seq") == [(10,)]
    copy.run(check["differences"][0]["suggested"])
    assert compare(copy, manifest)["verdict"] == "passed"


def test_a_sequence_ahead_of_the_manifest_is_right(source):
    manifest = capture(source)
    copy = source
    copy.run("SELECT setval('customers_id_seq', 20032)")
    assert compare(copy, manifest)["verdict"] == "passed"


#: What is done to a copy, and where it has to be named.
CATALOG_CHANGES = [
    ("ALTER TABLE customers DROP CONSTRAINT positive", "catalog", "constraints", "public.customers.positive"),
    ("ALTER TABLE customers ALTER score SET DEFAULT 1", "catalog", "columns", "public.customers.score"),
    ("ALTER TABLE customers DISABLE TRIGGER touch", "catalog", "triggers", "public.customers.touch"),
    ("DROP TRIGGER again ON customers", "catalog", "triggers", "public.customers.again"),
    ("DROP POLICY mine ON notes", "catalog", "policies", "public.notes.mine"),
    ("CREATE OR REPLACE VIEW risky AS SELECT id FROM customers", "catalog", "views", "public.risky"),
    ("ALTER FUNCTION touched() STABLE", "catalog", "functions", "public.touched()"),
    ("ALTER TYPE risk RENAME VALUE 'high' TO 'higher'", "catalog", "types", "public.risk"),
    ("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'extra'::regclass",
     "catalog", "indexes", "public.extra"),
    ("DROP INDEX extra", "catalog", "indexes", "public.extra"),
    ("REVOKE SELECT ON customers FROM pg_monitor", "roles", "roles and grants", "relation public.customers"),
    ("DROP EXTENSION pgcrypto", "extensions", "versions", "pgcrypto"),
    ("ALTER DATABASE {name} SET work_mem = '1MB'", "settings", "server", "of this database"),
]  # fmt: skip


def test_what_is_otherwise_in_the_catalog_is_named(source):
    source.run(
        "CREATE INDEX extra ON customers (level); ALTER TABLE customers ADD CONSTRAINT positive CHECK (charges >= 0);"
        "CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TRIGGER touch BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touched();"
        "CREATE TRIGGER again BEFORE DELETE ON customers FOR EACH ROW EXECUTE FUNCTION touched();"
        "CREATE POLICY mine ON notes USING (body <> ''); GRANT SELECT ON customers TO pg_monitor;"
        "CREATE EXTENSION pgcrypto"
    )
    layers = ("catalog", "roles", "extensions", "settings", "collations")
    manifest = capture(source, checks=layers)
    assert compare(source, manifest, checks=layers)["verdict"] == "passed"
    for change, layer, subject, name in CATALOG_CHANGES:
        source.run(change.format(name=source.name))
        found = failed(compare(source, manifest, checks=layers)).get((layer, subject), {"differences": []})
        assert name in [entry["name"] for entry in found["differences"]], change


def test_a_dump_and_restore_passes_by_text_and_any_time_zone(source, server, tmp_path):
    # Another enum first, so that the labels get other numbers than in the source.
    restored = server.database()
    restored.run("CREATE TYPE other AS ENUM ('a', 'b', 'c'); DROP TYPE other")
    manifest = capture(source, hash="text", dump={"path": tmp_path / "all.dump", "format": "custom"})
    assert manifest["dump"]["bytes"] == (tmp_path / "all.dump").stat().st_size
    _restore(server, restored.name, tmp_path / "all.dump")
    restored.run(f"ALTER DATABASE {restored.name} SET timezone = 'Pacific/Auckland'")
    restored.run(f"ALTER DATABASE {restored.name} SET datestyle = 'German'")
    assert compare(restored, manifest, ignore_settings=("of *", "TimeZone", "DateStyle"))["verdict"] == "passed"
    as_stored = compare(restored, capture(source, hash="record"), checks=ROWS)
    assert list(failed(as_stored)) == [("content", "public.customers")]


def test_a_dump_under_load_is_what_the_manifest_says(source, server, tmp_path):
    program = str(server.cluster.programs / "pgbench")
    environment = {**os.environ, "PGPASSWORD": server.cluster.password}
    place = ["-h", "127.0.0.1", "-p", str(server.cluster.port), "-U", "postgres"]
    subprocess.run([program, *place, "-q", "-i", "-s", "1", source.name], env=environment, check=True, timeout=60,
                   capture_output=True)  # fmt: skip
    before = source.run("SELECT count(*) FROM pgbench_history")[0][0]
    load = subprocess.Popen([program, *place, "-n", "-c", "2", "-R", "300", "-T", "60", source.name], env=environment,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        _until(lambda: source.run("SELECT count(*) FROM pgbench_history")[0][0] > before)
        manifest = capture(source, hash="text", dump={"path": tmp_path / "dump", "format": "directory", "jobs": 2})
        held = manifest["tables"]["public.pgbench_history"]["rows"]
        _until(lambda: source.run("SELECT count(*) FROM pgbench_history")[0][0] > held)
    finally:
        load.terminate()
        load.wait(10)
    restored = server.database()
    _restore(server, restored.name, tmp_path / "dump")
    result = compare(restored, manifest)
    assert not failed(result)
    assert result["verdict"] == "passed"
    assert held > before
    assert list(failed(compare(source, manifest, checks=("rows",)))) == [("rows", "public.pgbench_history")]


def test_a_dump_that_was_cut_or_changed_is_not_the_manifests(source, tmp_path):
    path = tmp_path / "all.sql"
    manifest = capture(source, hash="text", dump={"path": path, "format": "plain"})
    whole = path.read_bytes()
    assert (path.stat().st_mode & 0o077, path.with_name("all.sql.part").exists()) == (0, False)
    wanted = {"checks": (), "dump": {"path": path}}
    assert compare(source, manifest, **wanted)["verdict"] == "passed"
    path.write_bytes(whole[: len(whole) // 2])
    cut = compare(source, manifest, **wanted)
    assert (cut["verdict"], cut["checks"][0]["reason"]) == (
        "failed", f"{len(whole) // 2} bytes where {len(whole)} were written")  # fmt: skip
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert compare(source, manifest, **wanted)["verdict"] == "failed"


def test_half_a_plain_dump_restores_without_an_error_and_is_not_passed(source, server, tmp_path):
    path = tmp_path / "all.sql"
    manifest = capture(source, hash="text", dump={"path": path, "format": "plain"})
    whole = path.read_bytes()
    inside = whole.index(b"COPY public.customers") + 400_000
    path.write_bytes(whole[: whole.rindex(b"\n", 0, inside) + 1])
    restored = server.database()
    ended = _psql(server, restored.name, path)
    assert ended.returncode == 0, "psql takes the end of the file for the end of the data"
    result = compare(restored, manifest, checks=ROWS)
    assert ("rows", "public.customers") in failed(result)
    assert 0 < one(result, "rows", "public.customers")["actual"] < 20_000


def test_a_dump_that_cannot_be_made_is_an_error_and_leaves_no_file(source, tmp_path):
    with pytest.raises(OperationError, match="pg_dump ended with"):
        capture(source, dump={"path": tmp_path / "none" / "all.dump"})
    assert list(tmp_path.iterdir()) == []


def test_time_that_runs_out_is_skipped_and_never_passed(source):
    # A million characters that take little room and time to be read.
    source.run("INSERT INTO notes SELECT gen_random_uuid(), repeat('x', 1000000) FROM generate_series(1, 100)")
    manifest = capture(source)
    result = compare(source, manifest, checks=ROWS, statement_timeout=0.02)
    check = one(result, "content", "public.notes")
    assert check["verdict"] == "skipped"
    assert "statement timeout" in check["reason"]
    assert result["verdict"] == "failed"
    assert compare(source, manifest, checks=ROWS)["verdict"] == "passed"


def test_a_skip_that_is_allowed_stays_in_sight(source):
    source.run("CREATE UNLOGGED TABLE scratch (id int)")
    manifest = capture(source)
    checks = {"checks": ROWS}
    assert compare(source, manifest, **checks)["verdict"] == "failed"
    result = compare(source, manifest, **checks, allow_skipped=("*:public.scratch",))
    assert result["verdict"] == "passed"
    assert "unlogged" in one(result, "content", "public.scratch")["reason"]


def test_rows_that_a_policy_hides_are_not_taken_for_missing(source, server):
    source.run(
        "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT pg_read_all_data TO reader;"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY"
    )

    def connect():
        return psycopg2.connect(**{**server.cluster.dsn(source.name), "user": "reader", "password": "reader"})

    manifest = manifest_session.capture(connect, Options())
    assert "row-level security" in manifest["tables"]["public.notes"]["skipped"]
    assert "rows" not in manifest["tables"]["public.notes"]
    assert manifest["tables"]["public.customers"]["rows"] == 20_000
    source.run("DROP OWNED BY reader; DROP ROLE reader")


def test_a_damaged_page_is_found(server, template):
    copy = server.database(template)
    manifest = capture(copy)
    copy.run("CHECKPOINT")
    (path,) = copy.run("SELECT pg_relation_filepath('customers')")[0]
    server.cluster.stop()
    file = Path(server.cluster.data_dir) / path
    with file.open("r+b") as pages:
        pages.seek(3 * 8192 + 8000)
        byte = pages.read(1)
        pages.seek(-1, os.SEEK_CUR)
        pages.write(bytes([byte[0] ^ 0xFF]))
    server.cluster.start()
    result = compare(copy, manifest, checks=(*ROWS, "amcheck"))
    assert "invalid page in block 3" in failed(result)["content", "public.customers"]["reason"]
    assert ("amcheck", "public.customers") in failed(result)


def test_a_snapshot_of_another_session_is_what_is_captured(source):
    session = source.connect()
    with session.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        source.run("DELETE FROM keyless")
        assert capture(source, snapshot=snapshot)["tables"]["public.keyless"]["rows"] == 300
    session.close()
    with pytest.raises(OperationError, match="snapshot"):
        capture(source, snapshot=snapshot)


def test_every_worker_reads_and_their_number_does_not_matter(source):
    source.run("INSERT INTO keyless SELECT i, repeat('x', 200) FROM generate_series(1, 200000) i; ANALYZE keyless")
    seen: set[str] = set()
    real = source.connect

    def connect():
        seen.add(threading.current_thread().name)
        return real()

    manifest = manifest_session.capture(connect, Options(workers=3))
    assert len([name for name in seen if name.startswith("manifest-")]) == 3
    assert digests(capture(source, workers=1)) == digests(manifest)


def test_a_lost_session_is_an_error(source):
    real, opened = source.connect, []

    def connect():
        session = real()
        opened.append(session)
        if len(opened) == 2:
            source.run(f"SELECT pg_terminate_backend({session.info.backend_pid})")
        return session

    with pytest.raises(OperationError):
        manifest_session.capture(connect, Options(workers=1))


def test_names_of_all_kinds(empty):
    database = empty(
        'CREATE SCHEMA "Odd ""Schema";'
        'CREATE TABLE "Odd ""Schema"."Ta.ble\'s" ("Key %s" bigserial PRIMARY KEY, "a b" text);'
        'INSERT INTO "Odd ""Schema"."Ta.ble\'s" ("a b") SELECT i::text FROM generate_series(1, 500) i;'
        "CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);"
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"
        "INSERT INTO parts SELECT i, '2026-05-05' FROM generate_series(1, 100) i;"
        "CREATE TABLE nothing (); CREATE DOMAIN money_d AS numeric(8, 2);"
        "CREATE TABLE types (a int[], b xml, c point, d money, e bit(3), f int4range, g interval, h tsvector,"
        " i money_d);"
        "INSERT INTO types VALUES ('{1,2}', '<a/>', '(1,2)', 3, '101', '[1,5)', '1 mon', 'a b', 1.5);"
        "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM parts"
    )
    for mode in ("record", "text"):
        manifest = capture(database, hash=mode)
        assert {title: entry["rows"] for title, entry in manifest["tables"].items()} == {
            "Odd \"Schema.Ta.ble's": 500, "public.counted": 1, "public.nothing": 0, "public.parts_1": 100,
            "public.types": 1,
        }  # fmt: skip
        copy = database.copy()
        assert compare(copy, manifest)["verdict"] == "passed"
        copy.run('UPDATE "Odd ""Schema"."Ta.ble\'s" SET "a b" = \'x\' WHERE "Key %s" = 77')
        copy.run("UPDATE types SET g = '30 days'")
        found = failed(compare(copy, manifest, checks=ROWS))
        assert list(found) == [("content", "Odd \"Schema.Ta.ble's"), ("content", "public.types")]
        assert found["content", "Odd \"Schema.Ta.ble's"]["differences"] == [{"kind": "changed", "key": {"Key %s": 77}}]


def _restore(server, name: str, path: Path) -> None:
    command = [str(server.cluster.programs / "pg_restore"), "-h", "127.0.0.1", "-p", str(server.cluster.port)]
    environment = {**os.environ, "PGPASSWORD": server.cluster.password}
    subprocess.run([*command, "-U", "postgres", "-d", name, str(path)], env=environment, check=True, timeout=120)


def _psql(server, name: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = ["psql", "-h", "127.0.0.1", "-p", str(server.cluster.port), "-U", "postgres", "-d", name, "-q"]
    environment = {**os.environ, "PGPASSWORD": server.cluster.password}
    return subprocess.run(
        [*command, "-v", "ON_ERROR_STOP=1", "-f", str(path)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def _until(condition) -> None:
    """Wait for what the load does, a minute at most."""
    for _ in range(600):
        if condition():
            return
        threading.Event().wait(0.1)
    pytest.fail("the load did nothing for a minute")
