"""Sample drills for tests of the report: a database that is lost and restored within its objectives, one whose backup
is broken and whose RPO is missed, the history of both scenarios, and the backup catalog; beside them the judging of two
services.

    python tests/report/sample_data.py FOLDER --drills --render

writes FOLDER/envelopes and FOLDER/drills (history.jsonl, and a ledger for each of the two drills).
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from sample_data import START, event, iso, measurement, timeline

DAY = 86400.0
GOOD_ID = "database_loss-20261121t193300Z-4f1c"
BAD_ID = "backup_corruption-20261121t195000Z-a90e"
BAD_BEGIN = 1020.0
TABLES = ("customers", "features", "models", "prediction_feedback", "predictions", "training_runs")
CHECKS = ("rows", "content")


def clock(name: str, at: float, fault: float) -> dict[str, Any]:
    """One moment."""
    return {"kind": "clock", "name": name, "at": iso(at), "after_fault_s": round(at - fault, 3)}


def phase_events(phases: list[tuple[str, float, float]], failed: str = "") -> list[dict[str, Any]]:
    """Begin and end of each phase; C(failed) is the reason of the last but one, if it failed."""
    events = []
    for number, (name, begin, end) in enumerate(phases):
        broken = failed and number == len(phases) - 2
        events.append(event(begin, "step_started", name))
        events.append(event(end, "failed" if broken else "step_done", f"{name}: {failed}" if broken else name))
    return events


def phase_evidence(phases: list[tuple[str, float, float]]) -> list[dict[str, Any]]:
    """What each phase took by the stopwatch."""
    return [{"kind": "phase", "name": name, "seconds": round(end - begin, 3)} for name, begin, end in phases]


def recovery(phases: list[tuple[str, float, float]], marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What phases and steps took between the fault and the acceptance."""
    begin, end = marks[0]["after_fault_s"], marks[-1]["after_fault_s"]
    fault = next(at for name, at, _end in phases if name == "fault")
    found = []
    for name, started, ended in phases:
        seconds = min(ended - fault, end) - max(started - fault, begin)
        if seconds > 0:
            found.append(measurement(f"phase_{name}_s", round(seconds, 3), "s", None, "not_checked"))
    for before, mark in zip(marks, marks[1:], strict=False):
        seconds = round(mark["after_fault_s"] - before["after_fault_s"], 3)
        found.append(measurement(f"step_{mark['name'].removeprefix('t_')}_s", seconds, "s", None, "not_checked"))
    return [*found, measurement("unaccounted_s", 0.004, "s", 0.1, "passed")]


def check(name: str, subject: str, verdict: str = "passed", **more: Any) -> dict[str, Any]:
    """One cell of the integrity matrix."""
    entry = {"name": name, "subject": subject, "verdict": verdict, "reason": "", "expected": None, "actual": None}
    return {**entry, "seconds": 0.041, "differences": [], **more}


def matrix(broken: bool = False) -> list[dict[str, Any]]:
    """Rows and content of each table, and what belongs to the whole database."""
    checks = []
    for number, table in enumerate(TABLES):
        rows = 1200 * (number + 1) ** 3
        checks.append(check("rows", f"public.{table}", expected=rows, actual=rows, seconds=0.012 * (number + 1)))
        checks.append(check("content", f"public.{table}", expected="9f3c" * 8, actual="9f3c" * 8, seconds=0.3 + number))
        checks.append(check("sequences", f"public.{table}", expected=rows + 33, actual=rows + 33, seconds=0.001))
    for name in ("catalog", "roles", "settings", "extensions", "foreign_keys"):
        checks.append(check(name, ""))
    checks.append(
        check("amcheck", "", "skipped", reason="extension amcheck is not installed on the target", seconds=None)
    )
    if broken:
        checks[1].update(
            verdict="failed", actual="17aa" * 8, reason="3 rows differ, 1 is missing",
            differences=[{"key": key, "expected": "Ada", "actual": None} for key in range(411, 418)],
        )  # fmt: skip
    return checks


def resource(kind: str, name: str, created: float, removed: float | None, proof: str) -> dict[str, Any]:
    """Something the drill made."""
    gone = None if removed is None else iso(removed)
    return {"kind": "resource", "type": kind, "id": name, "created": iso(created), "removed": gone, "proof": proof}


def preflight(name: str, verdict: str, reason: str) -> dict[str, Any]:
    """One interlock."""
    return {"kind": "preflight", "name": name, "verdict": verdict, "reason": reason}


