"""The spine's figures, in one run, side by side: our switch and the naive one, refusals, the second deploy, the start.

    make bench-spine        # prints a table and writes reports/bench/spine.json

Takes the running lab down first, to measure its start, and leaves it up.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import kubernetes

from churnguard_lab import journey, naive, settings
from churnguard_lab.bench import FOLDER, conclude, conditions, figure, say, write

RESULT = FOLDER / "spine.json"
NAMESPACE = "churnguard-lab"
NAIVE_SECONDS = 30
#: The same release again, three times: the median is quoted.
NOOP_RUNS = 3


def main() -> int:
    try:
        measurements = measure()
    except journey.JourneyError as error:
        print(f"\nThe benchmark stopped: {error}", file=sys.stderr)
        return 1
    write(RESULT, {"conditions": conditions(pods=3, grace_period_s=45), "measurements": measurements})
    return conclude(measurements, RESULT)


def measure() -> list[dict[str, Any]]:
    """All measurements. Raises JourneyError when a part that has to pass does not."""
    name = journey.report_id()
    say("lab down, lab up")
    ended(journey.playbook("lab_down", name, quiet=True))
    lab_up = ended(journey.playbook("lab_up", name, quiet=True))
    lab = settings.load()
    journey.build_images(lab)
    say("v1")
    ended(journey.playbook("site", name, quiet=True))
    ended(journey.playbook("deploy", name, quiet=True, app_release_version="v1"))
    with journey.traffic(lab, name) as load:
        say("v2 under traffic")
        ended(journey.playbook("deploy", name, quiet=True, app_release_version="v2"))
        load.run_for(12_000 / journey.RATE + 3)
        say("v3, never ready, under traffic")
        journey.playbook("deploy", name, quiet=True, app_release_version="v3")
        load.stop()
    ended(journey.playbook("report", name, quiet=True))
    report = journey.read_report(name)
    say("v5, crashing")
    crash_refusal = crash_refusal_seconds(lab, name)
    say(f"v2 again, {NOOP_RUNS} times")
    again = [ended(journey.playbook("deploy", name, quiet=True, app_release_version="v2")) for _ in range(NOOP_RUNS)]
    say("the naive switch under the same traffic")
    dropped = naive.run(lab, rate=journey.RATE, seconds=NAIVE_SECONDS)
    switch = journey.rollout_of(report, "v2")["requests"]
    refusal = journey.rollout_of(report, "v3")["requests"]
    noop = sorted(run.seconds for run in again)[len(again) // 2]
    return [
        figure("switch_failed_requests", switch["failed"], "requests", 0),
        figure("switch_sent_requests", switch["sent"], "requests"),
        figure("load_failed_requests", report["load"]["failed"], "requests", 0),
        figure("load_sent_requests", report["load"]["sent"], "requests"),
        figure("naive_switch_failed_requests", dropped["failed"], "requests"),
        figure("naive_switch_sent_requests", dropped["sent"], "requests"),
        figure("refusal_failed_requests", refusal["failed"], "requests", 0),
        figure("crash_refusal_s", crash_refusal, "s", 15),
        figure("noop_deploy_s", noop, "s", 10),
        figure("noop_deploy_changed", max(run.changed for run in again), "tasks", 0),
        figure("lab_up_s", lab_up.seconds, "s", 60),
    ]


def ended(run: journey.Run) -> journey.Run:
    if run.returncode != 0:
        raise journey.JourneyError(f"a playbook failed that has to pass:\n{run.output[-3000:]}")
    return run


def crash_refusal_seconds(lab: settings.Settings, name: str) -> float:
    """Seconds from the API showing CrashLoopBackOff to the end of the playbook that shipped the crashing version."""
    seen: list[float] = []
    stop = threading.Event()
    watcher = threading.Thread(target=watch_crash, args=(lab, seen, stop), daemon=True)
    watcher.start()
    run = journey.playbook("deploy", name, quiet=True, app_release_version="v5")
    end = time.monotonic()
    stop.set()
    watcher.join()
    if run.returncode == 0 or not seen:
        raise journey.JourneyError(f"the crashing version was not refused for crashing:\n{run.output[-3000:]}")
    return end - seen[0]


def watch_crash(lab: settings.Settings, seen: list[float], stop: threading.Event) -> None:
    core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(lab.kubeconfig)))
    while not stop.wait(0.1) and not seen:
        for pod in core.list_namespaced_pod(NAMESPACE, label_selector="version=v5").items:
            for status in pod.status.container_statuses or []:
                if status.state.waiting and status.state.waiting.reason == "CrashLoopBackOff":
                    seen.append(time.monotonic())


if __name__ == "__main__":
    sys.exit(main())
