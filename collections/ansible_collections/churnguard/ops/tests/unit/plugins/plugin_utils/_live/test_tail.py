# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following the progress file."""

from __future__ import annotations

import json
import threading

from ansible_collections.churnguard.ops.plugins.plugin_utils._live.action import Tail
from ansible_collections.churnguard.ops.plugins.plugin_utils._live.narrator import Narrator


def line(event: str, detail: str) -> str:
    return json.dumps({"at": "2026-11-21T19:33:07.123Z", "event": event, "detail": detail})


def test_lines_are_followed_while_they_are_written_and_whole(tmp_path):
    path = tmp_path / "progress"
    path.touch()
    shown: list[str] = []
    both = threading.Event()

    def out(lines):
        shown.extend(line.text.split()[-1] for line in lines)
        if len(shown) == 2:
            both.set()

    tail = Tail(str(path), Narrator("x"), out)
    tail.start()
    with path.open("a") as stream:
        stream.write(line("a", "first") + "\n" + line("b", "second")[:20])
        stream.flush()
        stream.write(line("b", "second")[20:] + "\nno JSON\n")
        stream.flush()
        assert both.wait(10)
        stream.write(line("progress", "waiting") + "\n" + line("c", "last") + "\n")
    tail.end()
    assert shown == ["first", "second", "waiting", "last"]
    assert [entry["event"] for entry in tail.timeline] == ["a", "b", "c"]
    assert not tail.is_alive()
