"""One drill from beginning to end, on a real process and a real folder."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from ansible_collections.churnguard.ops.plugins.module_utils._drill import history, journal


def figures(envelope: dict) -> dict:
    return {figure["name"]: figure for figure in envelope["measurements"]}


def of_kind(envelope: dict, kind: str) -> list[dict]:
    return [entry for entry in envelope["evidence"] if entry["kind"] == kind]


def test_a_clean_drill_passes_and_leaves_nothing(toy):
    places = toy()
    outcome = places.run()
    assert outcome["verdict"] == "passed", outcome["reasons"]
    assert outcome["reasons"] == []
    assert places.left() == []
    report = json.loads((places.folders[0] / journal.REPORT).read_text())
    assert report == outcome["envelope"]
    assert [line["verdict"] for line in history.read(places.drills_dir)] == ["passed"]
    assert all(item["removed"] and item["proof"] for item in of_kind(report, "resource"))
    assert {item["type"] for item in of_kind(report, "resource")} == {"directory", "process"}


def test_the_phases_add_up_to_the_recovery_time(toy):
    envelope = toy().run(recovery_s=0.4)["envelope"]
    known = figures(envelope)
    phases = [figure["value"] for name, figure in known.items() if name.startswith("phase_")]
    assert abs(sum(phases) - known["rto_s"]["value"]) <= 0.1
    assert known["unaccounted_s"]["verdict"] == "passed"
    steps = [figure["value"] for name, figure in known.items() if name.startswith("step_")]
    assert abs(sum(steps) - known["rto_s"]["value"]) <= 0.01
    assert known["rto_s"]["value"] >= 0.4


def test_over_the_target_fails_with_everything_verified_and_cleaned(toy):
    places = toy()
    outcome = places.run(rto=0.2, recovery_s=0.5)
    assert outcome["verdict"] == "failed"
    assert len(outcome["reasons"]) == 1 and "rto_s" in outcome["reasons"][0]
    known = figures(outcome["envelope"])
    assert known["rto_s"]["verdict"] == "failed" and known["rpo_s"]["verdict"] == "passed"
    assert of_kind(outcome["envelope"], "integrity") and of_kind(outcome["envelope"], "ledger")
    assert "t_accept" in {clock["name"] for clock in of_kind(outcome["envelope"], "clock")}
    assert places.left() == []
    assert history.read(places.drills_dir)[0]["verdict"] == "failed"


def test_the_ledger_is_outside_the_service_and_counts_what_came_back(toy):
    places = toy()
    envelope = places.run()["envelope"]
    ledger = of_kind(envelope, "ledger")[0]
    noted = [json.loads(line)["seq"] for line in (places.folders[0] / journal.LEDGER).read_text().splitlines()]
    assert ledger["acked"] == len(noted) > 0
    assert (ledger["lost"], ledger["lost_ids"]) == (0, [])
    assert figures(envelope)["lost_acked_writes"]["value"] == 0


def test_a_skipped_check_never_passes(toy):
    places = toy()
    outcome = places.run(integrity="skipped")
    assert outcome["verdict"] == "failed"
    assert "skipped" in outcome["reasons"][0]
    assert places.run(integrity="skipped", allow_skipped=["integrity"])["verdict"] == "passed"
    assert places.run(integrity="failed", allow_skipped=["integrity"])["verdict"] == "failed"


def test_a_phase_that_breaks_is_cleaned_up_and_says_what_did_not_run(toy):
    places = toy()
    outcome = places.run(broken=True)
    assert outcome["verdict"] == "failed"
    assert "the spare service is broken" in outcome["reasons"][0]
    skipped = [entry["detail"] for entry in outcome["envelope"]["timeline"] if entry["event"] == "skipped"]
    assert [text.split(":")[0] for text in skipped] == ["verify", "accept"]
    assert "There is no evidence of integrity." in outcome["reasons"]
    assert places.left() == []


def test_sigterm_ends_a_drill_with_its_cleanup(toy):
    places = toy()
    process = places.start(recovery_s=30)
    give_up = time.monotonic() + 30
    while not any(entry.phase == "recover" for entry in entries(places)):
        assert time.monotonic() < give_up and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    outcome = json.loads(output)
    assert outcome["verdict"] == "aborted", errors
    assert "SIGTERM" in outcome["reasons"][0]
    assert places.left() == []
    assert [cleaned.state for cleaned in places.clean()] == ["nothing_to_do"]
    assert history.read(places.drills_dir)[0]["verdict"] == "aborted"


def entries(places) -> list[journal.Entry]:
    return [entry for folder in places.folders for entry in journal.read(folder / journal.FILE)]


def test_a_refusal_by_the_scenario_touches_nothing(toy):
    places = toy()
    outcome = places.run(refuse=True)
    assert (outcome["verdict"], outcome["refused"]) == ("aborted", "disk")
    assert places.left() == []
    assert history.read(places.drills_dir) == []


def test_production_needs_the_exact_name_of_the_target(toy):
    places = toy()
    target = str(places.work / "spare")
    for confirm in ("", "spare", target.upper()):
        outcome = places.run(environment="production", confirm=confirm)
        assert outcome["refused"] == "confirmation" and "dr_drill_confirm" in outcome["message"]
    assert list(places.drills_dir.iterdir()) == []
    assert places.run(environment="production", confirm=target)["verdict"] == "passed"


def test_no_drill_during_an_incident(toy):
    outcome = toy().run(alerts=["HighErrorRate"])
    assert outcome["refused"] == "alerts" and "HighErrorRate" in outcome["message"]


def test_one_drill_on_a_source_at_a_time(toy):
    places = toy()
    process = places.start(recovery_s=30)
    give_up = time.monotonic() + 30
    while not any(entry.event == journal.CLOCK for entry in entries(places)):
        assert time.monotonic() < give_up and process.poll() is None
        time.sleep(0.02)
    assert places.run()["refused"] == "another_drill"
    running = [cleaned.state for cleaned in places.clean()]
    assert running == ["running"]
    process.kill()
    process.communicate()
    assert places.run()["refused"] == "unfinished_drill"
    assert [cleaned.state for cleaned in places.clean()] == ["cleaned"]
    assert places.run()["verdict"] == "passed"


def test_a_folder_of_somebody_else_is_never_removed(toy):
    places = toy()
    foreign = places.work / "service"
    foreign.mkdir()
    (foreign / "precious").write_text("keep me")
    outcome = places.run()
    assert outcome["verdict"] == "failed"
    assert (foreign / "precious").read_text() == "keep me"
    left = [item for item in of_kind(outcome["envelope"], "resource") if not item["removed"]]
    assert [item["id"] for item in left] == [str(foreign)]
    assert left[0]["commands"]
    assert [cleaned.state for cleaned in places.clean()] == ["incomplete"]
    (foreign / "precious").unlink()
    assert [cleaned.state for cleaned in places.clean()] == ["cleaned"]
    assert [cleaned.state for cleaned in places.clean()] == ["nothing_to_do"]
    report = json.loads((places.folders[0] / journal.REPORT).read_text())
    assert report["verdict"] == "failed" and all(item["removed"] for item in of_kind(report, "resource"))
    assert not Path(foreign).exists()
