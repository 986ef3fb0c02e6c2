"""The role against the lab's API server, in a namespace of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.roles.playing import Playbook

pytestmark = pytest.mark.lab


@pytest.fixture
def flags(api: client.ApiClient, namespace: str) -> Any:
    """Reads the document in the namespace, None when there is none."""
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": namespace}})

    def read() -> dict[str, Any] | None:
        found = core.list_namespaced_config_map(namespace, field_selector="metadata.name=churnguard-flags").items
        return json.loads(found[0].data["flags.json"])["flags"] if found else None

    return read


def test_the_guides_flags_are_kept_and_switched_off(
    run_playbook: Playbook, in_namespace: dict[str, Any], flags: Any
) -> None:
    checked = run_playbook("feature_flags", "lab", "--check", "--diff", **in_namespace).passed()
    assert (checked.changed, flags()) == (1, None)
    assert "new_dashboard_ui" in checked.output

    first = run_playbook("feature_flags", "lab", **in_namespace).passed()
    assert first.changed == 1
    assert "advanced_analytics: on where subscription_tier is professional or enterprise" in first.text
    made = flags()
    assert made["new_dashboard_ui"]["state"] == "DISABLED"
    assert made["new_dashboard_ui"]["targeting"] == {"fractional": [["on", 10], ["off", 90]]}
    assert run_playbook("feature_flags", "lab", **in_namespace).passed().changed == 0

    off = run_playbook("feature_flags", "lab", feature_flags_off="advanced_analytics", **in_namespace).passed()
    assert "advanced_analytics: disabled" in off.text
    assert flags() == {**made, "advanced_analytics": {**made["advanced_analytics"], "state": "DISABLED"}}
    assert run_playbook("feature_flags", "lab", **in_namespace).passed().changed == 0, "a regular run leaves it off"


def test_what_yaml_makes_of_dates_and_of_on_and_off(
    run_playbook: Playbook, in_namespace: dict[str, Any], flags: Any, tmp_path: Path
) -> None:
    data = tmp_path / "flags.yml"
    data.write_text(
        "feature_flags_flags:\n"
        "  - {name: dated, expires: 2099-06-30, default_variant: on}\n"
        "  - name: split\n"
        "    variants: {a: 1, b: 2}\n"
        "    targeting: {fractional: [[a, 30], [b, 70]]}\n",
        encoding="utf-8",
    )
    run_playbook("feature_flags", "lab", "-e", f"@{data}", **in_namespace).passed()
    made = flags()
    assert (made["dated"]["metadata"], made["dated"]["defaultVariant"]) == ({"expires": "2099-06-30"}, "on")
    assert made["split"]["targeting"] == {"fractional": [["a", 30], ["b", 70]]}

    data.write_text("feature_flags_flags: [{name: x, variants: {on: 1, off: 0}}]\n", encoding="utf-8")
    refused = run_playbook("feature_flags", "lab", "-e", f"@{data}", **in_namespace)
    assert refused.code != 0
    assert "quote on and off, which are booleans in YAML" in refused.text
    assert flags() == made
