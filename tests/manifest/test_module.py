"""The module as Ansible runs it: options in, JSON out, on a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.modules import postgresql_manifest

MODULE = "public.customers"


@pytest.fixture
def run(capfd):
    """Runs the module; its result."""

    def go(database, check: bool = False, **arguments: Any) -> dict[str, Any]:
        capfd.readouterr()
        given = {**database.login(), **arguments, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            postgresql_manifest.main()
        return json.loads(capfd.readouterr().out)

    return go


def test_capture_writes_a_private_file_that_a_comparison_reads(run, source, tmp_path):
    path = tmp_path / "manifests" / "customers.json"
    captured = run(source, state="captured", path=str(path))
    assert captured["changed"]
    assert captured["summary"]["tables"] == 4
    assert captured["summary"]["rows"] == 20_900
    assert path.stat().st_mode & 0o777 == 0o600
    assert source.server.cluster.password not in path.read_text(encoding="utf-8")
    compared = run(source, state="compared", path=str(path))
    assert (compared["verdict"], compared["changed"], compared.get("failed", False)) == ("passed", False, False)
    assert compared["envelope"]["operation"] == "postgresql_manifest"
    assert compared["envelope"]["evidence"] == [{"kind": "integrity", "checks": compared["checks"]}]


def test_a_copy_that_differs_fails_and_says_where(run, source):
    manifest = run(source, state="captured")["manifest"]
    source.run("UPDATE customers SET charges = 0 WHERE id = 4711; SELECT setval('customers_id_seq', 10)")
    compared = run(source, state="compared", manifest=manifest)
    assert (compared["failed"], compared["verdict"]) == (True, "failed")
    assert "content of public.customers: the rows are others in 1 of" in compared["msg"]
    (content,) = [check for check in compared["checks"] if (check["name"], check["subject"]) == ("content", MODULE)]
    assert content["differences"] == [{"kind": "changed", "key": {"id": 4711}}]
    assert "sequences of public.customers_id_seq: behind" in compared["msg"]


def test_check_mode_writes_nothing(run, source, tmp_path):
    told = run(source, check=True, state="captured", path=str(tmp_path / "m.json"), dump={"path": str(tmp_path / "d")})
    assert told["changed"]
    assert "public.customers" in [table["name"] for table in told["tables"]]
    assert list(tmp_path.iterdir()) == []
    manifest = run(source, state="captured")["manifest"]
    compared = run(source, check=True, state="compared", manifest=manifest)
    skipped = [check for check in compared["checks"] if check["verdict"] == "skipped"]
    assert [(check["name"], check["reason"]) for check in skipped] == [
        ("amcheck", "the extension amcheck is not installed")
    ]
    assert compared["verdict"] == "failed"
    allowed = run(source, check=True, state="compared", manifest=manifest, allow_skipped=["amcheck"])
    assert allowed["verdict"] == "passed"


def test_a_manifest_that_was_touched_is_refused(run, source, tmp_path):
    path = tmp_path / "m.json"
    run(source, state="captured", path=str(path))
    path.write_text(path.read_text(encoding="utf-8").replace('"rows": 20000', '"rows": 19999'), encoding="utf-8")
    refused = run(source, state="compared", path=str(path))
    assert "its content is not what its own SHA-256 says" in refused["msg"]
    path.write_text("{", encoding="utf-8")
    assert "Could not read the manifest" in run(source, state="compared", path=str(path))["msg"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"state": "captured", "login_password": "wrong"}, "Could not connect to PostgreSQL: "),
        ({"state": "compared"}, "give path or manifest"),
        ({"state": "captured", "workers": 0}, "workers is 0"),
        ({"state": "captured", "statement_timeout": -1}, "statement_timeout is negative"),
        ({"state": "captured", "dump": {"path": "/nowhere/x", "program": "no_such_pg_dump"}}, "client programs"),
    ],
)
def test_what_makes_no_sense_is_told_without_a_traceback(run, source, arguments, told):
    result = run(source, **arguments)
    assert result["failed"]
    assert told in result["msg"]
    assert "Traceback" not in json.dumps(result)
