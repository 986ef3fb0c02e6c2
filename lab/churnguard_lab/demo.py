"""The demonstration: ship v1, then under live traffic ship v2 blue-green, see v3 refused and v4, a bad canary, taken
back; lose a database and get it back from its backups; end a part of the cache, be told of it and of its end; review
what the time brought; and check every expectation.

    make demo

Exits 0 only if all of them held. The lab stays up for exploring.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from churnguard_lab import alarm, journey, settings
from churnguard_lab.bench import columns
from churnguard_lab.load.ledger import INJECTED

#: Requests that have to cross the switch from v1 to v2 without one failing.
FEWEST_REQUESTS = 12_000
#: Of all requests while v4 is shipped; it never has more than 10 % of the traffic, and not for the whole time.
MOST_CANARY_SHARE = 0.12
DRILL = "database_loss"
ALERT = "RedisDown"
#: The lab's alert waits 10 s, Prometheus looks every 5 s, and Alertmanager tells at once.
TOLD_WITHIN_S = 120
#: Samples of the reviews, as often as the lab's Prometheus looks.
REVIEW_STEP_S = 5


def main() -> int:
    begin = time.monotonic()
    lab = settings.load()
    name = journey.report_id()
    journey.build_images(lab)
    try:
        act(lab, name)
        report = journey.read_report(name)
        failures = broken_expectations(report)
    except journey.JourneyError as error:
        print(f"\nThe demonstration stopped: {error}", file=sys.stderr)
        return 1
    print(closing(report, failures, time.monotonic() - begin))
    return 1 if failures else 0


def act(lab: settings.Settings, name: str) -> None:
    """The playbooks an engineer would run, with traffic beside them. Raises JourneyError."""
    say("Static parts of the environment: playbooks/site.yml")
    passing(journey.playbook("site", name))
    say("Ship v1: playbooks/deploy.yml -e app_release_version=v1")
    passing(journey.playbook("deploy", name, app_release_version="v1"))
    live = time.monotonic()
    say(f"Traffic starts: {journey.RATE} requests a second, whatever the answers do")
    with journey.traffic(lab, name) as load:
        say("Ship v2 while traffic runs: playbooks/deploy.yml -e app_release_version=v2")
        passing(journey.playbook("deploy", name, app_release_version="v2"))
        load.run_for(FEWEST_REQUESTS / journey.RATE + 3)
        say("Try v3, which never becomes ready: it has to be refused, with v2 untouched")
        refused(journey.playbook("deploy", name, app_release_version="v3"), "v3")
        say("Ship v4 as a canary: it fails every fifth request, and has to be taken back at 10 % of the traffic")
        refused(journey.playbook("deploy", name, app_release_version="v4", app_release_strategy="canary"), "v4")
        say("Traffic stops")
        load.stop()
    say(f"Lose a database and get it back: playbooks/dr_drill.yml -e dr_drill_scenario={DRILL}")
    passing(journey.playbook("dr_drill", name, dr_drill_scenario=DRILL))
    be_told(lab, name, live)


def be_told(lab: settings.Settings, name: str, live: float) -> None:
    """An alert that fires and is over, with the reviews beside it; the application is there since `live` (monotonic
    s). Raises JourneyError when nobody is told in time."""
    file, part = lab.log_dir / alarm.NOTIFICATIONS, alarm.follower(lab)
    say(f"End a part of the cache ({part}): somebody has to be told, and what to do")
    with alarm.ended(lab, part) as fault:
        fired = alarm.wait(file, ALERT, alarm.FIRING, fault, TOLD_WITHIN_S)
        print(fired.lines(fault), flush=True)
        mended = time.time()
    say("It runs again. While that gets round: playbooks/performance_review.yml")
    # Whole minutes in which the application was there.
    period = {"period": f"{max(2, int(time.monotonic() - live) // 60)}m", "step": REVIEW_STEP_S}
    review("performance_review", name, period)
    print(alarm.wait(file, ALERT, alarm.RESOLVED, fault, TOLD_WITHIN_S).lines(mended), flush=True)
    say("What the time brought, in plain words: playbooks/business_review.yml")
    review("business_review", name, period)


def review(playbook: str, name: str, options: dict[str, Any]) -> None:
    """A review that only looks: what it finds is in the report. Raises JourneyError when it cannot."""
    given = {f"{playbook}_{key}": value for key, value in {**options, "fail_on": []}.items()}
    passing(journey.playbook(playbook, name, **given))


def passing(run: journey.Run) -> None:
    if run.returncode != 0:
        raise journey.JourneyError("a playbook failed that has to pass; its message is above")


def refused(run: journey.Run, version: str) -> None:
    if run.returncode == 0:
        raise journey.JourneyError(f"{version} was not refused")


def broken_expectations(report: dict[str, Any]) -> list[str]:
    """What the report shows other than it should, in words; empty when all is well."""
    wanted = {"v1": "passed", "v2": "passed", "v3": "rolled_back", "v4": "rolled_back"}
    found = {version: journey.rollout_of(report, version) for version in wanted}
    broken = [
        f"{version} ended as {found[version]['verdict']}, expected {verdict}"
        for version, verdict in wanted.items()
        if found[version]["verdict"] != verdict
    ]
    for version in ("v2", "v3", "v4"):
        requests = found[version]["requests"]
        if requests["failed"] != 0:
            broken.append(f"{requests['failed']} of {requests['sent']} requests failed while {version} was shipped")
    if set(found["v3"]["requests"]["by_version"]) != {"v2"}:
        broken.append("other versions than v2 answered while v3 was refused")
    broken += broken_canary(found["v4"]["requests"])
    total = report["load"]
    if total["failed"] or total["sent"] < FEWEST_REQUESTS:
        broken.append(f"{total['failed']} of {total['sent']} requests failed in all, expected 0 of {FEWEST_REQUESTS}")
    return broken + broken_drill(report) + broken_alert(report)


def broken_canary(requests: dict[str, Any]) -> list[str]:
    """The same for the traffic beside v4: clients saw some of its errors, and v2 served nearly everything."""
    broken = []
    served = requests["by_version"]
    if set(served) != {"v2", "v4"} or served["v4"] > MOST_CANARY_SHARE * requests["sent"]:
        broken.append(f"v4 was to get a tenth of the traffic at most; the versions answered {served}")
    if not requests["outcomes"].get(INJECTED):
        broken.append("none of v4's errors was seen: it was not refused for them")
    return broken


def broken_drill(report: dict[str, Any]) -> list[str]:
    """The same for the drill: within its objectives, the rows compared, and nothing left behind."""
    drill = drill_of(report)
    broken = [] if drill["verdict"] == "passed" else [f"the drill ended as {drill['verdict']}, expected passed"]
    broken += [
        f"{goal['name']} of the drill is {goal['verdict']}, expected passed"
        for goal in drill["objectives"]
        if goal["verdict"] != "passed"
    ]
    if not (drill["integrity"] or {}).get("counts", {}).get("passed"):
        broken.append("the drill compared nothing in the copy")
    if drill["resources_left"]:
        broken.append(f"{drill['resources_left']} things of the drill were not seen gone")
    return broken


def broken_alert(report: dict[str, Any]) -> list[str]:
    """The same for the alert: told, over, told again, with a runbook that there is; and for the reviews."""
    one = alert_of(report)
    broken = [
        f"{ALERT}: the report does not know when {words}"
        for key, words in (("told", "somebody was told"), ("over", "it was over"), ("told_over", "its end was told"))
        if not one[key]
    ]
    page = alarm.runbook_page(one["runbook"] or "")
    if not page.is_file():
        broken.append(f"{ALERT} points to the runbook {one['runbook']}, and there is no {page}")
    for kind in ("reviews", "business"):
        if not report[kind]:
            broken.append(f"the report holds no review in {kind}")
    return broken


def alert_of(report: dict[str, Any]) -> dict[str, Any]:
    """The newest time at which the alert fired. Raises JourneyError when the report knows of none."""
    found = [one for one in (report["alerts"] or {"alerts": []})["alerts"] if one["name"] == ALERT]
    if not found:
        raise journey.JourneyError(f"the report holds no alert {ALERT}")
    return dict(found[-1])


def alert_rows(one: dict[str, Any]) -> list[tuple[str, ...]]:
    """The alert's part of the table at the end."""
    lasted = "-" if one["duration_s"] is None else f"{one['duration_s']:.0f} s"
    return [
        ("alert", "severity", "fired for", "runbook"),
        (one["name"], one["severity"], lasted, one["runbook"] or "-"),
    ]


