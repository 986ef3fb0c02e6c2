"""Releases of the real application, by the playbook that an engineer runs."""

from __future__ import annotations

import json
from typing import Any

from churnguard_lab import journey
from churnguard_lab.delivery import facts, stage
from churnguard_lab.settings import Settings

GOOD = ("v1", "v2")
BAD = "v4"
PACE = {
    "app_release_strategy": "canary",
    "app_release_canary_weights": list(stage.WEIGHTS),
    "app_release_canary_hold": stage.HOLD_S,
    "app_release_grace_period": stage.BAKE_S,
    "app_release_analysis_interval": stage.INTERVAL_S,
    "app_release_analysis_max_hold": stage.MAX_HOLD_S,
}


class RealApplication:
    """churnguard-api in the lab's namespace, with a good version live."""

    def __init__(self, lab: Settings) -> None:
        self._lab = lab
        self._name = journey.report_id()
        self._ships = 0

    def install(self) -> None:
        """The static parts and a first version. Raises JourneyError."""
        journey.build_images(self._lab)
        for playbook, variables in (("site", {}), ("deploy", {"app_release_version": GOOD[0]})):
            run = journey.playbook(playbook, self._name, quiet=True, **variables)
            if run.returncode != 0:
                raise journey.JourneyError(f"{playbook}.yml failed:\n{run.output[-3000:]}")

    def ship(self, bad: bool) -> dict[str, Any]:
        """One canary under traffic; what it says (see facts)."""
        self._ships += 1
        version = BAD if bad else GOOD[self._ships % len(GOOD)]
        name = f"{self._name}-{self._ships}"
        with journey.traffic(self._lab, name) as load:
            run = journey.playbook("deploy", name, quiet=True, app_release_version=version, **PACE)
            load.stop()
        requests = stage.ledger_of(load.ledger)
        envelope = _envelope(name, run)
        said = facts.release(envelope, requests)
        if bad:
            said |= facts.taken_back(envelope, requests)
        return said | {"application": "churnguard-api", "message": ""}


def _envelope(name: str, run: journey.Run) -> dict[str, Any]:
    found = sorted((journey.report_path(name) / "envelopes").glob("*-rollout.json"))
    if not found:
        raise journey.JourneyError(f"deploy.yml left no envelope:\n{run.output[-3000:]}")
    return dict(json.loads(found[-1].read_text(encoding="utf-8")))
