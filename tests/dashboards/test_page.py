"""docs/dashboards.md tells of every panel, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.catalogue import BOARDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "dashboards.md").read_text(encoding="utf-8")


def test_the_table_lists_the_panels_of_each_dashboard():
    listed: dict[str, list[str]] = {}
    table = PAGE.partition("| dashboard | panels |")[2].partition("\n\n")[0]
    title = ""
    for named, panels in re.findall(r"^\| (.*?)\| (.*?) \|", table, re.M):
        title = named.strip() or title
        listed.setdefault(title, []).extend(panels.split(", "))
    listed.pop("---", None)
    assert {title: sorted(panels) for title, panels in listed.items()} == {
        board.title: sorted(panel.title for panel in board.panels) for board in BOARDS.values()
    }


def test_the_figures_are_right():
    panels = [panel for board in BOARDS.values() for panel in board.panels]
    assert f"{len(panels)} panels, {sum(len(panel.queries) for panel in panels)} queries" in PAGE
