# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of a service of a group say whose they are."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._live.narrator import Narrator


@pytest.mark.parametrize(
    ("service", "expected"), [(None, "hold 10 %"), ("front", "front hold 10 %"), ("catalogue", "catalogue 10 %")]
)
def test_a_sample_names_its_service_as_far_as_there_is_room(service, expected):
    data = {"step": "hold", "weight": 10, "verdict": "good", "results": [], "service": service}
    entry = {"at": "2026-11-21T19:00:00.000Z", "event": "sample", "detail": "good", "data": data}
    line = next(iter(Narrator("shop").lines(entry, 0.0)))
    assert f"  {expected} " in line.text