def drill(drill_id: str, span: tuple[float, float], verdict: str, **parts: Any) -> dict[str, Any]:
    """An envelope of the operation dr_drill."""
    subject = {
        "scenario": drill_id.split("-", 1)[0],
        "component": "database",
        "drill_id": drill_id,
        "source": "lab PostgreSQL 127.0.0.1:15432",
        "target": "throwaway cluster 127.0.0.1:40811",
        "environment": "lab",
    }
    started, finished = iso(span[0]), iso(span[1])
    base = {"operation": "dr_drill", "subject": subject, "started": started, "finished": finished}
    return {**base, "verdict": verdict, "changed": True, **parts}


def recovered() -> dict[str, Any]:
    """The database is killed with its folder, and comes back from the last backup and its WAL."""
    phases = [
        ("preflight", 0.2, 1.4), ("prepare", 1.4, 20.0), ("fault", 20.0, 20.6), ("detect", 20.6, 24.1),
        ("recover", 24.1, 49.9), ("verify", 49.9, 61.0), ("accept", 61.0, 62.1), ("cleanup", 62.1, 66.3),
    ]  # fmt: skip
    names = {
        "t_fault": 20.0, "t_detect": 24.1, "t_declare": 24.3, "t_point_chosen": 25.2, "t_infra_ready": 26.0,
        "t_files": 38.4, "t_consistent": 41.7, "t_promoted": 49.9, "t_verified": 61.0, "t_accept": 62.1,
    }  # fmt: skip
    marks = [clock(name, at, 20.0) for name, at in names.items()]
    return drill(
        GOOD_ID, (0.0, 66.5), "passed", reasons=[],
        timeline=timeline(
            event(0.1, "drill", "database_loss of lab PostgreSQL 127.0.0.1:15432"),
            *phase_events(phases),
            *[event(at, "clock", name) for name, at in names.items()],
            event(3.0, "note", "the ledger writes 10 rows/s"),
            event(66.4, "completed", "the drill has passed"),
        ),
        measurements=[
            measurement("rto_s", 42.1, "s", 1800, "passed"),
            measurement("rpo_s", 0.087, "s", 900, "passed"),
            measurement("lost_acked_writes", 0, "writes", 0, "passed"),
            measurement("outage_s", 42.1, "s", None, "not_checked"),
            measurement("technical_rto_s", 37.8, "s", None, "not_checked"),
            *recovery(phases, marks),
        ],
        evidence=[
            preflight("confirmation", "passed", "lab asks for none"),
            preflight("alerts", "not_checked", "no Prometheus was given"),
            preflight("backup_running", "passed", "no backup is under way"),
            preflight("disk", "passed", "41.2 GB free, 0.9 GB needed"),
            {"kind": "backup", "label": "20261121-180000F_20261121-190000I", "type": "incr", "finished": iso(-1985.0),
             "age_s": 2005.0, "size_bytes": 612_334_112, "selection": "the newest whose WAL reaches the fault"},
            {"kind": "ledger", "written": 622, "acked": 201, "acked_before_fault": 170, "survived": 170, "lost": 0,
             "lost_ids": [], "window_s": 0.0},
            {"kind": "integrity", "checks": matrix(), "verdict": "passed"},
            *marks,
            *phase_evidence(phases),
            resource("directory", "/srv/drills/4f1c/data", 1.6, 65.8, "the folder is not there"),
            resource("postgresql", "127.0.0.1:40811", 25.9, 64.0, "no process holds the port"),
        ],
    )  # fmt: skip


