"""What fires on a day is counted by promtool itself, in a small world with one alert and one that always fires."""

from __future__ import annotations

import pytest
from churnguard_lab.observability import cases_bench
from churnguard_lab.observability.tested import Book

RULES = """
groups:
  - name: some
    rules:
      - {alert: Watchdog, expr: vector(1)}
      - {alert: ShopDown, expr: shop_up == 0, for: 2m, labels: {severity: critical}}
"""
DAY = """
rule_files: [../rules/some.yml]
evaluation_interval: 1m
tests:
  - name: a day
    interval: 1m
    input_series:
      - series: shop_up{instance="a"}
        values: 1x1440
      - series: shop_up{instance="b"}
        values: %s
    promql_expr_test:
      - expr: vector(1)
        eval_time: 1m
        exp_samples: [{labels: '{}', value: 1}]
"""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("1x1440", []),
        # To YAML 1.1 this is a number; to promtool it is 1,441 times 0.
        ("0x1440", ['{alertname="ShopDown", alertstate="firing", instance="b", severity="critical"}']),
        ("1x700 0x1 1x738", []),
        ("1x700 0x5 1x734", ['{alertname="ShopDown", alertstate="firing", instance="b", severity="critical"}']),
    ],
)
def test_what_fires_is_named_and_the_watchdog_is_not_counted(tmp_path, values, expected):
    assert cases_bench.quiet_day(_book(tmp_path, DAY % values)) == expected
    assert sorted(path.name for path in (tmp_path / "tests").iterdir()) == ["quiet_day.yml"]


def test_a_day_that_promtool_cannot_replay_is_no_quiet_one(tmp_path):
    with pytest.raises(RuntimeError, match="promtool does not replay the quiet day"):
        cases_bench.quiet_day(_book(tmp_path, DAY % "nonsense"))


def _book(folder, day):
    for name, file, text in (("rules", "some.yml", RULES), ("tests", "quiet_day.yml", day)):
        (folder / name).mkdir()
        (folder / name / file).write_text(text, encoding="utf-8")
    return Book(folder)
