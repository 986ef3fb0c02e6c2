"""Draws the pictures of docs/delivery.md from the real plans of the strategies, so that they cannot go out of date.

python -m churnguard_lab.pictures        (make pictures)
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import (  # noqa: E402
    Pace,
    Release,
    Step,
    Target,
)
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import steps_of  # noqa: E402

OLD, NEW = "#9aa5b1", "#2a7f62"
#: Minutes that a step takes in the drawing where the plan does not say: they are what pods and probes usually need.
USUAL = {"start": 0.3, "ready": 1.2, "smoke": 0.4, "route": 0.1, "confirm": 0.3, "update": 0.2, "drain": 0.6}
USUAL |= {"retire": 0.8, "hold_size": 0.1, "release_size": 0.1}
PACE = Pace(weights=tuple((w, 600.0) for w in (10, 25, 50, 75, 100)), bake_seconds=300.0)
TARGET = Target("churnguard-api", "churnguard-production", ("blue", "green"), "HTTPRoute", "churnguard-api")


@dataclasses.dataclass
class Spell:
    """A stretch of time in which nothing changes: minutes from and to, the new version's share, what is done."""

    begin: float
    end: float
    share: float
    step: str


def spells(steps: list[Step], in_place: bool) -> list[Spell]:
    """The plan laid out in time."""
    now, share, found = 0.0, 0.0, []
    for step in steps:
        length = step.args.get("seconds", 0.0) / 60 or USUAL[step.name]
        if step.name == "route":
            share = step.args["weight"]
        elif in_place and step.name == "ready":
            # One pod after the other: four equal parts.
            for part in range(1, 5):
                found.append(Spell(now, now + length / 4, part * 25, step.name))
                now += length / 4
            share = 100
            continue
        found.append(Spell(now, now + length, share, step.name))
        now += length
    return found


def draw(strategy: str, title: str) -> None:
    """One picture: shares over time, with the steps beneath."""
    in_place = strategy == "rolling"
    stable = Release("blue", "v1", "a", 4)
    candidate = Release("blue" if in_place else "green", "v2", "b", 4)
    laid = spells(steps_of(strategy, candidate, stable, TARGET, PACE), in_place)
    figure, axes = pyplot.subplots(figsize=(9, 2.9))
    times = [spell.begin for spell in laid] + [laid[-1].end]
    shares = [spell.share for spell in laid] + [laid[-1].share]
    axes.fill_between(times, shares, step="post", color=NEW, label="new version")
    axes.fill_between(times, shares, 100, step="post", color=OLD, label="old version")
    for spell in laid:
        if spell.step in ("hold", "bake", "ready"):
            _mark(axes, spell, laid[-1].end)
    axes.set(xlim=(0, times[-1]), ylim=(0, 100), xlabel="minutes", ylabel="share of traffic, %", title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path = REPOSITORY / "docs" / "images" / f"{strategy}.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _mark(axes: pyplot.Axes, spell: Spell, whole: float) -> None:
    """What is judged or waited for, written into the picture where there is room."""
    if spell.end - spell.begin < whole / 20:
        return
    colour = "white" if spell.share > 45 else "black"
    text = {"hold": f"{spell.share:.0f} %\njudged", "bake": "bake", "ready": "pods\nready"}[spell.step]
    axes.text((spell.begin + spell.end) / 2, 40, text, ha="center", va="center", color=colour, fontsize=8)
    axes.axvline(spell.end, color="white", linewidth=0.6)


def main() -> None:
    matplotlib.rcParams.update({"svg.hashsalt": "churnguard.ops", "font.size": 9})
    draw("blue_green", "blue_green: all traffic at once, the old version warm for the grace period")
    draw("canary", "canary: each weight is held and judged before the next")
    draw("rolling", "rolling: Kubernetes replaces pod after pod in the serving slot")


if __name__ == "__main__":
    main()
