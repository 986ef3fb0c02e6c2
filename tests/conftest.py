"""How tests are dealt to the workers of pytest-xdist."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

#: Tests that share a costly part (a database and its backups, a Prometheus, an Alertmanager, an account): one worker
#: makes it, once.
TOGETHER = (
    "tests/alerting/",
    "tests/dashboards/",
    "tests/monitoring/",
    "tests/performance/",
    "tests/telemetry/test_refusals.py",
    "tests/manifest/",
    "tests/restore/",
    "tests/drills/test_backup_corruption.py",
    "tests/drills/test_database_loss.py",
    "tests/drills/test_database_struck.py",
    "tests/roles/test_deployment.py",
    "tests/roles/test_monitoring_host.py",
    "tests/roles/test_monitoring_kubernetes.py",
    "tests/roles/test_provision.py",
)


class Scheduling(LoadScopeScheduling):
    """Every test goes to the worker that is free first, those of TOGETHER as one.

    The marker xdist_group would say the same, but xdist 3.8 writes it into a test's id, and pytest 9.2 keeps that.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((prefix for prefix in TOGETHER if nodeid.startswith(prefix)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """The scheduler of --dist loadscope."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None
