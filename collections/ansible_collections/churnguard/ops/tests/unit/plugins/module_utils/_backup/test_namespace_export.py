# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a namespace is exported, and that an archive comes back whole or not at all."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._backup import archive, namespace_export, namespace_plan
from ansible_collections.churnguard.ops.plugins.module_utils._backup.namespace_export import Collected
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.tests.unit.support.clock import START, FakeClock
from cryptography.fernet import Fernet

SECRET = "c2VjcmV0LXZhbHVl"


def obj(kind="ConfigMap", name="settings", api_version="v1", metadata=None, **more):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **(metadata or {})}, **more}


OBJECTS = [
    obj(data={"a": "ü"}),
    obj("Secret", "keys", data={"password": SECRET}),
    obj("Deployment", "api", "apps/v1", spec={"replicas": 2}),
]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(Fernet.generate_key() + b"\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def keys(key_file):
    return archive.read_keys(key_file)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "exports"


@pytest.fixture
def export(folder, keys, clock):
    return namespace_export.write(folder, "shop", Collected(OBJECTS, {}), keys, clock)


def archive_of(manifest: Path) -> Path:
    return manifest.with_name(json.loads(manifest.read_text())["archive"])


def reseal(manifest: Path, files, keys):
    """Write another archive with a manifest that fits it: what is left to find is inside."""
    content = archive.pack(files, keys)
    archive_of(manifest).write_bytes(content)
    changed = json.loads(manifest.read_text()) | {"archive_sha256": archive.sha256(content)}
    manifest.write_text(json.dumps(changed))


class TestStripping:
    def test_what_the_server_writes_goes_and_the_rest_stays(self):
        written = {
            "uid": "u",
            "resourceVersion": "1",
            "generation": 2,
            "creationTimestamp": "x",
            "managedFields": [],
            "selfLink": "x",
        }
        full = obj(
            "Deployment",
            "api",
            "apps/v1",
            {**written, "labels": {"a": "b"}, "annotations": {"deployment.kubernetes.io/revision": "3", "keep": "me"}},
            spec={"replicas": 2},
            status={"readyReplicas": 2},
        )
        assert namespace_plan.stripped(full) == obj(
            "Deployment", "api", "apps/v1", {"labels": {"a": "b"}, "annotations": {"keep": "me"}}, spec={"replicas": 2}
        )
        assert namespace_plan.still_unstripped(namespace_plan.stripped(full)) == []
        assert set(namespace_plan.still_unstripped(full)) == {*written, "status"}

    @pytest.mark.parametrize(
        ("kind", "api_version", "spec", "left"),
        [
            ("Service", "v1", {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": []}, {"ports": []}),
            ("Service", "v1", {"clusterIP": "None"}, {"clusterIP": "None"}),
            ("PersistentVolumeClaim", "v1", {"volumeName": "pv-1", "x": 1}, {"x": 1}),
            (
                "Job",
                "batch/v1",
                {"selector": {}, "template": {"metadata": {"labels": {"controller-uid": "1", "a": "b"}}, "spec": {}}},
                {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}},
            ),
        ],
    )
    def test_what_the_cluster_allocated_goes(self, kind, api_version, spec, left):
        assert namespace_plan.stripped(obj(kind, "x", api_version, spec=spec))["spec"] == left

    @pytest.mark.parametrize(
        ("found", "reason"),
        [
            (obj(), ""),
            (obj("Pod", metadata={"ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}), "a ReplicaSet"),
            (obj("Pod", metadata={"ownerReferences": [{"kind": "X"}]}), ""),
            (obj(metadata={"deletionTimestamp": "x"}), "being deleted"),
            (obj("ConfigMap", "kube-root-ca.crt"), "made by the cluster"),
            (obj("Secret", type="kubernetes.io/service-account-token"), "a token of this cluster"),
            (obj("Secret", type="Opaque"), ""),
        ],
    )
    def test_what_is_made_again_is_left_out(self, found, reason):
        said = namespace_plan.reason_to_leave_out(found)
        assert (reason in said) if reason else said == ""

    @pytest.mark.parametrize(
        ("changed", "group", "taken"),
        [
            ({}, "apps", True),
            ({"namespaced": False}, "apps", False),
            ({"verbs": ["get", "list"]}, "apps", False),
            ({"verbs": None}, "apps", False),
            ({"name": "deployments/scale"}, "apps", False),
            ({"kind": "Event"}, "", False),
            ({"kind": "Mine"}, "apps", False),
            ({}, "metrics.k8s.io", False),
        ],
    )
    def test_which_kinds_are_exported(self, changed, group, taken):
        entry = {
            "name": "deployments",
            "kind": "Deployment",
            "namespaced": True,
            "verbs": ["create", "list"],
            **changed,
        }
        assert namespace_plan.exported(entry, group, ["Mine"]) is taken


class TestArchive:
    def test_it_comes_back_as_it_went(self, export, keys, clock):
        clock.sleep(5)
        manifest = namespace_export.restore_test(export, keys, clock)
        assert manifest["counts"] == {"apps/Deployment": 1, "core/ConfigMap": 1, "core/Secret": 1}
        assert manifest["verified_at"] == isoformat(START + timedelta(seconds=5))
        assert json.loads(export.read_text())["verified_at"] == manifest["verified_at"]

    def test_no_secret_is_readable_and_only_the_owner_may_read(self, export, folder):
        for path in folder.iterdir():
            assert SECRET.encode() not in path.read_bytes()
            assert path.stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
        assert "keys" not in export.read_text()

    def test_a_changed_byte_is_found_by_the_sum_and_by_the_encryption(self, export, keys, clock):
        file = archive_of(export)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        with pytest.raises(OperationError, match="its SHA-256 is not"):
            namespace_export.restore_test(export, keys, clock)
        manifest = json.loads(export.read_text()) | {"archive_sha256": archive.sha256(bytes(content))}
        export.write_text(json.dumps(manifest))
        with pytest.raises(OperationError, match="no key fits, or it was changed"):
            namespace_export.restore_test(export, keys, clock)

    @pytest.mark.parametrize("share", [0, 0.5, 0.99])
    def test_half_of_it_is_none_of_it(self, export, keys, clock, share):
        file = archive_of(export)
        file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
        with pytest.raises(OperationError, match="SHA-256"):
            namespace_export.restore_test(export, keys, clock)
        with pytest.raises(OperationError, match="no key fits"):
            archive.unpack(file.read_bytes(), keys, "half")

    def test_an_object_that_is_missing_or_changed_is_named(self, export, keys, clock):
        files = archive.unpack(archive_of(export).read_bytes(), keys, "it")
        name = "objects/core/Secret/keys.json"
        reseal(export, {key: text for key, text in files.items() if key != name}, keys)
        with pytest.raises(OperationError, match=f"differs from its inner manifest in .*{name}"):
            namespace_export.restore_test(export, keys, clock)
        reseal(export, files | {name: files[name].replace(SECRET, "b3RoZXI=")}, keys)
        with pytest.raises(OperationError, match=f"{name} has another SHA-256"):
            namespace_export.restore_test(export, keys, clock)
        reseal(export, {key: text for key, text in files.items() if key.startswith("objects")}, keys)
        with pytest.raises(OperationError, match="inner manifest cannot be read"):
            namespace_export.restore_test(export, keys, clock)

    def test_counts_are_compared(self, export, keys, clock):
        manifest = json.loads(export.read_text())
        manifest["counts"]["core/Secret"] = 2
        export.write_text(json.dumps(manifest))
        with pytest.raises(OperationError, match="the manifest says"):
            namespace_export.restore_test(export, keys, clock)
        assert json.loads(export.read_text())["verified_at"] is None

    def test_a_rotated_key_still_reads_what_the_old_one_wrote(self, export, key_file, clock):
        key_file.write_bytes(Fernet.generate_key() + b"\n" + key_file.read_bytes())
        assert namespace_export.restore_test(export, archive.read_keys(key_file), clock)["objects"] == 3

    def test_another_key_reads_nothing(self, export, clock, key_file):
        key_file.write_bytes(Fernet.generate_key())
        with pytest.raises(OperationError, match="no key fits"):
            namespace_export.restore_test(export, archive.read_keys(key_file), clock)

    @pytest.mark.parametrize(
        ("text", "mode", "said"),
        [
            (None, 0o600, "No such file"),
            ("", 0o600, "it has no key"),
            ("# only a comment\n", 0o600, "it has no key"),
            ("s3cret-that-is-no-key", 0o600, "or a line that is none"),
            ("ü", 0o600, "it holds no keys"),
            pytest.param(Fernet.generate_key().decode(), 0o640, "others may read it", id="a good one"),
        ],
    )
    def test_a_key_file_that_cannot_be_used_is_refused_without_showing_it(self, tmp_path, text, mode, said):
        path = tmp_path / "other"
        if text is not None:
            path.write_text(text)
            path.chmod(mode)
        with pytest.raises(OperationError, match=said) as caught:
            archive.read_keys(path)
        assert "s3cret" not in str(caught.value)


class TestFolder:
    def exports(self, folder, keys, clock, days, namespace="shop", verified=True):
        for day in days:
            clock.elapsed = -86400.0 * day
            path = namespace_export.write(folder, namespace, Collected(OBJECTS, {}), keys, clock)
            if verified:
                namespace_export.restore_test(path, keys, clock)
        clock.elapsed = 0.0

    def test_the_newest_is_found_and_another_namespace_of_a_longer_name_is_not(self, folder, keys, clock):
        self.exports(folder, keys, clock, [3, 1])
        self.exports(folder, keys, clock, [0], "shop-production")
        assert namespace_export.newest(folder, "shop").name == "shop-20261120T190000Z.manifest.json"
        assert namespace_export.newest(folder, "sho") is None

    def test_expired_ones_go_with_their_archives(self, folder, keys, clock):
        self.exports(folder, keys, clock, [400, 366, 364, 1])
        self.exports(folder, keys, clock, [500], "shop-production")
        planned = namespace_export.expire(folder, "shop", 365, 1, clock, True)
        assert len(list(folder.iterdir())) == 10
        assert namespace_export.expire(folder, "shop", 365, 1, clock, False) == planned
        assert len(planned) == 2
        assert len(list(folder.iterdir())) == 6
        assert namespace_export.expire(folder, "shop", 365, 1, clock, False) == []

    def test_the_last_verified_ones_stay_however_old(self, folder, keys, clock):
        self.exports(folder, keys, clock, [500, 400])
        self.exports(folder, keys, clock, [390], verified=False)
        assert len(namespace_export.expire(folder, "shop", 365, 2, clock, False)) == 1
        assert len(list(folder.glob("*.manifest.json"))) == 2

    def test_what_a_killed_run_left_goes_an_hour_later_and_what_is_whole_stays(self, folder, keys, clock, export):
        orphan = folder / "shop-20261101T000000Z.tar.fernet"
        draft = folder / ".shop-20261101T000000Z.manifest.json.123"
        other = folder / "shop-production-20261101T000000Z.tar.fernet"
        for path in (orphan, draft, other, archive_of(export), export):
            path.touch()
            os.utime(path, (START.timestamp() - 3000,) * 2)
        assert namespace_export.clear_leftovers(folder, "shop", clock) == []
        clock.elapsed = 601.0
        assert namespace_export.clear_leftovers(folder, "shop", clock) == sorted([draft.name, orphan.name])
        assert {path.name for path in folder.iterdir()} == {other.name, export.name, archive_of(export).name}

    def test_a_full_or_missing_folder_leaves_nothing_half(self, tmp_path, keys, clock):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OperationError, match="create .*file/exports"):
            namespace_export.write(tmp_path / "file" / "exports", "shop", Collected(OBJECTS, {}), keys, clock)
        assert (tmp_path / "file").read_text() == "in the way"