def drill_of(report: dict[str, Any]) -> dict[str, Any]:
    """The drill in a report. Raises JourneyError when it has none."""
    for drill in report["drills"]:
        if drill["scenario"] == DRILL:
            return dict(drill)
    raise journey.JourneyError(f"the report holds no drill {DRILL}")


def drill_rows(drill: dict[str, Any]) -> list[tuple[str, ...]]:
    """The drill's part of the table at the end."""
    names = [goal["name"] for goal in drill["objectives"]]
    reached = [_of_limit(goal["value_s"], goal["limit_s"]) for goal in drill["objectives"]]
    checked = drill["integrity"]["counts"]["passed"] if drill["integrity"] else 0
    return [
        ("drill", "verdict", "seconds", *names, "writes lost", "checks passed"),
        (drill["scenario"], drill["verdict"], f"{drill['duration_s']:.1f}", *reached)
        + (_number(drill["lost_acked_writes"]), str(checked)),
    ]


def _of_limit(seconds: float | None, limit: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s" + ("" if limit is None else f" of {limit:.0f} s")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def closing(report: dict[str, Any], failures: Sequence[str], seconds: float) -> str:
    """The table at the end."""
    rows = [("version", "strategy", "verdict", "seconds", "requests", "failed", "injected errors")]
    for rollout in report["rollouts"]:
        requests = {key: "-" if value is None else value for key, value in rollout["requests"].items()}
        injected = requests["outcomes"].get(INJECTED, 0) if requests["sent"] != "-" else "-"
        rows.append(
            (
                rollout["version"],
                rollout["strategy"],
                rollout["verdict"],
                f"{rollout['duration_s']:.1f}",
                str(requests["sent"]),
                str(requests["failed"]),
                str(injected),
            )
        )
    lines = [
        "",
        columns(rows),
        "",
        columns(drill_rows(drill_of(report))),
        "",
        columns(alert_rows(alert_of(report))),
        "",
    ]
    lines += [f"NOT AS EXPECTED: {failure}" for failure in failures] or ["Every expectation held."]
    page = journey.report_path() / "index.html"
    lines += [f"{seconds:.0f} s in all. Report: {page}", "The lab is up: make lab-down ends it.", ""]
    return "\n".join(lines)


def say(text: str) -> None:
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
