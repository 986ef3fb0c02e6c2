"""The application that the benchmark ships again and again: its own namespace, two good versions that take turns, a bad
one, and traffic beside each release. Its parts are those of the live tests."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from churnguard_lab import journey
from churnguard_lab.delivery import facts
from churnguard_lab.load import ledger
from churnguard_lab.settings import LOOPBACK, Settings

for _folder in ("tests/live", "collections"):
    sys.path.append(str(journey.REPOSITORY / _folder))

from processes import ModuleProcess  # noqa: E402
from world import World  # noqa: E402

GOOD = ("even", "odd")
BAD = "bad"
ERROR_RATIO = 0.2
REPLICAS = 2
INTERVAL_S = 10
WEIGHTS = (10, 25, 50, 75, 100)
HOLD_S = 15
BAKE_S = 10
MAX_HOLD_S = 60
#: A release at this pace takes some two minutes; one that takes this long is stuck.
LONGEST_RELEASE_S = 600
#: Traffic before and after each release, so that its first and last moment are under load.
_BEFORE_S, _AFTER_S = 2.0, 2.0

PROFILE = {
    "interval_s": INTERVAL_S,
    "weights": list(WEIGHTS),
    "hold_s": HOLD_S,
    "bake_s": BAKE_S,
    "max_hold_s": MAX_HOLD_S,
    "scrape_s": 5,
    "pods_per_slot": REPLICAS,
    "slow_share": 0.01,
    "slow_request_s": 5,
    "bad_error_ratio": ERROR_RATIO,
}


class Stage:
    """The application under test, with `GOOD[0]` live at the beginning."""

    def __init__(self, lab: Settings) -> None:
        self.lab = lab
        self.world = World(lab)
        self.live = GOOD[0]
        self.folder = lab.state_dir / "bench"
        self.prometheus = f"http://{LOOPBACK}:{lab.ports.prometheus}"

    def __enter__(self) -> Stage:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.world.create()
        try:
            self.world.deploy(self.live, deployment=self.deployment(self.live))
        except BaseException:
            self.world.destroy()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.world.destroy()

    def deployment(self, version: str) -> dict[str, Any]:
        """The Deployment of one of the three versions."""
        wrong = {"error_ratio": ERROR_RATIO} if version == BAD else {}
        made = self.world.deployment(version, replicas=REPLICAS, **wrong)
        # A pod that is to end has requests of 5 s to finish.
        made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 20
        return made

    def arguments(self, version: str, **overrides: Any) -> dict[str, Any]:
        """A canary at the benchmark's pace."""
        given = {
            "strategy": "canary",
            "canary": {"weights": list(WEIGHTS), "hold": HOLD_S},
            "analysis": {"prometheus_url": self.prometheus, "interval": INTERVAL_S, "max_hold": MAX_HOLD_S},
            "grace_period": BAKE_S,
            "confirm_timeout": 60,
            "confirm_requests": 20,
            "drain": {"quiet_period": 5, "timeout": 60, "prometheus_url": self.prometheus},
            "lease_duration": 30,
            # As the role's own: they touch nothing that an injected error can hit.
            "smoke_tests": [{"name": "alive", "path": "/health"}, {"name": "ready", "path": "/ready"}],
            "deployment": self.deployment(version),
            **overrides,
        }
        return self.world.arguments(version, **given)

    @contextlib.contextmanager
    def traffic(self, name: str) -> Iterator[Callable[[], list[ledger.Entry]]]:
        """The benchmark's load while the block runs; afterwards the function yielded gives its requests, once."""
        path = self.folder / f"{name}.jsonl"
        for left in (path, path.with_suffix(".summary.json")):
            left.unlink(missing_ok=True)

        def entries() -> list[ledger.Entry]:
            _header, lines = ledger.read(path)
            found = list(lines)
            # A ledger that shows a failure is kept to look at it.
            if not any(entry.is_failed for entry in found):
                path.unlink()
            return found

        with self.world.load(path, rate=journey.RATE):
            time.sleep(_BEFORE_S)
            yield entries
            time.sleep(_AFTER_S)

    def ship(self, version: str, name: str) -> dict[str, Any]:
        """One release under traffic; what it says (see facts). Raises JourneyError when there is no result."""
        with self.traffic(name) as entries:
            output = self.run(self.arguments(version))
        requests = entries()
        envelope = output["envelope"]
        said = facts.release(envelope, requests)
        if version == BAD:
            said |= facts.taken_back(envelope, requests)
        if envelope["verdict"] == "passed":
            self.live = version
        return said | {"application": "testserver", "message": output.get("msg", "")}

    def run(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The rollout module's output. Raises JourneyError when it ends without a result envelope."""
        process = self.world.start(arguments)
        try:
            return self.output(process)
        finally:
            process.kill()

    def output(self, process: ModuleProcess) -> dict[str, Any]:
        """The same of one that was started."""
        out, err = process.communicate(timeout=LONGEST_RELEASE_S)
        output = dict(json.loads(out)) if out.strip() else {}
        if "envelope" not in output:
            raise journey.JourneyError(f"the rollout left no envelope: {output.get('msg') or out + err}")
        return output

    def next_good(self) -> str:
        """The good version that is not live."""
        return GOOD[1 - GOOD.index(self.live)]


def ledger_of(path: Path) -> list[ledger.Entry]:
    """All requests of a ledger."""
    return list(ledger.read(path)[1])
