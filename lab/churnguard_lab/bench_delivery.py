"""The figures of progressive delivery, in one run or part by part, side by side with other ways to decide.

    make bench-delivery                                          # everything, some 90 minutes
    python -m churnguard_lab.bench_delivery --releases 2         # the short form
    python -m churnguard_lab.bench_delivery --only bad --resume  # one part; those done before stay

Prints a table and writes reports/bench/delivery.json. What has been seen is kept there after every release, so that a
run that was broken off goes on with `--resume`. Exits 1 when a limit is broken. The lab must be up.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from churnguard_lab import bench, journey, settings
from churnguard_lab.bench import say
from churnguard_lab.delivery import api, kills, loops, stage, verdict

RESULT = bench.FOLDER / "delivery.json"
PARTS = ("judge", "bad", "loops", "good", "kill")
#: Of the releases of each kind, so many are of the real application, by the playbook.
REAL_RELEASES = 2
RELEASES = 20
#: One canary held for several loops to look at takes 40 s of bad answers; five show how much the ratio varies.
SHOWS = 5


#: Simulated releases of each scenario for the judge's shares.
JUDGED_RUNS = 500


class Bench:
    """What has been seen so far, kept in the result file after every piece."""

    def __init__(self, lab: settings.Settings, releases: int, resume: bool, parts: Sequence[str]) -> None:
        self._lab = lab
        self._releases = releases
        self._document = _read() if RESULT.exists() else {}
        self.runs: dict[str, Any] = self._document.get("runs", {})
        self._taken: dict[str, Any] = self._document.get("conditions", {}).get("parts", {})
        for part in parts:
            if not resume:
                self.runs.pop(part, None)

    def run(self, part: str) -> None:
        """One part, from where it stands. Raises JourneyError."""
        runners: dict[str, Callable[[], None]] = {
            "good": lambda: self._ship("good"),
            "bad": lambda: self._ship("bad"),
            "loops": self._compare,
            "kill": self._strike,
            "judge": self._judge,
        }
        self._taken[part] = bench.conditions(load_1min_at_begin=_machine_load())
        runners[part]()

    def save(self) -> list[dict[str, Any]]:
        """Write what there is; the measurements."""
        found = verdict.measurements(self.runs)
        conditions = bench.conditions(releases=self._releases, profile=stage.PROFILE, parts=self._taken)
        bench.write(RESULT, {"conditions": conditions, "measurements": found, "runs": self.runs})
        return found

    def _ship(self, part: str) -> None:
        """Canaries one after the other, the real application's at the end."""
        done: list[dict[str, Any]] = self.runs.setdefault(part, [])
        real = min(REAL_RELEASES, self._releases // 2)
        light = self._releases - real
        if len(done) < light:
            with stage.Stage(self._lab) as scene:
                while len(done) < light:
                    version = scene.next_good() if part == "good" else stage.BAD
                    self._keep(part, scene.ship(version, f"{part}-{len(done) + 1}"))
        if len(done) < self._releases:
            application = api.RealApplication(self._lab)
            application.install()
            while len(done) < self._releases:
                self._keep(part, application.ship(part == "bad"))

    def _compare(self) -> None:
        done: list[dict[str, Any]] = self.runs.setdefault("loops", [])
        shows = min(SHOWS, self._releases)
        if len(done) < shows:
            with stage.Stage(self._lab) as scene:
                while len(done) < shows:
                    self._keep("loops", loops.run(scene, f"loops-{len(done) + 1}"))

    def _strike(self) -> None:
        if "kill" not in self.runs:
            most = None if self._releases >= RELEASES else self._releases * 4
            self.runs["kill"] = kills.run(self._lab, most)
            self._tell("kill", self.runs["kill"])

    def _judge(self) -> None:
        if "judge" not in self.runs:
            # Imported here: they take seconds and are this part's alone.
            from churnguard_lab import bench_gate, bench_judge

            runs = JUDGED_RUNS if self._releases >= RELEASES else JUDGED_RUNS * self._releases // RELEASES
            self.runs["judge"] = [*bench_judge.measure(runs), *bench_gate.measure()]
            self.save()

    def _keep(self, part: str, said: dict[str, Any]) -> None:
        self.runs[part].append(said)
        self._tell(part, said)

    def _tell(self, part: str, said: dict[str, Any]) -> None:
        shown = {key: said[key] for key in _SHOWN if key in said}
        print(f"    {part} {json.dumps(shown)}", flush=True)
        self.save()


_SHOWN = (
    "application",
    "verdict",
    "seconds",
    "sent",
    "failed",
    "injected",
    "looks_to_decision",
    "off_s",
    "total_s",
    "loops",
    "total",
    "recovered",
    "problems",
    "failures",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    options = _parser().parse_args(arguments)
    parts = [part for part in PARTS if part in (options.only or PARTS)]
    done = Bench(settings.load(), options.releases, options.resume, parts)
    try:
        for part in parts:
            say(part)
            done.run(part)
    except (journey.JourneyError, AssertionError) as error:
        print(f"\nThe benchmark stopped: {error}\nWhat was seen is kept: --resume goes on.", file=sys.stderr)
        return 1
    return bench.conclude(done.save(), RESULT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="churnguard_lab.bench_delivery", description="Figures of canary releases.")
    parser.add_argument("--releases", type=int, default=RELEASES, help="of each kind, good and bad (%(default)s)")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be given again")
    parser.add_argument("--resume", action="store_true", help="go on where the last run of these parts was broken off")
    return parser


def _read() -> dict[str, Any]:
    return dict(json.loads(RESULT.read_text(encoding="utf-8")))


def _machine_load() -> float:
    with open("/proc/loadavg", encoding="utf-8") as file:
        return float(file.read().split()[0])


if __name__ == "__main__":
    sys.exit(main())
