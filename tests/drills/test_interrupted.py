"""kill -9 of a drill at every point of its journal: the cleanup finishes it from the journal alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from ansible_collections.churnguard.ops.plugins.module_utils._drill import history, journal

#: More than the toy drill looks at the clock: twice for most lines of its journal.
POINTS = 90


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def clean_up(places) -> tuple[str, list[str]]:
    """The phase in which the drill died, and what is wrong after it was cleaned up twice."""
    if not places.folders:
        return "start", places.left()
    folder = places.folders[0]
    entries = journal.read(folder / journal.FILE)
    phase = entries[-1].phase if entries else ""
    wrong = [cleaned.state for cleaned in places.clean() if cleaned.state not in ("cleaned", "nothing_to_do")]
    wrong += places.left()
    before = content(places.drills_dir)
    wrong += [f"second cleanup: {again.state}" for again in places.clean() if again.changed]
    if content(places.drills_dir) != before:
        wrong.append("the second cleanup wrote something")
    told = [line["verdict"] for line in history.read(places.drills_dir)]
    report = json.loads((folder / journal.REPORT).read_text())
    if told != [report["verdict"]] or report["verdict"] not in ("aborted", "passed"):
        wrong.append(f"the history says {told}, the report {report['verdict']}")
    if report["verdict"] == "passed" and phase != "cleanup":
        wrong.append(f"passed, although it was killed in {phase}")
    if any(entry["kind"] == "resource" and not entry["removed"] for entry in report["evidence"]):
        wrong.append("the report has a resource that is still there")
    return phase or "start", wrong


def test_a_drill_killed_anywhere_is_finished_by_the_cleanup(toy):
    places = [toy(str(n)) for n in range(1, POINTS + 1)]
    wanted = [place.options(die_at=n) for n, place in enumerate(places, 1)]
    driver = Path(__file__).with_name("driver.py")
    command = [sys.executable, str(driver), json.dumps(wanted)]
    codes = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    ended = codes.index(0)
    assert codes == [-signal.SIGKILL] * ended + [0] * (POINTS - ended), "it dies at every point, up to its end"
    seen: dict[str, int] = {}
    for n, place in enumerate(places[:ended], 1):
        phase, wrong = clean_up(place)
        assert wrong == [], f"killed at point {n}, in {phase}"
        seen[phase] = seen.get(phase, 0) + 1
    assert set(seen) >= {"preflight", "prepare", "fault", "detect", "recover", "verify", "accept", "cleanup"}
