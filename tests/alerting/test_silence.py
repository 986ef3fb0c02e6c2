"""The modules of silences as Ansible runs them, on a real Alertmanager."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.api import AlertmanagerApi, Way
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.model import Matcher, parse_moment
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.session import Request, ensure_present
from ansible_collections.churnguard.ops.plugins.modules import alert_silence, alert_silence_info
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Server

from tests.lab.ports import free_ports

NUMBERS = itertools.count(1)
HERE = [{"name": "namespace", "value": "here"}]
CRASHES = [*HERE, {"name": "alertname", "value": "Pod.*", "is_regex": True}]


@pytest.fixture
def call(server, capfd, monkeypatch):
    """Runs a module on the server: its result."""
    monkeypatch.setattr(_internal, "is_controller", False)

    def run(module: Any, check: bool = False, **options: Any) -> dict[str, Any]:
        capfd.readouterr()
        given = {"alertmanager_url": server.url, "_ansible_check_mode": check, "_ansible_diff": True, **options}
        with patch_module_args(given), pytest.raises(SystemExit):
            module.main()
        return json.loads(capfd.readouterr().out)

    return run


@pytest.fixture
def silence(call):
    """Runs alert_silence under a name of the test's own."""
    name = f"test {next(NUMBERS)}"

    def run(**options: Any) -> dict[str, Any]:
        given = {"name": name, "matchers": CRASHES, **({} if "ends_at" in options else {"duration": "1h"}), **options}
        if given.get("state") == "absent":
            given = {key: value for key, value in given.items() if key not in ("matchers", "duration")}
        return call(alert_silence, **given)

    run.name = name
    return run


def named(server, name: str, *states: str) -> list[dict[str, Any]]:
    """The silences of that name that the server has."""
    return [one for one in server.silences(*states) if one["comment"].startswith(f"[churnguard:{name}]")]


def seconds_left(silence: dict[str, Any]) -> float:
    return (parse_moment(silence["endsAt"]) - datetime.now(UTC)).total_seconds()


def test_created_once_found_again_and_removed(server, call, silence):
    made = silence(comment="Rollout of v2", created_by="the pipeline")
    assert (made["changed"], made["action"]) == (True, "created")
    assert made["diff"]["before"] == {"silences": []}
    (kept,) = named(server, silence.name)
    assert kept["status"]["state"] == "active"
    assert kept["comment"] == f"[churnguard:{silence.name}] Rollout of v2"
    assert kept["createdBy"] == "the pipeline"
    assert 3590 < seconds_left(kept) <= 3600
    assert made["silence"]["id"] == kept["id"]
    assert made["diff"]["after"]["silences"] == [made["silence"]]
    assert made["silence"]["matchers"] == [
        {"name": "alertname", "value": "Pod.*", "is_regex": True, "is_equal": True},
        {"name": "namespace", "value": "here", "is_regex": False, "is_equal": True},
    ]

    again = silence(comment="Rollout of v2", created_by="the pipeline", matchers=CRASHES[::-1])
    assert (again["changed"], again["action"], again["silence"]["id"]) == (False, "unchanged", kept["id"])
    found = call(alert_silence_info, name=silence.name)
    assert found["silences"] == [again["silence"]]
    assert found["changed"] is False

    gone = silence(state="absent")
    assert (gone["changed"], gone["action"], gone["expired"]) == (True, "removed", [kept["id"]])
    assert gone["diff"]["after"] == {"silences": []}
    assert named(server, silence.name, "active", "pending") == []
    assert silence(state="absent")["changed"] is False
    assert call(alert_silence_info, name=silence.name)["silences"] == []
    (over,) = call(alert_silence_info, name=silence.name, states=["expired"])["silences"]
    assert (over["id"], over["state"]) == (kept["id"], "expired")


def test_it_silences_what_it_names_and_nothing_else(server, silence):
    server.fire(
        {"alertname": "PodCrashLooping", "namespace": "here"},
        {"alertname": "PodCrashLooping", "namespace": "there"},
        {"alertname": "HighErrorRate", "namespace": "here"},
    )
    made = silence()
    states = server.states()
    assert states["PodCrashLooping", "here"]["silencedBy"] == [made["silence"]["id"]]
    assert states["PodCrashLooping", "there"]["silencedBy"] == states["HighErrorRate", "here"]["silencedBy"] == []
    silence(state="absent")
    assert server.states()["PodCrashLooping", "here"]["silencedBy"] == []


