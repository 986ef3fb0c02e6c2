"""Feature flags in the application: what the file says, what happens without it, and what is counted."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from churnguard_api.features import FLAGS, Evaluation, Features
from openfeature import api

from ..waiting import until

DASHBOARD, ANALYTICS = "new_dashboard_ui", "advanced_analytics"
TIERS = {"if": [{"in": [{"var": "subscription_tier"}, ["professional", "enterprise"]]}, "on", "off"]}


def flag(state: str = "ENABLED", default: str = "off", **members: Any) -> dict[str, Any]:
    return {"state": state, "variants": {"on": True, "off": False}, "defaultVariant": default, **members}


class File:
    """A flags file, written as the kubelet does: whole, and under a new modification time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **flags: dict[str, Any]) -> None:
        self.text(json.dumps({"flags": flags}))

    def text(self, text: str) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.path)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "flags.json")


@pytest.fixture
def counted() -> Counter:
    return Counter()


@pytest.fixture
def features(file: File, counted: Counter) -> Iterator[Callable[[], Features]]:
    provider = logging.getLogger("openfeature.contrib")
    provider.setLevel(logging.CRITICAL)  # as in logs.settings()

    def made() -> Features:
        return Features(str(file.path), lambda name, variant: counted.update([(name, variant)]), poll_s=0.05)

    yield made
    api.shutdown()
    provider.setLevel(logging.NOTSET)


def answers(of: Features, user: str | None = "u-1", **attributes: str) -> dict[str, Evaluation]:
    return {answer.flag: answer for answer in of.evaluate(user, attributes)}


def await_answer(of: Features, name: str, value: bool) -> None:
    until(f"{name} is {value}", lambda: answers(of)[name].value is value)


def test_conditions_and_switched_off_flags(features: Callable[[], Features], file: File) -> None:
    file.write(new_dashboard_ui=flag("DISABLED", "on"), advanced_analytics=flag(targeting=TIERS))
    made = features()
    found = answers(made, subscription_tier="enterprise")
    assert found[DASHBOARD] == Evaluation(DASHBOARD, False, None, "DISABLED", None)
    assert found[ANALYTICS] == Evaluation(ANALYTICS, True, "on", "TARGETING_MATCH", None)
    for tier in ({}, {"subscription_tier": "starter"}, {"subscription_tier": "enterprises"}):
        assert answers(made, **tier)[ANALYTICS].value is False


def test_somebody_unknown_is_in_no_share(features: Callable[[], Features], file: File) -> None:
    share = {"fractional": [["on", 99], ["off", 1]]}
    file.write(new_dashboard_ui=flag(targeting=share))
    made = features()
    assert answers(made, None)[DASHBOARD] == Evaluation(DASHBOARD, False, "off", "DEFAULT", None)
    assert sum(answers(made, f"u-{number}")[DASHBOARD].value for number in range(100)) > 80


def test_without_a_file_all_are_off_and_it_is_told_once(
    features: Callable[[], Features], file: File, caplog: pytest.LogCaptureFixture
) -> None:
    made = features()
    time.sleep(0.5)
    found = answers(made)
    assert {name: found[name].value for name in FLAGS} == FLAGS == {DASHBOARD: False, ANALYTICS: False}
    assert found[DASHBOARD].error == "FLAG_NOT_FOUND"
    told = [record for record in caplog.records if record.name == "churnguard_api"]
    assert [record.levelno for record in told] == [logging.WARNING]
    assert f"{file.path}: no such file" in told[0].getMessage()


def test_a_file_that_comes_later_and_changes_is_followed(features: Callable[[], Features], file: File) -> None:
    made = features()
    file.write(new_dashboard_ui=flag(default="on"))
    await_answer(made, DASHBOARD, True)
    file.write(new_dashboard_ui=flag("DISABLED", "on"))
    await_answer(made, DASHBOARD, False)


def test_a_broken_file_keeps_the_last_good_one(
    features: Callable[[], Features], file: File, caplog: pytest.LogCaptureFixture
) -> None:
    file.write(new_dashboard_ui=flag(default="on"))
    made = features()
    wrong_state = '{"flags": {"x": {"state": "MAYBE", "variants": {"on": true}}}}'
    for text, told in (("{", "Could not parse JSON"), (wrong_state, "Incorrect 'state' value")):
        file.text(text)
        until(f"the warning {told!r}", lambda told=told: told in caplog.text)
        assert answers(made)[DASHBOARD].value is True
    file.write(new_dashboard_ui=flag())
    await_answer(made, DASHBOARD, False)
    until("word of it", lambda: f"{file.path}: read" in caplog.text)


def test_evaluations_are_counted_with_bounded_values(
    features: Callable[[], Features], file: File, counted: Counter
) -> None:
    file.write(
        new_dashboard_ui=flag(default="on"),
        advanced_analytics={"state": "ENABLED", "variants": {"whatever": True}, "defaultVariant": "whatever"},
        of_another_application=flag(),
    )
    made = features()
    answers(made)
    answers(made)
    assert counted == {(DASHBOARD, "on"): 2, (ANALYTICS, "other"): 2}


def test_a_flag_of_another_type_is_the_default(features: Callable[[], Features], file: File, counted: Counter) -> None:
    file.write(new_dashboard_ui={"state": "ENABLED", "variants": {"on": "yes"}, "defaultVariant": "on"})
    found = answers(features())[DASHBOARD]
    assert (found.value, found.error) == (False, "TYPE_MISMATCH")
    assert counted[DASHBOARD, "none"] == 1
