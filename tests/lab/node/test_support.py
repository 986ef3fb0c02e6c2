"""What the node cannot do is named."""

from __future__ import annotations

from typing import Any

import pytest
from churnguard_lab.node.support import unsupported

OK = {"name": "c", "image": "a:1"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "hostPath"),
        ({"initContainers": [{**OK, "restartPolicy": "Always"}]}, "sidecar"),
        ({"activeDeadlineSeconds": 5}, "activeDeadlineSeconds"),
        ({"containers": [{**OK, "lifecycle": {"postStart": {"exec": {}}}}]}, "postStart"),
        ({"containers": [{**OK, "lifecycle": {"stopSignal": "SIGINT"}}]}, "stopSignal"),
        ({"containers": [{**OK, "livenessProbe": {"grpc": {"port": 1}}}]}, "grpc"),
        ({"containers": [{**OK, "lifecycle": {"preStop": {"httpGet": {"port": "x"}}}}]}, "'x'"),
    ],
)
def test_named(spec: dict[str, Any], words: str) -> None:
    found = unsupported({"spec": {"containers": [OK]} | spec})
    assert len(found) == 1
    assert words in found[0]


def test_an_ordinary_pod_has_nothing_unsupported() -> None:
    container = {
        **OK,
        "ports": [{"name": "http", "containerPort": 1}],
        "readinessProbe": {"httpGet": {"port": "http"}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "c"}}]
    assert unsupported({"spec": {"containers": [container], "volumes": volumes}}) == []
