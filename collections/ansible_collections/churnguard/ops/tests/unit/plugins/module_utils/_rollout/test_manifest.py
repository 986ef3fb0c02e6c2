# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.manifest import (
    check_manifest,
    content_hash,
    merge_onto_live,
    slot_deployment,
    slot_selector,
)
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    APP,
    BLUE,
    GREEN,
    NAMESPACE,
    manifest,
    release,
    target,
)


def reordered(node):
    """The same data with every mapping's keys the other way round."""
    if isinstance(node, dict):
        return {key: reordered(node[key]) for key in reversed(node)}
    return [reordered(item) for item in node] if isinstance(node, list) else node


def changed(path: tuple, value) -> dict:
    result = manifest()
    node = result
    for step in path[:-1]:
        node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
    node[path[-1]] = value
    return result


TEMPLATE = ("spec", "template", "spec")
CONTAINER = (*TEMPLATE, "containers", 0)

# -- identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        reordered(manifest()),
        manifest(replicas=9),
        changed(("metadata", "name"), "other"),
        changed(("metadata", "labels"), {"slot": GREEN}),
        changed(("spec", "progressDeadlineSeconds"), 7),
        {**manifest(), "status": {"replicas": 3}},
    ],
    ids=["key order", "size", "name", "labels", "deadline", "status"],
)
def test_what_does_not_change_the_pods_does_not_change_the_hash(same):
    assert content_hash(same, "v1") == content_hash(manifest(), "v1")


@pytest.mark.parametrize(
    "other",
    [
        changed((*CONTAINER, "image"), "churnguard/ok:v2"),
        changed((*CONTAINER, "env"), [{"name": "A", "value": "1"}]),
        changed((*TEMPLATE, "terminationGracePeriodSeconds"), 60),
        changed(("spec", "template", "metadata", "annotations"), {"checksum/config": "1"}),
    ],
    ids=["image", "environment", "pod", "annotation"],
)
def test_what_changes_the_pods_changes_the_hash(other):
    assert content_hash(other, "v1") != content_hash(manifest(), "v1")


def test_another_version_is_another_release():
    assert content_hash(manifest(), "v2") != content_hash(manifest(), "v1")


def test_the_hash_is_the_same_tomorrow_and_elsewhere():
    assert content_hash({"spec": {"template": {"spec": {"a": "ä"}}}}, "v1") == "1a0b6bf3c7218c7e"


# -- checking --------------------------------------------------------------------------------------------------------


def test_a_deployment_with_an_image_is_accepted():
    check_manifest(manifest(), target(), "v1")


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({}, "it is a None None, not an apps/v1 Deployment"),
        ({**manifest(), "kind": "StatefulSet"}, "it is a apps/v1 StatefulSet"),
        ({**manifest(), "apiVersion": "v1"}, "it is a v1 Deployment"),
        (changed((*TEMPLATE, "containers"), []), "containers is empty"),
        ({**manifest(), "spec": None}, "containers is empty"),
        (changed((*CONTAINER, "image"), ""), "container 'api' has no image"),
        (changed((*CONTAINER, "image"), "  "), "container 'api' has no image"),
        (changed((*CONTAINER, "image"), None), "container 'api' has no image"),
        (changed((*TEMPLATE, "containers"), [{}]), r"container '\?' has no image"),
    ],
)
def test_a_deployment_that_cannot_work_is_refused_before_anything_is_touched(bad, text):
    with pytest.raises(OperationError, match=text):
        check_manifest(bad, target(), "v1")


# -- into a slot -----------------------------------------------------------------------------------------------------


def test_a_slots_deployment_is_named_labelled_selected_and_sized():
    given = manifest(replicas=9)
    before = copy.deepcopy(given)
    obj = slot_deployment(given, target(), release(GREEN, "v2", 3))
    labels = {"app": APP, "slot": GREEN, "version": "v2"}
    assert (obj["metadata"]["name"], obj["metadata"]["namespace"]) == (f"{APP}-green", NAMESPACE)
    assert obj["metadata"]["labels"] == obj["spec"]["template"]["metadata"]["labels"] == labels
    assert obj["metadata"]["annotations"] == {
        "churnguard.ops/content-hash": release(GREEN, "v2").content_hash,
        "churnguard.ops/version": "v2",
    }
    assert obj["spec"]["selector"] == {"matchLabels": {"app": APP, "slot": GREEN}}
    assert obj["spec"]["replicas"] == 3
    assert given == before


def test_the_users_labels_and_annotations_stay_unless_they_are_ours():
    given = manifest()
    given["metadata"].update(labels={"team": "a", "slot": "red"}, annotations={"owner": "b"})
    given["spec"]["template"]["metadata"] = {"labels": {"tier": "web", "version": "v0"}, "annotations": {"c": "d"}}
    given["status"] = {"replicas": 9}
    obj = slot_deployment(given, target(), release(BLUE))
    assert obj["metadata"]["labels"] == {"team": "a", "app": APP, "slot": BLUE, "version": "v1"}
    assert obj["metadata"]["annotations"]["owner"] == "b"
    assert obj["spec"]["template"]["metadata"] == {
        "labels": {"tier": "web", "app": APP, "slot": BLUE, "version": "v1"},
        "annotations": {"c": "d"},
    }
    assert "status" not in obj


def test_the_selector_selects_the_pods():
    obj = slot_deployment(manifest(), target(), release(GREEN, "v2"))
    assert slot_selector(target(), GREEN).items() <= obj["spec"]["template"]["metadata"]["labels"].items()


# -- over what is there ----------------------------------------------------------------------------------------------


def test_a_replacement_keeps_other_hands_labels_and_annotations_and_the_version_it_was_read_at():
    live = slot_deployment(manifest(), target(), release(GREEN, "v1"))
    live["metadata"].update(resourceVersion="7", uid="u")
    live["metadata"]["labels"]["argocd"] = "yes"
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "4"
    live["spec"]["paused"] = True
    obj = merge_onto_live(live, slot_deployment(manifest("v2"), target(), release(GREEN, "v2")))
    assert obj["metadata"]["labels"] == {"argocd": "yes", "app": APP, "slot": GREEN, "version": "v2"}
    assert obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"
    assert obj["metadata"]["annotations"]["churnguard.ops/version"] == "v2"
    assert obj["metadata"]["resourceVersion"] == "7"
    assert "paused" not in obj["spec"]
    assert live["metadata"]["labels"]["version"] == "v1"


@pytest.mark.parametrize("version", ["", " "])
def test_a_release_without_a_version_is_refused(version):
    with pytest.raises(OperationError, match="no version is given"):
        check_manifest(manifest("v1"), target(), version)
