"""kill -9 of real drills in each of their phases, and what the cleanup makes of the journals that they left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churnguard_lab import journey
from churnguard_lab.bench import figure, say
from churnguard_lab.recovery import cache_bench, database_bench, tested
from churnguard_lab.recovery.database_bench import Stage
from churnguard_lab.recovery.drilling import Drill

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock  # isort: skip
from ansible_collections.churnguard.ops.plugins.module_utils._drill import (  # isort: skip
    cleanup,
    history,
    journal,
    processes,
)

#: Where in a phase it is struck. A phase of some milliseconds is over before the half of it: then sooner.
_MOMENTS = (0.5, 0.25, 0.0)
_LOOK_S = 0.002
_LONGEST_S = 300.0
_DATABASE = {"ledger": {"seconds": 2, "rate": 20}}


@dataclass(frozen=True)
class Strike:
    """One killed drill: the phase it died in, and what was wrong when it had been cleaned up."""

    phase: str
    problems: list[str]


def interrupted_drills() -> list[dict[str, Any]]:
    """Drills of a database and of a cache, killed and cleaned up. Raises RuntimeError when a phase is never struck."""
    struck = [*_databases(), *_caches()]
    cleaned = sum(not strike.problems for strike in struck)
    return [
        figure("interrupted_drills_cleaned", cleaned, "drills", len(struck), at_least=True),
        figure("interrupted_drills_total", len(struck), "drills"),
    ]


def _databases() -> list[Strike]:
    with database_bench.stage() as scene:
        drill = scene.loss(**_DATABASE)
        say("database_loss, whole, for the lengths of its phases")
        try:
            lengths = drill.run().phases()
        finally:
            scene.mend()
        rows = _row_counts(scene)
        return _strike_all(drill, lengths, lambda folder: _wrong_with_database(scene, folder, rows))


def _caches() -> list[Strike]:
    with tempfile.TemporaryDirectory(prefix="churnguard-bench-") as place, cache_bench.group() as cache:
        options = cache.options(fault="link_stall", fault_seconds=0.5, steady_seconds=0.5)
        drill = Drill("cache_failover", options, {}, Path(place) / "drills")
        say("cache_failover, whole, for the lengths of its phases")
        lengths = drill.run().phases()
        return _strike_all(drill, lengths, lambda folder: _wrong_with_cache(cache, folder))


def _strike_all(drill: Drill, lengths: dict[str, float], look: Callable[[Path], list[str]]) -> list[Strike]:
    """Strike in every phase, and clean up after each; `look` says what is wrong then."""
    struck: list[Strike] = []
    for phase, seconds in lengths.items():
        for moment in _MOMENTS:
            found = _strike(drill, phase, seconds * moment, look)
            if found is not None:
                struck.append(found)
                print(f"    {drill.scenario}, killed in {found.phase}: {found.problems or 'nothing left'}", flush=True)
                if found.phase == phase:
                    break
    missed = set(lengths) - {strike.phase for strike in struck}
    if missed:
        raise RuntimeError(f"no drill of {drill.scenario} was killed in {', '.join(sorted(missed))}")
    return struck


def _strike(drill: Drill, phase: str, delay: float, look: Callable[[Path], list[str]]) -> Strike | None:
    """One drill, killed so long after its phase began; None when it ended before."""
    known = set(journal.drills(drill.drills_dir))
    with tempfile.TemporaryDirectory(prefix="churnguard-bench-", dir="/var/tmp") as temporary:
        # Its temporary files have to be gone, too; PostgreSQL's user reads some of them.
        Path(temporary).chmod(0o711)
        process = _start(drill, temporary)
        try:
            folder = _await_phase(drill.drills_dir, known, phase, process)
            time.sleep(delay)
        finally:
            process.kill()
            ended = process.wait()
        if ended == 0:
            look(folder)
            return None
        entries = journal.read(folder / journal.FILE)
        problems = _clean(drill, folder) + look(folder)
        problems += [f"{path} is left" for path in Path(temporary).iterdir()]
    return Strike(entries[-1].phase, problems)


def _start(drill: Drill, temporary: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "churnguard_lab.recovery.drilling"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(journey.REPOSITORY / "lab"), "TMPDIR": temporary},
    )
    assert process.stdin is not None
    process.stdin.write(drill.as_json())
    process.stdin.close()
    return process


def _await_phase(drills_dir: Path, known: set[Path], phase: str, process: subprocess.Popen[str]) -> Path:
    """The folder of the drill once it is in its phase. Raises RuntimeError when it never is."""
    give_up = time.monotonic() + _LONGEST_S
    while time.monotonic() < give_up:
        for folder in set(journal.drills(drills_dir)) - known:
            entries = journal.read(folder / journal.FILE)
            if any((entry.event, entry.phase) == (journal.PHASE_STARTED, phase) for entry in entries):
                return folder
        if process.poll() is not None:
            assert process.stderr is not None
            raise RuntimeError(f"a drill ended before it was in {phase}: {process.stderr.read()[-2000:]}")
        time.sleep(_LOOK_S)
    raise RuntimeError(f"a drill was not in {phase} after {_LONGEST_S:.0f} s")


def _clean(drill: Drill, folder: Path) -> list[str]:
    """Finish it from its journal alone, twice; what is wrong with that."""
    first = cleanup.finish(folder, Clock(), drill.secrets, lambda text: None)
    again = cleanup.finish(folder, Clock(), drill.secrets, lambda text: None)
    told = [line["verdict"] for line in history.read(drill.drills_dir) if line["drill_id"] == folder.name]
    problems = [] if first.state == cleanup.CLEANED else [f"the cleanup answers {first.state}: {first.left}"]
    problems += [] if again.state == cleanup.NOTHING else [f"the second cleanup answers {again.state}"]
    problems += [] if told == ["aborted"] else [f"the history has {told}"]
    return problems + [f"{process.words()} runs" for process in processes.marked(folder.name)]


def _wrong_with_database(scene: Stage, folder: Path, rows: list[tuple[Any, ...]]) -> list[str]:
    """What of the drill is left in the scratch folder, and whether the source is whole."""
    data_dir = scene.cluster.data_dir
    problems = [f"{path} is left" for path in scene.scratch.iterdir()]
    problems += [f"{process.words()} runs" for process in processes.using(scene.scratch)]
    problems += [f"{path} is left" for path in data_dir.parent.glob(f"{data_dir.name}.*{folder.name}*")]
    if not data_dir.is_dir():
        return [*problems, f"{data_dir} is not in its place"]
    scene.mend()
    return problems if _row_counts(scene) == rows else [*problems, "the source has other rows"]


def _row_counts(scene: Stage) -> list[tuple[Any, ...]]:
    return scene.ask("SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM predictions)")


def _wrong_with_cache(cache: tested.RedisGroup, folder: Path) -> list[str]:
    """What of the drill is left in the cache, and whether it is as it was."""
    give_up = time.monotonic() + 60
    while not (steady := cache.group.look_for_steady()).done and time.monotonic() < give_up:
        time.sleep(0.1)
    if not steady.done:
        return [f"the cache is not steady: {steady.detail}"]
    primary = cache.group.primary()
    problems = [] if str(primary) == cache.primary else [f"the primary is {primary}"]
    client = cache_bench.api.connect(primary, cache.group.access)
    try:
        return problems + [f"key {key!r} is left" for key in client.keys(f"churnguard:drill:{folder.name}*")]
    finally:
        client.close()
