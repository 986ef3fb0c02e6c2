"""churnguard.ops.namespace_export against the lab's API server: an export that can be restored, Secrets included."""

from __future__ import annotations

import json
import os
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.testing import patch_module_args
from cryptography.fernet import Fernet
from kubernetes import client, utils

from tests.roles.playing import ROOT

sys.path.append(str(ROOT / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._backup import archive  # noqa: E402
from ansible_collections.churnguard.ops.plugins.modules import namespace_export  # noqa: E402

pytestmark = pytest.mark.lab

VALUE = b64encode(b"a-value-nobody-may-read").decode()
LABELS = {"app": "exported"}
OBJECTS = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"mode": "ü"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "data": {"password": VALUE}},
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "exported"},
        "spec": {"selector": LABELS, "ports": [{"port": 80}]},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "exported"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "none"}]}},
        },
    },
]


@pytest.fixture
def export(api, tmp_path, capfd, monkeypatch):
    """Runs the module on a namespace: its result."""
    monkeypatch.setattr(_internal, "is_controller", False)
    key = tmp_path / "key"
    key.write_bytes(Fernet.generate_key())
    key.chmod(0o600)
    lab = Path(os.environ.get("CHURNGUARD_LAB_DIR") or ROOT / ".lab")

    def run(namespace, check=False, **options):
        place = {"namespace": namespace, "path": str(tmp_path / "exports"), "key_file": str(key)}
        given = {**place, "kubeconfig": str(lab / "kubeconfig"), **options, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            namespace_export.main()
        output = capfd.readouterr().out
        assert VALUE not in output
        return json.loads(output)

    run.keys = lambda: archive.read_keys(key)
    return run


def create(api, namespace, objects):
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": namespace}})
    for obj in objects:
        utils.create_from_dict(api, {**obj, "metadata": {**obj["metadata"], "namespace": namespace}})


def test_an_export_restores_what_was_there(api, namespace, deleted_namespaces, export, tmp_path):
    create(api, namespace, OBJECTS)
    planned = export(namespace, check=True)
    assert not (tmp_path / "exports").exists()
    taken = export(namespace)
    assert taken["counts"] == planned["counts"]
    ours = {"core/ConfigMap": 1, "core/Secret": 1, "core/Service": 1, "apps/Deployment": 1, "core/Namespace": 1}
    assert taken["counts"].items() >= ours.items()
    assert taken["verified_at"]
    for path in (taken["archive"], taken["manifest_file"]):
        assert VALUE.encode() not in Path(path).read_bytes()

    files = archive.unpack(Path(taken["archive"]).read_bytes(), export.keys(), "it")
    objects = [json.loads(text) for name, text in files.items() if name.startswith("objects/")]
    again = f"{namespace}-again"
    deleted_namespaces.append(again)
    try:
        create(api, again, [obj for obj in objects if obj["kind"] in {"ConfigMap", "Secret", "Service", "Deployment"}])
        assert client.CoreV1Api(api).read_namespaced_secret("keys", again).data == {"password": VALUE}
        assert export(again)["counts"] == taken["counts"]
    finally:
        client.CoreV1Api(api).delete_namespace(again)


def test_an_export_can_be_tested_later_and_a_missing_namespace_is_named(api, namespace, export):
    refused = export(namespace)
    assert "there is none of that name" in refused["msg"]
    create(api, namespace, OBJECTS[:1])
    taken = export(namespace)
    tested = export(namespace, state="verified", kubeconfig=None)
    assert (tested["archive"], tested["counts"]) == (taken["archive"], taken["counts"])
    content = Path(taken["archive"]).read_bytes()
    Path(taken["archive"]).write_bytes(content[:-10])
    assert "its SHA-256 is not" in export(namespace, state="verified")["msg"]
