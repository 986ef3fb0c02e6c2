# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real HTTP server on the loopback interface."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.connection import (
    Connection,
    client_configuration,
)
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import ApiError, Conflict, Unreachable
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.objects import Ref
from ansible_collections.churnguard.ops.tests.unit.support.clock import START, FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Server, free_port, script

REF = Ref("Deployment", "ns", "app-blue")
PATH = "/apis/apps/v1/namespaces/ns/deployments"
OBJECT = {"metadata": {"name": "app-blue", "resourceVersion": "7"}}
OK = Answer(200, OBJECT)


def connect(url: str, clock: FakeClock | None = None, **params) -> Connection:
    return Connection(client_configuration({"host": url, **params}), clock or FakeClock(), patience=20)


@pytest.fixture
def serve():
    servers = []

    def start(*answers: Answer, port: int = 0) -> Server:
        servers.append(Server(script(*answers), port).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


# -- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "method", "path", "kind", "body"),
    [
        (lambda c: c.get(REF), "GET", f"{PATH}/app-blue", None, None),
        (lambda c: c.create(REF, OBJECT), "POST", PATH, "application/json", OBJECT),
        (lambda c: c.replace(REF, OBJECT), "PUT", f"{PATH}/app-blue", "application/json", OBJECT),
        (
            lambda c: c.json_patch(REF, "7", [{"op": "replace", "path": "/spec/replicas", "value": 0}]),
            "PATCH",
            f"{PATH}/app-blue",
            "application/json-patch+json",
            [
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "replace", "path": "/spec/replicas", "value": 0},
            ],
        ),
        (
            lambda c: c.merge_patch(REF, "7", {"metadata": {"annotations": {"a": "b"}}}),
            "PATCH",
            f"{PATH}/app-blue",
            "application/merge-patch+json",
            {"metadata": {"annotations": {"a": "b"}, "resourceVersion": "7"}},
        ),
    ],
    ids=["get", "create", "replace", "json_patch", "merge_patch"],
)
def test_each_verb_sends_what_the_api_wants(serve, call, method, path, kind, body):
    server = serve(OK)
    assert call(connect(server.url)) == OBJECT
    request = server.requests[0]
    assert (request.method, request.path, request.headers.get("content-type")) == (method, path, kind)
    assert request.query == ({} if method == "GET" else {"fieldManager": "churnguard-rollout"})
    assert (request.json if request.body else None) == body


def test_a_list_is_filtered_by_the_server(serve):
    server = serve(Answer(200, {"items": [OBJECT]}))
    assert connect(server.url).list(Ref("Pod", "ns"), label_selector="app=a,slot=blue") == [OBJECT]
    assert server.requests[0].path == "/api/v1/namespaces/ns/pods"
    assert server.requests[0].query == {"labelSelector": "app=a,slot=blue"}


def test_a_list_without_items_is_empty(serve):
    assert connect(serve(Answer(200, {"items": None})).url).list(Ref("Pod", "ns")) == []


def test_a_trailing_slash_of_the_host_is_no_part_of_the_path(serve):
    server = serve(OK)
    connect(server.url + "/").get(REF)
    assert server.requests[0].path == f"{PATH}/app-blue"


# -- credentials -----------------------------------------------------------------------------------------------------


def kubeconfig(tmp_path, url: str, user: dict) -> str:
    path = tmp_path / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(config))
    return str(path)


def test_the_api_key_is_sent_as_a_bearer_token(serve):
    server = serve(OK)
    connect(server.url, api_key="s3cret").get(REF)
    assert server.requests[0].headers["authorization"] == "Bearer s3cret"


def test_the_token_of_a_kubeconfig_is_sent(serve, tmp_path):
    server = serve(OK)
    path = kubeconfig(tmp_path, server.url, {"token": "s3cret"})
    Connection(client_configuration({"kubeconfig": path}), FakeClock()).get(REF)
    assert server.requests[0].headers["authorization"] == "Bearer s3cret"


def test_the_token_that_the_library_finds_is_sent(serve, tmp_path):
    server = serve(OK)
    token = tmp_path / "token"
    token.write_text("from-a-file")
    path = kubeconfig(tmp_path, server.url, {"tokenFile": str(token)})
    Connection(client_configuration({"kubeconfig": path}), FakeClock()).get(REF)
    assert server.requests[0].headers["authorization"] == "Bearer from-a-file"


def test_the_token_of_an_exec_plugin_is_sent(serve, tmp_path):
    server = serve(OK)
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-the-plugin"},
    }
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "echo",
        "args": [json.dumps(credential)],
        "interactiveMode": "Never",
    }
    path = kubeconfig(tmp_path, server.url, {"exec": plugin})
    Connection(client_configuration({"kubeconfig": path}), FakeClock()).get(REF)
    assert server.requests[0].headers["authorization"] == "Bearer from-the-plugin"


