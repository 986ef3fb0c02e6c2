"""New content for the volumes of running pods, against an API server that is a local HTTP server."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest
from churnguard_lab.node.api import ApiError
from churnguard_lab.node.environment import CONFIG_MAP, SECRET, Reference
from churnguard_lab.node.renewal import Content, Renewal


class Objects:
    """Answers as NodeApi.get_object does: it stands for the API server."""

    def __init__(self, objects: Mapping[tuple[str, str, str], dict | None]) -> None:
        self.objects = dict(objects)
        self.asked: list[tuple[str, str, str]] = []
        self.away = False

    def get_object(self, kind: str, namespace: str, name: str) -> dict | None:
        self.asked.append((kind, namespace, name))
        if self.away:
            raise ApiError("read", None, "no answer")
        return self.objects.get((kind, namespace, name))


class Pod:
    """A pod that remembers what it was given."""

    def __init__(self, namespace: str, *references: Reference) -> None:
        self.namespace, self._references = namespace, references
        self.given: list[Mapping[tuple[str, str], Content]] = []

    def followed(self) -> set[Reference]:
        return set(self._references)

    def renew(self, objects: Mapping[tuple[str, str], Content]) -> None:
        self.given.append(objects)


FLAGS, TOKEN = Reference(CONFIG_MAP, "flags", True), Reference(SECRET, "token")
STORED = {
    (CONFIG_MAP, "a", "flags"): {"data": {"flags.json": "{}"}},
    (SECRET, "a", "token"): {"data": {"t": base64.b64encode(b"hush").decode()}},
}


def test_each_object_is_read_once_for_all_pods_of_a_namespace() -> None:
    api = Objects(STORED)
    first, second, other = Pod("a", FLAGS, TOKEN), Pod("a", FLAGS), Pod("b", FLAGS)
    Renewal(api, lambda: [first, second, other]).renew()
    assert first.given == [{(CONFIG_MAP, "flags"): {"flags.json": b"{}"}, (SECRET, "token"): {"t": b"hush"}}]
    assert second.given == [{(CONFIG_MAP, "flags"): {"flags.json": b"{}"}}]
    assert other.given == [{(CONFIG_MAP, "flags"): None}], "absent in its namespace"
    assert sorted(api.asked) == sorted([*STORED, (CONFIG_MAP, "b", "flags")])


def test_pods_without_such_volumes_cost_nothing() -> None:
    api, pod = Objects(STORED), Pod("a")
    Renewal(api, lambda: [pod]).renew()
    assert (api.asked, pod.given) == ([], [])


def test_an_api_server_that_is_away_leaves_all_as_it_is() -> None:
    api, pod = Objects(STORED), Pod("a", FLAGS)
    api.away = True
    with pytest.raises(ApiError):
        Renewal(api, lambda: [pod]).renew()
    assert pod.given == []