def missed() -> dict[str, Any]:
    """The newest backup is broken, the one before it is too old, and a table came back wrong."""
    begin = BAD_BEGIN
    phases = [
        (name, begin + first, begin + last)
        for name, first, last in (
            ("preflight", 0.2, 1.1), ("prepare", 1.1, 30.0), ("fault", 30.0, 31.0), ("detect", 31.0, 34.0),
            ("recover", 34.0, 71.0), ("verify", 71.0, 83.0), ("cleanup", 83.0, 88.0),
        )
    ]  # fmt: skip
    fault = begin + 30.0
    marks = [clock("t_fault", fault, fault), clock("t_detect", fault + 4, fault), clock("t_files", fault + 30, fault)]
    marks += [clock("t_promoted", fault + 41, fault)]
    reasons = [
        "rpo_s is 1260.0 s, over its limit of 900 s.",
        "integrity failed: content of public.customers differs.",
        "postgresql 127.0.0.1:40811 could not be removed.",
    ]
    return drill(
        BAD_ID, (begin, begin + 89.0), "failed", reasons=reasons,
        timeline=timeline(
            event(begin + 0.1, "drill", "backup_corruption of lab PostgreSQL 127.0.0.1:15432"),
            *phase_events(phases, "content of public.customers differs"),
            event(begin + 88.9, "failed", reasons[0]),
        ),
        measurements=[
            measurement("rto_s", None, "s", 1800, "not_checked", "the drill ended before the data was accepted"),
            measurement("rpo_s", 1260.0, "s", 900, "failed"),
            measurement("lost_acked_writes", 94, "writes", 0, "failed"),
            measurement("outage_s", None, "s", None, "not_checked"),
        ],
        evidence=[
            preflight("confirmation", "passed", "lab asks for none"),
            preflight("disk", "passed", "41.2 GB free, 0.9 GB needed"),
            {"kind": "backup", "label": "20261121-180000F", "type": "full", "finished": iso(-5400.0), "age_s": 6450.0,
             "size_bytes": 598_002_112, "selection": "the newest that verify finds whole; 1 newer is broken"},
            {"kind": "ledger", "written": 301, "acked": 287, "acked_before_fault": 287, "survived": 193, "lost": 94,
             "lost_ids": list(range(194, 214)), "window_s": 9.4},
            {"kind": "integrity", "checks": matrix(broken=True), "verdict": "failed"},
            *marks,
            *phase_evidence(phases),
            resource("directory", "/srv/drills/a90e/data", begin + 1.6, begin + 87.0, "the folder is not there"),
            resource("postgresql", "127.0.0.1:40811", begin + 34.2, None,
                     "Could not remove it: process 4711 does not end."),
        ],
    )  # fmt: skip


def catalog() -> dict[str, Any]:
    """The backups as they stand."""

    def row(component: str, number: int, state: str, **more: Any) -> dict[str, Any]:
        age = 1985.0 + 3600 * number
        base = {"component": component, "provider": "pgbackrest", "id": f"20261121-{19 - number:02d}0000I",
                "type": "incr", "finished": iso(-age), "age_s": age, "size_bytes": 612_334_112 - 9_000_000 * number,
                "encrypted": True, "location": "local repository", "copy": False, "verified_at": iso(-900.0),
                "drill_passed_at": iso(0.0) if number == 0 else None, "state": state, "detail": ""}  # fmt: skip
        return {**base, **more}

    gone = dict.fromkeys(("id", "type", "finished", "age_s", "size_bytes", "encrypted", "verified_at"))
    backups = [row("database", number, "ok") for number in range(6)]
    backups += [
        row("application_data", 1, "unverified", provider="export", type="full", encrypted=None, verified_at=None),
        row("configuration", 0, "missing", provider="bucket", location="eu-west-1", copy=True, **gone),
        row("database", 30, "stale", provider="rds", location="eu-west-1", copy=True, id="rds:snap-0b17"),
    ]
    problems = [
        {"component": "configuration", "provider": "bucket", "location": "eu-west-1", "name": "existence",
         "verdict": "failed", "detail": "none of 0 backups can be used", "state": "missing", "value": 0, "limit": 1},
        {"component": "database", "provider": "rds", "location": "eu-west-1", "name": "freshness", "verdict": "failed",
         "detail": "the newest, rds:snap-0b17, is 30.6 h old", "state": "stale", "value": 109985, "limit": 7200},
    ]  # fmt: skip
    return {
        "operation": "backup_catalog_info",
        "subject": {},
        "started": iso(1200.0),
        "finished": iso(1201.0),
        "verdict": "failed",
        "changed": False,
        "timeline": [],
        "measurements": [
            measurement("backup_age_s", 1985.0, "s", 7200, "passed", "database in local repository"),
            measurement("backup_age_s", 109985.0, "s", 7200, "failed", "database in eu-west-1"),
        ],
        "evidence": [{"kind": "backup_catalog", "backups": backups, "problems": problems}],
    }


def look(at: float, subject: str, number: int, verdict: str, errors: float, **more: Any) -> dict[str, Any]:
    """One look of a gate."""
    result = {"name": "error_ratio", "kind": "ratio", "verdict": verdict, "decisive": False, "value": errors,
              "stable_value": None, "limit": 0.01, "n": 400 * number, "n_stable": 0, "p_value": None,
              "window_s": 60.0}  # fmt: skip
    latency = {**result, "name": "latency_p99", "kind": "latency", "verdict": "good", "limit": 2.0, "value": 0.031}
    results = [{**result, **more}, latency]
    data = {"subject": subject, "step": f"look {number}", "verdict": verdict, "results": results,
            "reason": f"error_ratio {100 * errors:.2g} % of {400 * number} requests (limit 1 %)",
            "decisive": bool(more.get("decisive")), "cause": "", "left_s": 60.0, "troubled_s": None}  # fmt: skip
    return event(at, "sample", f"{subject} {verdict}", **data)