def test_extended_under_its_id_and_never_shortened(server, silence):
    first = silence(duration="30m")
    longer = silence(duration="2h")
    assert (longer["action"], longer["silence"]["id"]) == ("extended", first["silence"]["id"])
    (kept,) = named(server, silence.name)
    assert 7190 < seconds_left(kept) <= 7200
    shorter = silence(duration="10m")
    assert (shorter["changed"], shorter["silence"]["ends_at"]) == (False, longer["silence"]["ends_at"])
    reworded = silence(duration="10m", comment="still at it")
    assert (reworded["action"], reworded["silence"]["ends_at"]) == ("changed", longer["silence"]["ends_at"])
    (kept,) = named(server, silence.name)
    assert kept["comment"].endswith("still at it")


def test_other_matchers_replace_it_and_doubles_are_ended(server, silence):
    first = silence()
    other = silence(matchers=HERE)
    assert (other["action"], other["expired"]) == ("replaced", [first["silence"]["id"]])
    assert [one["id"] for one in named(server, silence.name, "active")] == [other["silence"]["id"]]
    # As two runs at the same moment would leave it.
    double = server.silence(f"[churnguard:{silence.name}]", {"namespace": "here"}, seconds=7200)
    healed = silence(matchers=HERE)
    assert (healed["changed"], healed["silence"]["id"]) == (True, double)
    assert [one["id"] for one in named(server, silence.name, "active")] == [double]


def test_the_silences_of_others_are_left_alone_unless_named_by_id(server, call, silence):
    others = server.silence(f"{silence.name}, by hand", {"namespace": "here"})
    longer_name = server.silence(f"[churnguard:{silence.name} too] x", {"namespace": "here"})
    silence(matchers=HERE)
    silence(state="absent")
    active = {one["id"] for one in server.silences("active")}
    assert {others, longer_name} <= active
    listed = {one["id"]: one["name"] for one in call(alert_silence_info)["silences"]}
    assert (listed[others], listed[longer_name]) == (None, f"{silence.name} too")
    for number in (others, longer_name):
        assert call(alert_silence, id=number, state="absent")["expired"] == [number]
    assert not {others, longer_name} & {one["id"] for one in server.silences("active")}
    assert call(alert_silence, id=others, state="absent")["changed"] is False


def test_check_mode_writes_nothing(server, silence):
    before = server.silences()
    planned = silence(check=True)
    assert (planned["action"], planned["silence"]["id"]) == ("created", "")
    assert planned["msg"].startswith(f"Silence '{silence.name}' would be created; it ends at ")
    assert [one["name"] for one in planned["diff"]["after"]["silences"]] == [silence.name]
    assert server.silences() == before
    made = silence()["silence"]
    before = server.silences()
    assert silence(check=True, duration="3h")["action"] == "extended"
    assert silence(check=True, matchers=HERE)["expired"] == [made["id"]]
    assert silence(check=True, state="absent")["action"] == "removed"
    assert server.silences() == before


def test_a_silence_to_come_is_pending_and_one_for_now_replaces_it(server, silence):
    start = datetime.now(UTC) + timedelta(hours=2)
    planned = silence(starts_at=start.isoformat(), duration="1h")
    assert planned["silence"]["state"] == "pending"
    times = [parse_moment(planned["silence"][edge]) for edge in ("starts_at", "ends_at")]
    assert times[1] - times[0] == timedelta(hours=1)
    assert abs(times[0] - start) < timedelta(milliseconds=2)
    assert silence(starts_at=start.isoformat(), duration="1h")["changed"] is False
    assert silence(starts_at=start.isoformat(), duration="3h")["action"] == "extended"
    now = silence(duration="1h")
    assert (now["action"], now["expired"], now["silence"]["state"]) == (
        "replaced",
        [planned["silence"]["id"]],
        "active",
    )
    assert len(named(server, silence.name, "active", "pending")) == 1


def test_an_exact_end_is_kept_exactly(silence):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    text = end.isoformat().replace("+00:00", "Z")
    assert parse_moment(silence(ends_at=text)["silence"]["ends_at"]) == end
    assert silence(ends_at=text)["changed"] is False
    later = (end + timedelta(seconds=1)).isoformat()
    assert parse_moment(silence(ends_at=later)["silence"]["ends_at"]) == end + timedelta(seconds=1)


def test_an_end_in_the_past_is_refused(server, silence):
    before = server.silences()
    over = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    refused = silence(ends_at=over)
    assert refused["failed"]
    assert "is in the past: by Alertmanager's clock it is" in refused["msg"]
    start = datetime.now(UTC) + timedelta(hours=2)
    turned = silence(starts_at=start.isoformat(), ends_at=(start - timedelta(hours=1)).isoformat())
    assert "before its start" in turned["msg"]
    assert server.silences() == before


