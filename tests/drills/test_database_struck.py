"""kill -9 of a drill of a real database in each of its phases: the journal alone is enough, and the source is whole."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._drill import processes
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import SCENARIOS
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import PHASES
from drill_strikes import DATABASE_LOSS, finish, strike
from stage import execute, settings_of

EARLY = [moment for moment in DATABASE_LOSS if PHASES.index(moment.phase) <= PHASES.index("detect")]
LATE = [moment for moment in DATABASE_LOSS if moment not in EARLY]


def content(source) -> list[tuple]:
    """Rows of the source's tables, and a sum over what is in them."""
    return execute(
        source,
        "SELECT (SELECT (count(*), sum(hashtext(c::text))) FROM customers c)::text, "
        "(SELECT (count(*), sum(hashtext(p::text))) FROM predictions p)::text",
    )


@pytest.mark.parametrize("moments", [EARLY, LATE], ids=["up to its detection", "from its recovery on"])
def test_a_drill_killed_in_any_phase_is_finished_and_its_source_is_whole(source, ports, scratch, tmp_path, moments):
    before, secrets = content(source), {"source_password": source.password}
    for number, moment in enumerate(moments):
        settings = settings_of(source, scratch, ports[1], verify_repository=False, inject_fault=moment.fault)
        settings["ledger"] = {"seconds": 1, "rate": 20}
        folder = strike(moment, "database_loss", settings, secrets, tmp_path / str(number))
        assert finish(folder, secrets, scratch) == [], moment
        if not processes.working_in(source.data_dir):
            assert moment.fault, f"{moment}: the source of a drill that breaks nothing is down"
            source.start()
        left = execute(source, "SELECT count(*) FROM pg_namespace WHERE nspname = 'churnguard_drill'")[0][0]
        assert left == 0 or moment.fault, f"{moment}: the heartbeats are still in a living source"
        execute(source, "DROP SCHEMA IF EXISTS churnguard_drill CASCADE")
        assert content(source) == before, moment


def test_every_phase_is_struck():
    assert {moment.phase for moment in DATABASE_LOSS} == {*SCENARIOS["database_loss"].phases, "cleanup"}
