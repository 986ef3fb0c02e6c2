"""What promtool says of the alerts: which have a case in which they fire and one in which they do not, and what a quiet
day brings."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from churnguard_lab.bench import figure
from churnguard_lab.observability.own_prometheus import promtool
from churnguard_lab.observability.tested import Book, rulebook

_FIRED = re.compile(r'(\{alertname="[^}]*\}) \S+')
_EXPECTED = "    promql_expr_test:\n"


def measure() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The figures, and what they were taken under. Raises RuntimeError when a case does not hold."""
    with tempfile.TemporaryDirectory(prefix="churnguard-bench-") as place:
        book = Book.render(Path(place))
        names = {rule["alert"] for rule in book.alerts()}
        both, fired_by_nothing = _with_both(book, names)
        held = promtool("test", "rules", *book.tests)
        if held.returncode:
            raise RuntimeError(f"promtool: a case of the rules does not hold:\n{held.stdout}{held.stderr}")
        fired = quiet_day(book)
        cases = sum(1 for _case in book.cases())
    conditions = {
        "always_fires": rulebook.ALWAYS,
        "without_both": sorted(names - both - {rulebook.ALWAYS}),
        "cases": cases,
        "cases_of_no_alert": fired_by_nothing,
        "fired_on_the_quiet_day": fired,
        "counted": "alerts by name; the one that always fires, on purpose, can have no silent case and is left out of "
        "what is asked of alerts_with_both_tests; all cases hold",
    }
    wanted = len(names - {rulebook.ALWAYS})
    figures = [
        figure("alerts_total", len(names), "alerts"),
        figure("alerts_with_both_tests", len(both), "alerts", wanted, at_least=True),
        figure("quiet_day_alerts", len(fired), "alerts", 0),
    ]
    return figures, conditions


def _with_both(book: Book, names: set[str]) -> tuple[set[str], list[str]]:
    """Alerts with a firing and a silent case, and cases of alerts that do not exist."""
    questions = [question for _test, question in book.cases()]
    firing = {question["alertname"] for question in questions if question["exp_alerts"]}
    silent = {question["alertname"] for question in questions if not question["exp_alerts"]}
    return names & firing & silent, sorted((firing | silent) - names)


def quiet_day(book: Book) -> list[str]:
    """What fired on the quiet day but the watchdog, as promtool prints it: labels of each alert. Raises RuntimeError
    when promtool says something else."""
    # As text: to YAML's older version, which Python reads, the series 0x1440 would be a hexadecimal number.
    series, expected, _rest = (book.folder / "tests" / "quiet_day.yml").read_text(encoding="utf-8").partition(_EXPECTED)
    fired = f'count_over_time(ALERTS{{alertstate="firing", alertname!="{rulebook.ALWAYS}"}}[1d])'
    question = book.folder / "tests" / "quiet_day_alone.yml"
    asked = f"      - expr: {fired}\n        eval_time: 24h\n        exp_samples: []\n"
    question.write_text(series + expected + asked, encoding="utf-8")
    try:
        done = promtool("test", "rules", question)
    finally:
        question.unlink()
    if done.returncode == 0:
        return []
    found = sorted(set(_FIRED.findall(done.stdout + done.stderr)))
    if not found:
        raise RuntimeError(f"promtool does not replay the quiet day:\n{done.stdout}{done.stderr}")
    return found