def test_alertmanagers_clock_decides_when_this_machines_is_wrong(server):
    clock = FakeClock()
    request = Request("skewed", (Matcher("namespace", "here"),), "test", "", timedelta(minutes=30))
    outcome = ensure_present(AlertmanagerApi(Way(server.url)), request, clock)
    skew = (clock.now() - datetime.now(UTC)).total_seconds()
    assert abs(skew) > 60, "this machine's clock says what the test's clock says"
    (kept,) = named(server, "skewed", "active")
    assert 1790 < seconds_left(kept) <= 1800
    (warning,) = outcome.warnings
    assert ("ahead of" if skew > 0 else "behind") in warning
    assert "goes by Alertmanager's clock" in warning


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "a]b"}, "that is no name"),
        ({"matchers": []}, "give at least one matcher"),
        ({"matchers": [{"name": "a-b", "value": "x"}]}, "'a-b' is no label's name"),
        ({"matchers": [*HERE, *HERE]}, "listed twice"),
        ({"duration": "soon"}, "write it as 90s"),
        ({"duration": "0"}, "is no length of time"),
        ({"starts_at": "tomorrow"}, "starts_at 'tomorrow' is no time with an offset"),
        ({"ends_at": "2026-11-29T04:00:00"}, "no time with an offset"),
        ({"alertmanager_url": "alertmanager:9093"}, "no http or https address"),
        ({"duration": None}, "neither duration nor ends_at is given"),
        ({"matchers": [{**HERE[0], "is_equal": False}]}, "nearly every alert would be silenced"),
        ({"duration": "1h", "ends_at": "2026-11-29T04:00:00Z"}, "mutually exclusive: duration|ends_at"),
        ({"token_file": "/nonexistent/token"}, "No such file or directory. Next: correct token_file."),
    ],
)
def test_what_cannot_be_meant_is_named(server, silence, options, told):
    before = server.silences()
    refused = silence(**options)
    assert refused["failed"]
    assert told in refused["msg"]
    assert server.silences() == before


@pytest.mark.parametrize(
    "matchers",
    [
        [{"name": "alertname", "value": "(", "is_regex": True}],
        [{"name": "namespace", "value": ".*", "is_regex": True}],
    ],
    ids=["bad expression", "matches everything"],
)
def test_what_alertmanager_refuses_is_told_with_its_answer(server, silence, matchers):
    before = server.silences()
    refused = silence(matchers=matchers)
    assert refused["failed"]
    assert f"Could not create a silence {{{matchers[0]['name']}" in refused["msg"]
    assert "Alertmanager answered 400: " in refused["msg"]
    assert "Next: correct the matchers" in refused["msg"]
    assert server.silences() == before


def test_an_alertmanager_that_is_not_there_is_told_with_what_to_do(silence):
    refused = silence(alertmanager_url=f"http://127.0.0.1:{free_ports(1)[0]}", timeout=5)
    assert refused["failed"]
    assert "Could not list the silences of http://127.0.0.1:" in refused["msg"]
    assert "Connection refused" in refused["msg"]
    assert "check alertmanager_url, that Alertmanager runs" in refused["msg"]


def test_a_wrong_address_is_told(server, silence):
    assert "it is the address without /api/v2" in silence(alertmanager_url=f"{server.url}/alerts")["msg"]
    with Server(lambda _request: Answer(200, "<html>")) as other:
        assert "no answer of Alertmanager's API v2" in silence(alertmanager_url=other.url)["msg"]
    with Server(lambda _request: Answer(200, [{"id": "x"}])) as other:
        assert "no answer of Alertmanager's API v2: KeyError" in silence(alertmanager_url=other.url)["msg"]


def test_the_token_is_sent_and_never_shown(server, silence, tmp_path):
    def proxy(request):
        if request.headers.get("authorization") != "Bearer very-secret-word":
            return Answer(401, "who are you?")
        return Answer(302, "", {"Location": f"{server.url}/"}) if request.path.startswith("/moved") else Answer(200, [])

    file = tmp_path / "token"
    file.write_text("very-secret-word\n")
    with Server(proxy) as front:
        refused = silence(alertmanager_url=front.url, check=True)
        assert "Alertmanager answered 401: who are you?" in refused["msg"]
        for given in ({"token": "very-secret-word"}, {"token_file": str(file)}):
            accepted = silence(alertmanager_url=front.url, check=True, **given)
            assert accepted["action"] == "created"
            assert "very-secret-word" not in json.dumps(accepted)
        # The token goes to nobody but the address that was given.
        moved = silence(alertmanager_url=f"{front.url}/moved", token_file=str(file), check=True)
        assert f"set alertmanager_url to where it redirects to: {server.url}/" in moved["msg"]
    file.write_text("two words")
    assert "holds no single word" in silence(token_file=str(file))["msg"]