def judged() -> dict[str, Any]:
    """Two services after a maintenance; one fails its users beyond doubt."""
    begin = 1300.0
    good, bad = "shop/catalog (v4)", "shop/checkout (v9)"
    looks = [look(begin + 30 * number, good, number, "good", 0.001 * number) for number in range(1, 6)]
    looks += [
        look(begin + 30, bad, 1, "good", 0.004),
        look(begin + 60, bad, 2, "bad", 0.014, p_value=0.04),
        look(begin + 90, bad, 3, "bad", 0.09, decisive=True, p_value=1.2e-31),
    ]
    reason = "error_ratio 9 % of 1200 requests (limit 1 %), 108 of 1200 requests beyond the limit, beyond doubt"

    def kept(subject: str) -> list[dict[str, Any]]:
        mine = [one for one in looks if one["data"]["subject"] == subject]
        query = 'sum by (pod) (churnguard_requests_total{app="%s",status_code=~"5.."})'
        more = {"query": query % subject.split("/")[1].split(" ")[0], "reason": ""}
        return [
            {"at": one["at"], **one["data"], "results": [{**result, **more} for result in one["data"]["results"]]}
            for one in mine
        ]

    services = [("catalog", "v4", good, "passed", "error_ratio 0.5 % of 2000 requests (limit 1 %)")]
    services += [("checkout", "v9", bad, "failed", reason)]
    return {
        "operation": "metric_gate",
        "subject": {"services": [], "prometheus_url": "http://127.0.0.1:19090"},
        "started": iso(begin),
        "finished": iso(begin + 151),
        "verdict": "failed",
        "changed": False,
        "timeline": timeline(event(begin, "judging", "2 services by error_ratio, latency_p99"), *looks),
        "measurements": [measurement("late_looks", 0, "looks", None, "not_checked")],
        "evidence": [
            {"subject": {"name": name, "namespace": "shop", "slot": "", "version": version}, "verdict": verdict,
             "reason": why, "samples": kept(subject)}
            for name, version, subject, verdict, why in services
        ],
    }  # fmt: skip


def envelopes() -> list[dict[str, Any]]:
    """All of it, oldest first."""
    return [recovered(), missed(), catalog(), judged()]


def history(seed: int = 11) -> list[str]:
    """Lines of the history: weekly drills of one scenario that got faster, and a few of another."""
    rng = random.Random(seed)
    lines = []
    for week in range(26, 0, -1):
        verdict = "failed" if week in (19, 8) else "aborted" if week == 13 else "passed"
        rto = None if verdict == "aborted" else round(38 + week * 4.5 + rng.random() * 20, 1)
        rpo = None if verdict == "aborted" else round(rng.random() * 2 + (940 if week == 19 else 0), 3)
        lines.append(("database_loss", -week * 7 * DAY, verdict, rto, rpo, 4 if week == 8 else 0, 1800, 900))
    for month in range(4, 0, -1):
        lines.append(("cache_failover", -month * 30 * DAY, "passed", 9.1 + month, 0.4, 2, 300, None))
    lines.append(("database_loss", 0.0, "passed", 42.1, 0.087, 0, 1800, 900))
    lines.append(("backup_corruption", BAD_BEGIN, "failed", None, 1260.0, 94, 1800, 900))
    keys = ("scenario", "started", "verdict", "rto_s", "rpo_s", "lost_acked_writes", "rto_limit_s", "rpo_limit_s")
    found = []
    for number, line in enumerate(lines):
        entry = dict(zip(keys, line, strict=True))
        entry["started"] = iso(entry["started"])
        identifier = f"{entry['scenario']}-{number:04x}"
        component = "cache" if entry["scenario"] == "cache_failover" else "database"
        found.append(json.dumps({"drill_id": identifier, "component": component, **entry}))
    return found


def ledger(begin: float, count: int, outage: tuple[float, float] | None) -> list[str]:
    """Lines of a drill's ledger: ten writes a second, none in the outage."""
    lines = []
    for seq in range(1, count + 1):
        at = begin + 3.0 + seq / 10
        if outage and outage[0] <= at < outage[1]:
            continue
        lines.append(json.dumps({"seq": seq, "sent_at": START + at, "acked_at": round(START + at + 0.004, 6)}))
    return lines


def write(folder: Path) -> None:
    """History and ledgers below C(folder)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.jsonl").write_text("\n".join(history()) + "\n", encoding="utf-8")
    for name, lines in (
        (GOOD_ID, ledger(0.0, 622, (20.0, 62.1))),
        (BAD_ID, ledger(BAD_BEGIN - 1.7, 287, None)),
    ):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "ledger.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
