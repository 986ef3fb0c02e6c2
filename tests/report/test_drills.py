"""The page and the other documents of drills, their history, backups and a gate, from sample data."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import drill_data
import pytest
import sample_data


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the rendered sample."""
    folder = tmp_path_factory.mktemp("drills")
    sample_data.write(folder, drills=True)
    sample_data.render(folder)
    return folder


@pytest.fixture(scope="module")
def model(report: Path) -> dict:
    return json.loads((report / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "index.html").read_text(encoding="utf-8")


def test_the_first_line_names_what_did_not_go_well(model):
    assert model["summary"]["tone"] == "bad"
    assert model["summary"]["headline"] == (
        "Backup corruption: RPO missed. 3 of 9 backups not ok: 1 missing, 1 stale, 1 unverified. "
        "shop/checkout (v9) is not good. 1 more operation went well."
    )
    assert "backup corruption: 1 of 2 resources not seen gone." in model["summary"]["notes"]
    assert "database loss: 1 of 24 checks skipped (amcheck)." in model["summary"]["notes"]


def test_a_drill_is_held_against_its_objectives(model):
    good, bad = model["drills"]
    assert [(goal["value_s"], goal["limit_s"], goal["verdict"]) for goal in good["objectives"]] == [
        (42.1, 1800, "passed"),
        (0.087, 900, "passed"),
    ]
    assert [goal["verdict"] for goal in bad["objectives"]] == ["not_checked", "failed"]
    assert (good["lost_acked_writes"], bad["lost_acked_writes"]) == (0, 94)
    assert sum(one["seconds"] for one in good["clocks"] if one["seconds"]) == pytest.approx(42.1)
    assert [one["result"] for one in bad["phases"]] == ["done"] * 5 + ["failed", "done"]


def test_the_lost_window_comes_from_the_ledgers_file(model):
    good, bad = (one["ledger"] for one in model["drills"])
    assert sum(good["series"]["acked"]) == 201
    assert good["series"]["lost_from"] is None
    assert (sum(bad["series"]["acked"]), bad["lost"]) == (287, 94)
    assert bad["series"]["lost_from"] < bad["series"]["lost_to"]


def test_every_plot_is_there_in_both_widths_with_words_for_those_who_do_not_see_it(page):
    titles = dict(re.findall(r'<title id="(\w+)-title">([^<]*)<', page))
    names = {name.rpartition("_")[0] for name in titles}
    assert names == {"drill_1", "drill_2", "writes_1", "writes_2", "gate_1_1", "gate_1_2", "trend_2", "trend_3"}
    assert len(titles) == 2 * len(names)
    described = dict(re.findall(r'<desc id="(\w+)-desc">([^<]*)<', page))
    assert "RTO 42.1 s of at most 30 min" in described["drill_1_wide"]
    assert "94 acknowledged writes lost" in described["writes_2_narrow"]
    assert "24 of 27 passed" in described["trend_2_wide"]
    assert "<script" not in page


def test_the_matrix_says_what_was_skipped_and_why(page, model):
    assert "extension amcheck is not installed on the target" in page
    assert "3 rows differ, 1 is missing" in page
    found = model["drills"][1]["integrity"]
    assert found["counts"] == {"passed": 22, "failed": 1, "skipped": 1}
    assert found["matrix"]["rows"][0] == {
        "subject": "public.customers",
        "cells": {"rows": "passed", "content": "failed", "sequences": "passed"},
        "rows": 1200,
        "seconds": 0.313,
        "verdict": "failed",
    }
    assert found["remarks"][0]["differences_left_out"] == 2


def test_what_is_left_comes_first_and_what_is_gone_has_its_proof(model, page):
    left = model["drills"][1]["resources"]
    assert [(one["type"], one["removed"] is None) for one in left] == [("postgresql", True), ("directory", False)]
    assert "1 of 2 are proven gone" in re.sub(r"\s+", " ", page)
    assert "no process holds the port" in page


def test_a_long_table_says_how_much_it_leaves_out(page):
    assert re.search(r"12 more drills in history\.jsonl\.", page)


def test_the_history_has_the_spread_of_each_scenario(model):
    scenarios = {one["name"]: one for one in model["history"]["scenarios"]}
    assert (scenarios["database_loss"]["total"], scenarios["database_loss"]["passed"]) == (27, 24)
    assert scenarios["database_loss"]["rto_s"]["last"] == 42.1
    assert scenarios["backup_corruption"]["rto_s"] is None


def test_the_same_sample_gives_the_same_bytes(report, tmp_path):
    sample_data.write(tmp_path, drills=True)
    sample_data.render(tmp_path)
    for name in ("index.html", "report.json", "report.md", "junit.xml"):
        assert (tmp_path / name).read_bytes() == (report / name).read_bytes()


def test_junit_has_a_case_for_each_check_and_never_passes_what_was_not_made(report):
    root = ET.parse(report / "junit.xml").getroot()
    good, bad, backups, gate = root.findall("testsuite")
    assert (good.get("failures"), good.get("skipped")) == ("0", "2")
    cases = {case.get("name"): case for case in bad.findall("testcase")}
    assert cases["RTO"].find("skipped").get("message") == "the drill ended before the data was accepted"
    assert cases["RPO"].find("failure") is not None
    assert "3 rows differ" in cases["content of public.customers"].find("failure").get("message")
    assert cases["amcheck of whole database"].find("skipped") is not None
    assert cases["postgresql 127.0.0.1:40811 is gone"].find("failure") is not None
    assert int(root.get("tests")) == sum(int(suite.get("tests")) for suite in (good, bad, backups, gate))
    assert int(root.get("failures")) == len(root.findall(".//failure"))


def test_markdown_holds_the_figures_with_their_units(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "| RTO | 42.1 s | 30 min | passed |  |" in text
    assert "| RPO | 21 min | 15 min | failed |  |" in text
    assert "| postgresql | 127.0.0.1:40811 | LEFT | Could not remove it: process 4711 does not end. |" in text


def test_without_the_drills_folder_it_says_what_is_missing(report, tmp_path):
    sample_data.write(tmp_path, drills=True)
    for path in sorted((tmp_path / "drills").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    sample_data.render(tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("writes over time are not shown") == 2
    assert "All drills" not in page
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["history"] is None


def test_markup_in_a_value_stays_text(tmp_path):
    sample_data.write(tmp_path, drills=True)
    (path,) = (tmp_path / "envelopes").glob("20261121T193300*")
    envelope = drill_data.recovered()
    envelope["evidence"][0]["reason"] = "<script>alert(1)</script> | {{ 6 * 7 }} \x00"
    path.write_text(json.dumps(envelope), encoding="utf-8")
    sample_data.render(tmp_path)
    assert "<script" not in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert r"\<script\>alert(1)\</script\> \| \{\{ 6 \* 7 \}\}" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert ET.parse(tmp_path / "junit.xml").getroot().get("tests")
