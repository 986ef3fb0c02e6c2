"""The role on a running Alertmanager: checked, reloaded, and untouched by what is wrong."""

from __future__ import annotations

import pytest
import yaml

from .conftest import QUICK, QUIET, ROOT

RECEIVERS = yaml.safe_load((ROOT / "tests/alerting/receivers.yml").read_text())["alerting_receivers"]


@pytest.fixture
def unchanged(routing, place):
    """What a run that fails must leave as it is: the file, what is loaded, the process, and no other file."""

    def look():
        return place.config.read_text(), routing.loaded, routing.pid, sorted(place.config.parent.iterdir())

    before = look()
    yield
    assert look() == before
    assert routing.running


def with_webhook(**webhook: object) -> list[dict]:
    """The receivers; that of the platform's chat has this webhook instead."""
    return [{**one, "webhook": [webhook]} if one["name"] == "platform-chat" else one for one in RECEIVERS]


def test_it_was_reloaded_without_a_restart(routing, place):
    assert routing.running
    assert "receiver: infrastructure-page" in routing.loaded
    assert [path.name for path in place.config.parent.glob("alertmanager.yml*")] == ["alertmanager.yml"]


def test_a_file_that_is_not_in_force_is_reloaded_and_a_second_run_changes_nothing(routing, place):
    pid, written, loaded = routing.pid, place.config.read_text(), routing.loaded
    # As a run leaves it that ended between writing and reloading.
    place.config.write_text(QUIET)
    routing.reload()
    place.config.write_text(written)
    assert place.play(url=routing.url).passed().changed == 1
    assert (routing.loaded, routing.pid, place.config.read_text()) == (loaded, pid, written)
    assert place.play(url=routing.url).passed().changed == 0


@pytest.mark.usefixtures("unchanged")
def test_check_mode_shows_a_change_and_writes_nothing(routing, place):
    case = {"labels": {"alertname": "A", "team": "compliance"}, "receivers": ["compliance-chat"]}
    options = {"alerting_repeat_interval": "7h", "alerting_route_tests": [case]}
    shown = place.play("--check", "--diff", url=routing.url, **options).passed()
    assert "+  repeat_interval: 7h" in shown.output


@pytest.mark.usefixtures("unchanged")
def test_a_file_that_amtool_refuses_never_gets_there(routing, place):
    windows = [{**QUICK["alerting_maintenance_windows"][0], "matchers": ['alertname=~"("']}]
    refused = place.play(url=routing.url, alerting_maintenance_windows=windows)
    assert refused.code != 0
    assert "missing closing )" in refused.text


@pytest.mark.usefixtures("unchanged")
def test_routes_that_lead_elsewhere_never_get_there(routing, place):
    case = {"labels": {"alertname": "A", "team": "compliance"}, "receivers": ["platform-chat"]}
    refused = place.play(url=routing.url, alerting_route_tests=[case])
    assert refused.code != 0
    assert "WARNING: Expected receivers did not match resolved receivers" in refused.text


@pytest.mark.usefixtures("unchanged")
def test_what_alertmanager_refuses_although_amtool_takes_it_is_taken_back(routing, place):
    broken = place.folder / "authorities.pem"
    broken.write_text("no certificate")
    receivers = with_webhook(url="https://127.0.0.1:9/", ca_file=str(broken))
    refused = place.play(url=routing.url, alerting_receivers=receivers)
    assert refused.code != 0
    assert "did not take" in refused.text
    assert f"unable to use specified CA cert {broken}" in refused.text
    assert "the former file is back in its place" in refused.text


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"alerting_receivers": with_webhook(url="http://127.0.0.1:9/", credentials_file="/nonexistent/token")},
            "Receivers would tell nobody, because these files are missing: /nonexistent/token.",
        ),
        (
            {"alerting_receivers": [{"name": "x", "slack": [{"channel": "#x", "api_url": "https://a.invalid"}]}]},
            "api_url. Supported parameters include: api_url_file, channel, send_resolved",
        ),
        (
            {"alerting_deadman_receiver": "nobody-knows"},
            "Receivers that are named and do not exist: nobody-knows.",
        ),
    ],
    ids=["missing secret", "secret in plain", "unknown receiver"],
)
def test_what_does_not_belong_together_is_named(routing, place, variables, told):
    refused = place.play(url=routing.url, **variables)
    assert refused.code != 0
    assert told in refused.text
