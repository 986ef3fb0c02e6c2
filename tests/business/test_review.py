"""The review of two recorded days of a business in a real Prometheus."""

from __future__ import annotations

from datetime import timedelta

import days
import pytest
import recorded
from ansible_collections.churnguard.ops.plugins.module_utils._business.definitions import default_figures, read_figures
from ansible_collections.churnguard.ops.plugins.module_utils._business.review import PURPOSE, Reviewer
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock, isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.asking import Asker, Server
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.limits import Scope, Wish

STEP = 300
# What a process counts between two samples is not seen when it ends or starts again.
BETWEEN = STEP / 60


def reviewed(url, period="24h", end=recorded.END, selector=recorded.NAMESPACE, limits=None, step=STEP):
    """A review that has been run, with what it found by name as `found`."""
    clock = Clock()
    recorder = Recorder(clock, "business_review")
    wish = Wish(Scope(application=selector), period, isoformat(end), step, 0.9)
    one = Reviewer(
        Asker(Server(url, deadline=30.0), clock, recorder, PURPOSE), read_figures(limits or {}), wish, recorder
    )
    one.verdict = one.run()
    one.found = {judged.figure.name: judged.plain() for judged in one.found}
    one.envelope = recorder.envelope(one.verdict, False)
    return one


@pytest.fixture(scope="module")
def day(market):
    """The second day, compared with the first."""
    return reviewed(market.url)


def test_counters_are_followed_over_a_restart_and_a_replaced_pod(day):
    found = day.found["predictions"]
    parts = {one["name"]: one["value"] for one in found["parts"]}
    # Two pods at any time: a day of them, less what was not seen of the two that ended.
    for level, rate in (("low", days.LOW), ("high", days.HIGH)):
        whole = 2 * days.DAY * rate
        assert whole - 2 * BETWEEN * rate <= parts[level] <= whole
    assert found["value"] == sum(parts.values())
    assert found["before"] == pytest.approx(2 * days.DAY * (days.LOW + days.HIGH))
    assert found["change_percent"] == pytest.approx(0, abs=0.7)
    assert (found["verdict"], found["reason"]) == ("not_checked", "no limit is set")


def test_the_first_errors_ever_are_counted(day):
    found = day.found["answered_well"]
    assert found["details"]["failed"] == days.BROKEN
    assert found["details"]["total"] == pytest.approx(2 * days.DAY * days.REQUESTS + days.BROKEN, rel=0.01)
    assert found["value"] == pytest.approx(100 * (1 - days.BROKEN / found["details"]["total"]))
    assert (found["verdict"], found["before"]) == ("failed", 100.0)
    assert reviewed_limit(day) == ("answered_well", 99.9)


def reviewed_limit(day):
    """Name and limit of the first measurement that has one."""
    return next((one["name"], one["limit"]) for one in day.envelope["measurements"] if one["limit"] is not None)


def test_users_are_not_multiplied_by_the_pods_that_report_them(day):
    found = day.found["active_users"]
    everybody = 2 * sum(days.TIERS.values())
    assert found["details"] == {"now": everybody, "average": everybody, "lowest": everybody, "highest": everybody} | {
        key: pytest.approx(value, rel=0.01) for key, value in {"average": everybody, "lowest": everybody}.items()
    }
    assert {one["name"]: one["value"] for one in found["parts"]} == {"free": 200.0, "pro": 40.0}
    assert found["change_percent"] == pytest.approx(100, abs=1)


def test_a_dip_between_two_good_ends_is_found(day):
    found = day.found["compliance_score"]
    assert (found["details"]["now"], found["details"]["lowest"]) == (92, 76)
    assert (found["verdict"], found["reason"]) == (
        "failed", "the lowest was 76 points, at least 80 points is well",
    )  # fmt: skip
    assert reviewed_again(day, "compliance_score")["plot"]["lines"]["all"].count(76) >= 1


def reviewed_again(day, name):
    """The evidence of a figure."""
    return next(item for item in day.envelope["evidence"] if item.get("name") == name)


def test_nothing_overdue_is_good(day):
    assert (day.found["gdpr_overdue"]["value"], day.found["gdpr_overdue"]["verdict"]) == (0, "passed")


def test_what_every_pod_reads_from_the_database_is_counted_once(day):
    found = day.found["gdpr_handled"]
    assert (found["value"], found["before"]) == (2, 0)
    assert [one["name"] for one in found["parts"]] == ["erasure completed"]
    assert (found["change_percent"], found["change_reason"]) == (None, "there were none before")


def test_what_was_seen_half_of_the_time_is_not_passed_and_not_compared(day):
    found = day.found["prediction_age"]
    assert found["value"] == pytest.approx(days.age(recorded.MINUTES) / 3600)
    assert (found["verdict"], found["reason"]) == ("not_checked", "it was seen 50 % of the time, 90 % is wanted")
    assert (found["change_percent"], found["before"]) == (None, None)
    assert found["change_reason"] == "of the period before: Prometheus has nothing of it in the period"


def test_a_limit_that_is_broken_is_so_however_much_is_missing(market):
    found = reviewed(market.url, limits={"prediction_age": 2}).found["prediction_age"]
    assert (found["verdict"], found["reason"]) == ("failed", "the highest was 5.917 h, at most 2 h is well")


def test_a_period_without_one_before_has_figures_and_no_comparison(market):
    one = reviewed(market.url, end=recorded.END - timedelta(days=1), limits={"prediction_age": None})
    assert one.verdict == "passed"
    found = one.found["predictions"]
    assert found["value"] == pytest.approx(2 * days.DAY * (days.LOW + days.HIGH), rel=0.01)
    assert (found["before"], found["change_percent"]) == (None, None)
    assert found["change_reason"] == "of the period before: it was seen 0 % of the time, 90 % is wanted"


def test_what_was_never_recorded_is_not_checked_and_fails_the_review(market):
    one = reviewed(market.url, end=recorded.END - timedelta(days=30))
    assert one.verdict == "failed"
    assert {found["verdict"] for found in one.found.values()} == {"not_checked"}
    assert all(found["value"] is None for found in one.found.values())


def test_another_namespace_is_another_business(market):
    assert {found["value"] for found in reviewed(market.url, selector='namespace="x"').found.values()} == {None}


def test_every_query_is_understood_and_on_record(day):
    # A query that is refused ends the review, so this counts that each was asked.
    assert list(day.found) == [figure.name for figure in default_figures()]
    for item in day.envelope["evidence"]:
        assert item["queries"]["query"]
        assert all("$" not in query for query in item["queries"].values())


def test_a_wrong_selector_is_refused_with_the_servers_answer(market):
    with pytest.raises(OperationError, match="Prometheus refuses its query: 400"):
        reviewed(market.url, selector="namespace=shop")
