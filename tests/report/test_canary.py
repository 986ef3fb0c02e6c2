"""The sample's two canaries as a report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sample_data


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the rendered sample, its load thinned out."""
    folder = tmp_path_factory.mktemp("canary")
    sample_data.write(folder, rate=20.0, canary=True)
    sample_data.render(folder)
    return folder


def test_report_json_tells_how_each_was_judged(report: Path) -> None:
    bad, good = json.loads((report / "report.json").read_text(encoding="utf-8"))["rollouts"]
    assert bad["samples"] == {"total": 2, "good": 0, "bad": 2, "unknown": 0}
    assert bad["max_canary_share"] == 0.1
    assert bad["decision"]["decisive"]
    assert bad["decision"]["weight"] == 10
    assert bad["decision"]["traffic_off_s"] == 2.0
    assert [result["verdict"] for result in bad["decision"]["results"]] == ["bad", "good", "bad"]
    assert good["samples"] == {"total": 22, "good": 21, "bad": 0, "unknown": 1}
    assert good["max_canary_share"] == 1.0
    assert good["decision"]["verdict"] == "good"


def test_the_page_shows_plot_and_decision_in_both_widths(report: Path) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    assert page.count("How it was judged") == 2
    titles = re.findall(r'<title id="(judged_\d_\w+)-title">', page)
    assert sorted(titles) == ["judged_1_narrow", "judged_1_wide", "judged_2_narrow", "judged_2_wide"]
    assert "2 s later v2 got no more traffic." in page
    assert "What decided" in page
    assert "The last sample" in page
    assert "<script" not in page


def test_the_same_sample_gives_the_same_bytes(report: Path, tmp_path: Path) -> None:
    sample_data.write(tmp_path, rate=20.0, canary=True)
    sample_data.render(tmp_path)
    for name in ("index.html", "report.json"):
        assert (tmp_path / name).read_bytes() == (report / name).read_bytes()
