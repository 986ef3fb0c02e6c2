"""Two days of a business in a real Prometheus: a pod that restarts, one that is replaced, the first errors ever, a
score that dips, and a metric that is only there in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from recorded import MINUTES, NAMESPACE, Family

DAY = 24 * 60
# Minutes of the record. The second day begins at DAY.
RESTART, REPLACED, ERRORS, DIP = DAY + 301, DAY + 602, DAY + 905, (DAY + 1000, DAY + 1030)
# What each pod does in a minute.
REQUESTS, LOW, HIGH = 60.0, 10.0, 2.0
BROKEN = 600
TIERS = {"free": 100.0, "pro": 20.0}
YOUNG = DAY + 720


def age(minute: int) -> float:
    """Seconds since the newest predictions, which are made every six hours."""
    return minute % 360 * 60.0


def _counter(name: str, rate: float, first: int, last: int, restart: int | None = None) -> Iterator:
    """A counter of one process that is there from C(first) to C(last), and starts again from 0 at C(restart)."""
    for minute in range(first, last + 1):
        begin = restart if restart is not None and minute >= restart else max(first, 0)
        yield name, minute, rate * (minute - begin)


def _gauge(name: str, value: Callable[[int], float], first: int = 0) -> Iterator:
    return ((name, minute, value(minute)) for minute in range(first, MINUTES + 1))


def families() -> Iterator[Family]:
    """Families with their samples. Pod a restarts, pod b is replaced by pod c; the record begins in their lives."""
    pods = {"a": (0, MINUTES, RESTART), "b": (0, REPLACED, None), "c": (REPLACED, MINUTES, None)}
    requests, predictions, up = [], [], []
    for pod, life in pods.items():
        of = f'{NAMESPACE},job="churnguard-api",pod="{pod}"'
        request = f'churnguard_requests_total{{{of},method="GET",endpoint="/predict",status_code="200"}}'
        requests += list(_counter(request, REQUESTS, *life))
        for level, rate in (("low", LOW), ("high", HIGH)):
            name = f'churnguard_predictions_total{{{of},model_version="m1",risk_level="{level}"}}'
            predictions += list(_counter(name, rate, *life))
        up += [(f"up{{{of}}}", minute, 1) for minute in range(life[0], life[1] + 1)]
    of = f'{NAMESPACE},job="churnguard-api",pod="c"'
    broken = f'churnguard_requests_total{{{of},method="GET",endpoint="/predict",status_code="500"}}'
    requests += [(broken, minute, BROKEN) for minute in range(ERRORS, MINUTES + 1)]
    yield "churnguard_requests counter", requests
    yield "churnguard_predictions counter", predictions
    yield "up gauge", up
    users = []
    for tier, count in TIERS.items():
        for pod in ("a", "b"):
            name = f'churnguard_active_users{{{NAMESPACE},pod="{pod}",subscription_tier="{tier}"}}'
            users += list(_gauge(name, lambda minute, count=count: count * (2 if minute > DAY else 1)))
    yield "churnguard_active_users gauge", users
    score = f"churnguard_compliance_score{{{NAMESPACE}}}"
    yield "churnguard_compliance_score gauge", list(_gauge(score, lambda m: 76 if DIP[0] < m <= DIP[1] else 92))
    overdue = f"churnguard_gdpr_requests_overdue{{{NAMESPACE}}}"
    yield "churnguard_gdpr_requests_overdue gauge", list(_gauge(overdue, lambda _m: 0))
    handled = []
    # All pods show what is in the database; the one that comes later does so from its first scrape on.
    for pod, first in (("a", 0), ("c", REPLACED)):
        of = f'churnguard_gdpr_requests_total{{{NAMESPACE},pod="{pod}",type="erasure"'
        for status, count in (("received", lambda m: 500 + m), ("completed", lambda m: 480 + (2 if m > ERRORS else 0))):
            handled += list(_gauge(f'{of},status="{status}"}}', count, first))
    yield "churnguard_gdpr_requests counter", handled
    # It came with a version that was shipped in the middle of the second day.
    seconds = f"churnguard_prediction_age_seconds{{{NAMESPACE}}}"
    yield "churnguard_prediction_age_seconds gauge", list(_gauge(seconds, age, YOUNG))
