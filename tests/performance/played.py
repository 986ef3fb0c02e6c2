"""A playbook that reviews a recorded day, and the report that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.roles.playing import ROOT, play


@dataclass(frozen=True)
class Run:
    """An ended playbook: exit code, what it printed as one line, and the folder of its report."""

    code: int
    text: str
    report: Path

    def read(self, name: str) -> str:
        """A file of the report."""
        return (self.report / name).read_text(encoding="utf-8")


def player(review: str, url: str, new_folder: Callable[[], Path]) -> Callable[..., Run]:
    """What runs the playbook of that name over the last recorded day of the Prometheus at `url`."""

    def run(*options: str, **variables: Any) -> Run:
        folder = new_folder()
        given = {
            f"{review}_prometheus_url": url,
            f"{review}_end": "2026-01-10T00:00:00Z",
            "report_root": str(folder),
            "report_id": "day",
            **variables,
        }
        ended = play(ROOT / "playbooks" / f"{review}.yml", "production", *options, **given)
        return Run(ended.code, ended.text, folder / "production" / "day")

    return run
