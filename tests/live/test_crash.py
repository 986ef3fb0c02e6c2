"""kill -9 around every single write of a rollout, forward and back. The next run resumes or takes back; live traffic
is never left on a slot that is not ready, and no request fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from churnguard_lab.settings import Settings
from striking import points, strike_all, writes

pytestmark = pytest.mark.lab


def test_killed_at_every_write(lab: Settings, tmp_path: Path) -> None:
    forward, backward = writes(lab)
    assert forward > 10
    assert backward > 5
    struck, load = strike_all(lab, points(forward, backward), tmp_path)
    assert not [f"{one.point}: {one.problem}" for one in struck if one.problem]
    assert sum(one.hit for one in struck) > forward + backward
    assert load["failed"] == 0, f"{load['failed']} of {load['sent']} requests failed"