def test_without_a_credential_none_is_sent(serve):
    server = serve(OK)
    connect(server.url).get(REF)
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("content", [None, "not: [yaml", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_does_not_work_is_the_users_error(tmp_path, content):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OperationError, match="find the cluster"):
        client_configuration({"kubeconfig": str(path)})


def test_options_override_what_the_kubeconfig_says(tmp_path):
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", {})
    configuration = client_configuration({"kubeconfig": path, "ca_cert": "other-ca.pem", "validate_certs": False})
    assert (configuration.ssl_ca_cert, configuration.verify_ssl) == ("other-ca.pem", False)
    assert client_configuration({"kubeconfig": path}).verify_ssl is True


# -- answers ---------------------------------------------------------------------------------------------------------


def test_an_absent_object_is_none(serve):
    assert connect(serve(Answer(404, {"message": "not found"})).url).get(REF) is None


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422])
def test_a_refused_write_is_not_tried_again(serve, status):
    server, clock = serve(Answer(status, {"message": "no."})), FakeClock()
    with pytest.raises(ApiError, match=f"answered {status}: no") as caught:
        connect(server.url, clock).replace(REF, OBJECT)
    assert isinstance(caught.value, Conflict) == (status == 409)
    assert (len(server.requests), clock.elapsed) == (1, 0)


def test_a_page_of_something_that_is_no_api_server_is_quoted(serve):
    with pytest.raises(ApiError, match="answered 200: <html>Log in"):
        connect(serve(Answer(200, "<html>Log in</html>")).url).get(REF)


def test_a_forbidden_read_is_no_absent_object(serve):
    clock = FakeClock()
    with pytest.raises(ApiError, match="403"):
        connect(serve(Answer(403, {"message": "no."})).url, clock).get(REF)
    assert 3 <= clock.elapsed < 6


def test_a_server_that_has_just_started_may_forbid_for_a_moment(serve):
    """Until it has loaded its roles; a rollout must not be taken back for that."""
    server = serve(Answer(403, {"message": "no."}), Answer(403, {"message": "no."}), OK)
    assert connect(server.url, FakeClock()).get(REF) == OBJECT


def test_a_right_that_is_missing_is_said_after_a_few_seconds(serve):
    clock = FakeClock()
    with pytest.raises(ApiError, match="answered 403: no.* let this user 'update' deployments"):
        connect(serve(Answer(403, {"message": "no."})).url, clock).replace(REF, OBJECT)
    assert 3 <= clock.elapsed < 6


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_asks_to_come_again_is_asked_again(serve, status):
    server, clock = serve(Answer(status), Answer(status), OK), FakeClock()
    assert connect(server.url, clock).get(REF) == OBJECT
    assert len(server.requests) == 3
    assert clock.elapsed == pytest.approx(0.2 + 0.32)


def test_patience_ends(serve):
    server, clock = serve(Answer(503)), FakeClock()
    with pytest.raises(Unreachable, match=f"no usable answer from {server.url} for 2\\d s: answer 503"):
        connect(server.url, clock).get(REF)
    assert 20 <= clock.elapsed <= 22.1


def test_nobody_listens():
    clock = FakeClock()
    with pytest.raises(Unreachable, match="check that the API server runs"):
        connect(f"http://127.0.0.1:{free_port()}", clock).get(REF)
    assert clock.elapsed >= 20


def test_a_server_that_comes_up_late_is_found(serve):
    port = free_port()

    class ServerStartsLater(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.elapsed > 5 and not started:
                started.append(serve(OK, port=port))

    started: list[Server] = []
    assert connect(f"http://127.0.0.1:{port}", ServerStartsLater()).get(REF) == OBJECT


def test_a_connection_that_breaks_off_is_tried_again(serve):
    server = serve(Answer(200, OBJECT, cut=True), OK)
    assert connect(server.url).get(REF) == OBJECT
    assert len(server.requests) == 2


def test_a_write_whose_answer_was_lost_ends_in_a_conflict_and_not_in_a_second_write(serve):
    server = serve(Answer(201, OBJECT, cut=True), Answer(409, {"message": "already exists"}))
    with pytest.raises(Conflict):
        connect(server.url).create(REF, OBJECT)


# -- the server's clock ----------------------------------------------------------------------------------------------


def test_the_time_is_the_servers(serve):
    clock = FakeClock()
    connection = connect(serve(Answer(200, OBJECT, {"Date": "Sun, 22 Nov 2026 07:00:00 GMT"})).url, clock)
    assert connection.server_now() == START
    connection.get(REF)
    assert connection.server_now() == datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
    clock.sleep(5)
    assert connection.server_now() == datetime(2026, 11, 22, 7, 0, 5, tzinfo=UTC)


def test_an_answer_without_a_date_changes_nothing(serve):
    clock = FakeClock()
    connection = connect(serve(OK).url, clock)
    connection.get(REF)
    assert connection.server_now() - clock.now() == timedelta(0)


@pytest.mark.parametrize("date", ["yesterday", "", "Sun, 99 Nov 2026 07:00:00 GMT", "Sun, 22 Nov 2026 07:00:00"])
def test_a_date_that_is_none_changes_nothing(serve, date):
    connection = connect(serve(Answer(200, OBJECT, {"Date": date})).url)
    assert connection.get(REF) == OBJECT
    assert connection.server_now() == START
