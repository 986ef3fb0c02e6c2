"""kill -9 before and after every API write of a canary, forward and taken back, resumed and aborted by turns: what the
live tests do for blue-green, see tests/live/striking.py."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from churnguard_lab.delivery import stage  # noqa: F401 - makes the live tests importable
from churnguard_lab.settings import Settings

from striking import CANARY, points, strike_all, writes  # isort: skip

WORKERS = 4


def run(lab: Settings, most: int | None = None) -> dict[str, Any]:
    """Strike at every point, or at `most` of them spread evenly. Returns the writes of a run in each direction, points
    that were hit and those after which all was as it should be, what went wrong, and the requests meanwhile."""
    forward, backward = writes(lab, CANARY)
    chosen = points(forward, backward)
    if most is not None and most < len(chosen):
        chosen = [chosen[number * len(chosen) // most] for number in range(most)]
    with tempfile.TemporaryDirectory(prefix="strikes-", dir=_folder(lab)) as folder:
        struck, load = strike_all(lab, chosen, Path(folder), CANARY, WORKERS)
    hit = [one for one in struck if one.hit]
    return {
        "writes": {"forward": forward, "backward": backward},
        "total": len(hit),
        "recovered": sum(not one.problem for one in hit),
        # A run may have fewer writes than the one that was counted: samples and renewals follow the clock.
        "not_reached": len(struck) - len(hit),
        "problems": [f"{one.point}: {one.problem}" for one in struck if one.problem],
        **load,
    }


def _folder(lab: Settings) -> Path:
    folder = lab.state_dir / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
