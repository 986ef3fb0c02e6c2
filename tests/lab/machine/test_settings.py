"""lab.json: what is read, and every way in which it can be wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab import settings
from lab_document import DOCUMENT


def changed(path: str, value: Any) -> dict[str, Any]:
    """DOCUMENT with the value at a dotted path replaced, or removed when it is `...`."""
    document = copy.deepcopy(DOCUMENT)
    *parents, last = path.split(".")
    target = document
    for key in parents:
        target = target[key]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return document


def test_parse() -> None:
    lab = settings.parse(DOCUMENT)
    assert lab.ports.redis == 18013
    assert lab.node == settings.NodeSettings("lab-node-1", "127.0.16.0/20")
    assert lab.gateway == settings.GatewaySettings("churnguard-lab", 1.0)
    assert lab.component_kubeconfig("node") == Path("/srv/lab/kubeconfigs/node.kubeconfig")
    assert lab.log_dir == Path("/srv/lab/log")


def test_what_later_versions_add_is_ignored() -> None:
    assert settings.parse(changed("later", 1)) == settings.parse(DOCUMENT)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("state_dir", ..., "'state_dir' is missing"),
        ("python", "", "'python' is '', not a text"),
        ("repository", 3, "'repository' is 3, not a text"),
        ("ports", ..., "'ports' is missing"),
        ("ports", [1], "ports is list, not an object"),
        ("ports.moto", ..., "'moto' is missing"),
        ("ports.etcd", "18079", "port etcd is '18079', not a number from 1 to 65535"),
        ("ports.etcd", 0, "port etcd is 0,"),
        ("ports.etcd", 65536, "port etcd is 65536,"),
        ("ports.etcd", True, "port etcd is True,"),
        ("ports.etcd", 18000, "ports supervisor and etcd are both 18000"),
        ("node.name", ..., "'name' is missing"),
        ("node", None, "node is NoneType, not an object"),
        ("gateway.class", ..., "'class' is missing"),
        ("gateway.sync_delay_s", -1, "'sync_delay_s' is -1, not a number of seconds"),
        ("gateway.sync_delay_s", "1", "'sync_delay_s' is '1', not a number of seconds"),
        ("gateway.sync_delay_s", False, "'sync_delay_s' is False, not a number of seconds"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(settings.SettingsError) as raised:
        settings.parse(changed(path, value))
    assert message in str(raised.value)


def test_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.json"
    path.write_text(json.dumps(DOCUMENT))
    assert settings.load(path) == settings.parse(DOCUMENT)
    monkeypatch.setenv(settings.CONFIG_ENVIRONMENT, str(path))
    assert settings.load() == settings.parse(DOCUMENT)
    monkeypatch.delenv(settings.CONFIG_ENVIRONMENT)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(settings.SettingsError, match=r"there is no lab at \.lab/lab\.json: .*make lab-up"):
        settings.load()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_file_that_is_not_lab_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lab.json"
    path.write_text(text)
    with pytest.raises(settings.SettingsError, match=str(path)):
        settings.load(path)


def test_secret(tmp_path: Path) -> None:
    lab = settings.parse(changed("state_dir", str(tmp_path)))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "redis").write_text("word\n")
    assert lab.secret("redis") == "word"
    with pytest.raises(settings.SettingsError, match="secrets/jwt: No such file"):
        lab.secret("jwt")
