"""Role dashboards: files on a host, and a Grafana's API as community.grafana speaks it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.roles.playing import ROOT, Run

sys.path.append(str(ROOT / "collections"))

from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Request, Server  # noqa: E402

NAMES = ["application", "database", "redis", "kubernetes", "rollout", "business"]
PLAY = [{"name": "Dashboards", "hosts": "localhost", "gather_facts": False, "roles": [{"role": "dashboards"}]}]
TOKEN = "glsa_word-of-a-test"


@pytest.fixture
def bring(run_playbook, tmp_path):
    """Runs the role on this machine."""
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump(PLAY))

    def run(*options: str, **variables: Any) -> Run:
        return run_playbook(playbook, "lab", *options, **variables)

    return run


class Grafana:
    """What a Grafana 11.6 answers to the requests that bring dashboards to it and look for them."""

    def __init__(self) -> None:
        self.folders: dict[str, str] = {}
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.unauthorised = 0

    def respond(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            self.unauthorised += 1
            return Answer(401, {"message": "Unauthorized"})
        parts = request.path.strip("/").split("/")
        handler = getattr(self, f"{request.method.lower()}_{parts[1]}", None)
        return handler(request, parts[2:]) if handler else Answer(404, {"message": "Not found"})

    def get_health(self, _request: Request, _rest: list[str]) -> Answer:
        return Answer(200, {"version": "11.6.0"})

    def get_frontend(self, _request: Request, _rest: list[str]) -> Answer:
        return Answer(200, {"buildInfo": {"version": "11.6.0"}})

    def get_folders(self, _request: Request, rest: list[str]) -> Answer:
        listed = [{"id": 7, "uid": uid, "title": title} for uid, title in self.folders.items()]
        if not rest:
            return Answer(200, listed)
        found = [one for one in listed if one["uid"] == rest[0]]
        return Answer(200, found[0]) if found else Answer(404, {"message": "folder not found"})

    def post_folders(self, request: Request, _rest: list[str]) -> Answer:
        self.folders[request.json["uid"]] = request.json["title"]
        return Answer(200, {"id": 7, **request.json})

    def get_dashboards(self, _request: Request, rest: list[str]) -> Answer:
        made = self.dashboards.get(rest[1])
        return (
            Answer(200, {"meta": {"folderId": 7}, "dashboard": {**made, "id": 1, "version": 3}})
            if made
            else Answer(404)
        )

    def post_dashboards(self, request: Request, _rest: list[str]) -> Answer:
        made = request.json["dashboard"]
        self.dashboards[made["uid"]] = made
        return Answer(200, {"uid": made["uid"]})

    def delete_dashboards(self, _request: Request, rest: list[str]) -> Answer:
        del self.dashboards[rest[1]]
        return Answer(200, {"message": "deleted"})

    def get_search(self, request: Request, _rest: list[str]) -> Answer:
        tagged = [made for made in self.dashboards.values() if request.query["tag"] in made["tags"]]
        return Answer(200, [{"uid": made["uid"], "tags": made["tags"]} for made in tagged])


@pytest.fixture
def grafana():
    return Grafana()


@pytest.fixture
def push(bring, grafana):
    """Runs the role against it."""

    def run(*options: str, names: tuple[str, ...] = ("application", "redis"), **variables: Any) -> Run:
        with Server(grafana.respond) as server:
            given = {"dashboards_grafana_url": server.url, "dashboards_grafana_token": TOKEN, "dashboards_names": names}
            given |= variables
            return bring(*options, **given)

    return run


def test_a_host_gets_the_files_and_grafana_their_folder(bring, tmp_path: Path):
    folder, provider = tmp_path / "dashboards", tmp_path / "churnguard.yaml"
    places = {"dashboards_path": str(folder), "dashboards_provider_file": str(provider), "dashboards_mode": "0640"}
    checked = bring("--check", **places).passed()
    assert (checked.changed, folder.exists(), provider.exists()) == (2, False, False)

    assert bring(**places).passed().changed == 2
    assert {path.name for path in folder.iterdir()} == {f"churnguard-{name}.json" for name in NAMES}
    assert {path.stat().st_mode & 0o777 for path in [*folder.iterdir(), provider]} == {0o640}
    (one,) = yaml.safe_load(provider.read_text())["providers"]
    assert (one["type"], one["folder"], one["options"]["path"]) == ("file", "ChurnGuard", str(folder))
    assert one["allowUiUpdates"] is False
    # Legends are Grafana's to fill in, not Ansible's.
    made = json.loads((folder / "churnguard-application.json").read_text())
    assert made["panels"][1]["targets"][0]["legendFormat"] == "{{ method }} {{ endpoint }}"
    assert bring(**places).passed().changed == 0


def test_without_a_place_the_run_says_what_to_set(bring):
    ended = bring()
    assert ended.code != 0
    assert "set dashboards_path (files on a host)" in ended.text


def test_a_grafana_gets_folder_and_dashboards_and_loses_what_is_no_longer_made(push, grafana):
    checked = push("--check").passed()
    assert (grafana.folders, grafana.dashboards) == ({}, {})
    assert checked.changed and "churnguard-redis" in checked.text

    assert push().passed().changed == 2
    assert grafana.folders == {"churnguard": "ChurnGuard"}
    assert set(grafana.dashboards) == {"churnguard-application", "churnguard-redis"}

    # A copy keeps the tags, but has a uid of its own. What is still made has not changed and is not written again.
    grafana.dashboards["copy"] = {**grafana.dashboards["churnguard-redis"], "uid": "copy"}
    assert push(names=("application",)).passed().changed == 1
    assert set(grafana.dashboards) == {"churnguard-application", "copy"}
    assert grafana.unauthorised == 0


def test_a_token_that_is_refused_is_not_shown(push, grafana):
    ended = push("-vvv", dashboards_grafana_token="glsa_wrong-word")
    assert ended.code != 0 and grafana.unauthorised
    assert "Could not look for folder churnguard" in ended.text and "401" in ended.text
    assert "glsa_wrong-word" not in ended.output
