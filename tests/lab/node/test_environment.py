"""A container's variables and command line."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from churnguard_lab.images import Image
from churnguard_lab.node.environment import (
    CONFIG_MAP,
    SECRET,
    ConfigError,
    Reference,
    expand,
    expand_image_environment,
    field_value,
    object_content,
    references,
    resolve_command,
    resolve_environment,
)

POD: dict[str, Any] = {
    "metadata": {
        "name": "api-1",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"slot": "blue", "app.kubernetes.io/name": "api"},
        "annotations": {"a": "1"},
    },
    "spec": {"nodeName": "node-1", "serviceAccountName": "sa"},
}
CONTEXT = {"pod_ip": "127.0.16.1", "host_ip": "127.0.0.1"}
OBJECTS = {
    (SECRET, "s"): {"url": b"postgres://x", "raw": b"\xff"},
    (CONFIG_MAP, "c"): {"A": b"1", "B": b"2"},
    (SECRET, "absent"): None,
}


def resolve(container: dict[str, Any], base: dict[str, str] | None = None) -> dict[str, str]:
    return resolve_environment(container, POD, OBJECTS, base or {}, CONTEXT)


def key_ref(field: str, name: str, key: str, **more: object) -> dict[str, Any]:
    return {"env": [{"name": "V", "valueFrom": {field: {"name": name, "key": key, **more}}}]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "api-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u1"),
        ("metadata.labels['slot']", "blue"),
        ("metadata.labels['app.kubernetes.io/name']", "api"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['a']", "1"),
        ("metadata.annotations", 'a="1"'),
        ("metadata.labels", 'app.kubernetes.io/name="api"\nslot="blue"'),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "127.0.16.1"),
        ("status.podIPs", "127.0.16.1"),
        ("status.hostIP", "127.0.0.1"),
        ("status.hostIPs", "127.0.0.1"),
    ],
)
def test_fields(path: str, value: str) -> None:
    assert field_value(path, POD, CONTEXT) == value
    assert resolve({"env": [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}}]}) == {"V": value}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, {"PATH": "/bin"}),
        ({"env": [{"name": "PATH", "value": "/x"}]}, {"PATH": "/x"}),
        ({"env": [{"name": "E"}]}, {"PATH": "/bin", "E": ""}),
        (key_ref("secretKeyRef", "s", "url"), {"PATH": "/bin", "V": "postgres://x"}),
        (key_ref("configMapKeyRef", "c", "A"), {"PATH": "/bin", "V": "1"}),
        (key_ref("secretKeyRef", "absent", "url", optional=True), {"PATH": "/bin"}),
        (key_ref("secretKeyRef", "s", "nope", optional=True), {"PATH": "/bin"}),
        ({"envFrom": [{"configMapRef": {"name": "c"}}]}, {"PATH": "/bin", "A": "1", "B": "2"}),
        ({"envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}]}, {"PATH": "/bin", "P_A": "1", "P_B": "2"}),
        ({"envFrom": [{"secretRef": {"name": "absent", "optional": True}}]}, {"PATH": "/bin"}),
        (
            {"envFrom": [{"configMapRef": {"name": "c"}}], "env": [{"name": "A", "value": "$(B)-$(NONE)-$$(B)"}]},
            {"PATH": "/bin", "A": "2-$(NONE)-$(B)", "B": "2"},
        ),
    ],
)
def test_environment(container: dict[str, Any], expected: dict[str, str]) -> None:
    assert resolve(container, {"PATH": "/bin"}) == expected


@pytest.mark.parametrize(
    ("container", "message"),
    [
        (key_ref("secretKeyRef", "absent", "url"), 'secret "absent" not found'),
        (key_ref("secretKeyRef", "s", "nope"), "couldn't find key nope in Secret shop/s"),
        (key_ref("configMapKeyRef", "c", "nope"), "couldn't find key nope in ConfigMap shop/c"),
        (key_ref("secretKeyRef", "s", "raw"), "not text"),
        ({"envFrom": [{"secretRef": {"name": "absent"}}]}, 'secret "absent" not found'),
        ({"env": [{"name": "V", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}, "resourceFieldRef"),
        ({"env": [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}, "'spec.x'"),
    ],
)
def test_what_is_missing_is_named(container: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        resolve(container)


def test_references_are_found_with_their_optionality() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s", "optional": True}}],
        **key_ref("secretKeyRef", "t", "k"),
    }
    assert references(container) == {
        Reference(CONFIG_MAP, "c"),
        Reference(SECRET, "s", True),
        Reference(SECRET, "t"),
    }


def test_object_content() -> None:
    encoded = base64.b64encode(b"\x00x").decode()
    assert object_content(SECRET, {"data": {"k": encoded}}) == {"k": b"\x00x"}
    assert object_content(CONFIG_MAP, {"data": {"k": "text"}, "binaryData": {"b": encoded}}) == {
        "k": b"text",
        "b": b"\x00x",
    }
    assert object_content(CONFIG_MAP, {}) == {}


IMAGE = Image("a:1", ("run", "$(KEPT)"), {"A": "{pod_ip}", "B": "{mount:config}", "C": '{"json": 1}'}, "d")


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, ["run", "$(KEPT)"]),
        ({"args": ["$(X)"]}, ["run", "$(KEPT)", "1"]),
        ({"command": ["sh", "$(X)"]}, ["sh", "1"]),
        ({"command": ["sh"], "args": ["-c", "$$(X)"]}, ["sh", "-c", "$(X)"]),
    ],
)
def test_command(container: dict[str, Any], expected: list[str]) -> None:
    assert resolve_command(container, IMAGE, {"X": "1"}) == expected


def test_image_variables_of_volumes_that_are_not_mounted_are_left_out() -> None:
    values = {"pod_ip": "127.0.16.1"}
    assert expand_image_environment(IMAGE, values.get) == {"A": "127.0.16.1", "C": '{"json": 1}'}
    values["mount:config"] = "/v/config"
    assert expand_image_environment(IMAGE, values.get)["B"] == "/v/config"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)", "1"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"), ("$A", "$A"), ("$(A", "$(A"), ("$()", "$()"), ("x$", "x$")],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected
