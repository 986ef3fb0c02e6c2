"""business_report and performance_report as Ansible runs them, over a recorded day."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.modules import business_report, performance_report

MODULES = pytest.mark.parametrize(
    ("module", "operation", "purpose"),
    [
        (business_report, "business_review", "review the business"),
        (performance_report, "performance_review", "review performance"),
    ],
    ids=["business_report", "performance_report"],
)


@pytest.fixture
def call(market, capfd):
    """Runs a module: its result."""

    def run(module, **options) -> dict:
        given = {"prometheus_url": market.url, "end": "2026-01-10T00:00:00Z", **options}
        with patch_module_args(given), pytest.raises(SystemExit) as ended:
            module.main()
        result = json.loads(capfd.readouterr().out)
        assert (ended.value.code == 0) == (not result.get("failed", False))
        return result

    return run


@MODULES
def test_it_returns_what_it_documents(call, module, operation, purpose):
    result = call(module, fail_on=[])
    assert set(yaml.safe_load(module.RETURN)) == set(result) - {"changed", "invocation", "warnings"}
    assert (result["changed"], result["acceptable"]) == (False, True)
    assert (result["envelope"]["operation"], result["envelope"]["verdict"]) == (operation, "failed")


@MODULES
def test_what_was_not_checked_fails_it_with_everything_that_it_found(call, module, operation, purpose):
    result = call(module, fail_on=["not_checked"])
    assert (result["failed"], result["acceptable"]) == (True, False)
    assert set(yaml.safe_load(module.RETURN)) <= set(result)


@MODULES
def test_a_coverage_that_is_none_is_refused_before_anything_is_asked(call, module, operation, purpose):
    result = call(module, min_coverage=0)
    assert result["failed"] and "envelope" not in result
    assert result["msg"].startswith(f"Could not {purpose}: min_coverage 0 is no share of the samples.")
