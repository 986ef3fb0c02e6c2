"""How failed calls are told, against listeners that are no API server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from churnguard_lab.node.api import ApiError, NodeApi


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[str], NodeApi]:
    """Makes a client of the server at an address."""

    def make(server: str) -> NodeApi:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return NodeApi(path)

    return make


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """Makes listeners that answer every connection with these bytes and hang up; gives the port."""
    listeners = []

    def listen(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _address = listener.accept()
                except OSError:
                    return  # the test is over
                with connection:
                    if answer:
                        connection.recv(65536)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield listen
    for listener in listeners:
        listener.close()


def reply(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_breaks_is_no_answer(
    scheme: str, connect: Callable[[str], NodeApi], answering: Callable[[bytes], int]
) -> None:
    api = connect(f"{scheme}://127.0.0.1:{answering(b'')}")
    calls = (
        lambda: api.list_pods("n"),
        lambda: list(api.watch_pods("n", "1")),
        lambda: api.patch_pod_status("ns", "p", "u", {}),
        lambda: api.delete_pod("ns", "p", "u"),
    )
    for call in calls:
        with pytest.raises(ApiError) as caught:
            call()
        assert caught.value.status is None
        assert caught.value.unavailable
        assert "no answer from the API server" in str(caught.value)


def test_nobody_listens(connect: Callable[[str], NodeApi]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ApiError, match="list the pods of node n: no answer from the API server") as caught:
        connect(f"https://127.0.0.1:{port}").list_pods("n")
    assert caught.value.unavailable


@pytest.mark.parametrize(
    ("status", "body", "words", "unavailable"),
    [
        ("403 Forbidden", '{"message": "you may not"}', "403 you may not", False),
        ("410 Gone", "not JSON", "410 Gone", False),
        ("429 Too Many Requests", "{}", "429 Too Many Requests", True),
        ("503 Service Unavailable", "[]", "503 Service Unavailable", True),
        ("200 OK", "not JSON", "no answer from the API server", True),
    ],
)
def test_what_the_server_said_is_told(
    status: str,
    body: str,
    words: str,
    unavailable: bool,
    connect: Callable[[str], NodeApi],
    answering: Callable[[bytes], int],
) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        connect(f"http://127.0.0.1:{answering(reply(status, body))}").list_pods("n")
    assert caught.value.unavailable is unavailable


@pytest.mark.parametrize("status", ["404 Not Found", "409 Conflict"])
def test_deleting_what_is_gone_is_no_error(
    status: str, connect: Callable[[str], NodeApi], answering: Callable[[bytes], int]
) -> None:
    connect(f"http://127.0.0.1:{answering(reply(status, '{}'))}").delete_pod("ns", "p", "u")


def test_a_missing_object_is_none(connect: Callable[[str], NodeApi], answering: Callable[[bytes], int]) -> None:
    api = connect(f"http://127.0.0.1:{answering(reply('404 Not Found', '{}'))}")
    assert api.get_object("secret", "ns", "s") is None


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="kubeconfig"):
        NodeApi(tmp_path / "kubeconfig")
