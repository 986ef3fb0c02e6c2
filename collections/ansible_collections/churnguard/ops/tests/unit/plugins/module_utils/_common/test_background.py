# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from email.message import Message
from urllib.error import HTTPError, URLError

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.background import Courier, check_url, reason
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

SECRET = "https://hooks.example/services/T0SECRET"


def test_items_arrive_in_their_order():
    got: list[int] = []
    courier: Courier[int] = Courier(got.append)
    for number in range(20):
        courier.give(number)
    assert courier.finish(10) == {"given": 20, "delivered": 20, "errors": []}
    assert got == list(range(20))


def test_what_fails_is_counted_and_the_rest_is_delivered():
    got: list[int] = []

    def deliver(number: int) -> None:
        if number % 2:
            raise ConnectionRefusedError(111, "Connection refused")
        got.append(number)

    courier: Courier[int] = Courier(deliver)
    for number in range(4):
        courier.give(number)
    assert courier.finish(10) == {"given": 4, "delivered": 2, "errors": ["connection refused"]}
    assert got == [0, 2]


def test_who_is_slow_keeps_nobody_waiting():
    held, busy = threading.Event(), threading.Event()

    def deliver(_number: int) -> None:
        busy.set()
        held.wait(30)

    courier: Courier[int] = Courier(deliver, room=2)
    begin = time.monotonic()
    courier.give(1)
    assert busy.wait(10)
    for number in range(10):
        courier.give(number)
    came = courier.finish(0.2)
    assert time.monotonic() - begin < 15
    held.set()
    assert came["given"] == 11
    assert came["delivered"] == 0
    assert came["errors"] == ["had too much to take", "did not take everything within 0.2 s of the end"]


def test_only_the_newest_counts_where_that_was_asked_for():
    held, busy = threading.Event(), threading.Event()
    got: list[int] = []

    def deliver(number: int) -> None:
        busy.set()
        held.wait(30)
        got.append(number)

    courier: Courier[int] = Courier(deliver, room=1, newest=True)
    courier.give(0)
    assert busy.wait(10)
    for number in range(1, 6):
        courier.give(number)
    held.set()
    assert courier.finish(10) == {"given": 2, "delivered": 2, "errors": []}
    assert got == [0, 5]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (HTTPError(SECRET, 503, SECRET, Message(), io.BytesIO()), "answered HTTP 503"),
        (URLError(ConnectionRefusedError(111, SECRET)), "connection refused"),
        (URLError(socket.gaierror(-2, SECRET)), "has a name that cannot be resolved"),
        (URLError(ssl.SSLCertVerificationError(SECRET)), "has no certificate that can be trusted"),
        (TimeoutError(SECRET), "did not answer in time"),
        (URLError(TimeoutError(SECRET)), "did not answer in time"),
        (http.client.InvalidURL(SECRET), "did not answer in HTTP"),
        (URLError(SECRET), "URLError"),
        (ValueError(SECRET), "ValueError"),
    ],
)
def test_the_reason_never_holds_the_address(error, text):
    assert reason(error) == text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example/T0SECRET",
        "ftp://h/T0SECRET",
        "https:///T0SECRET",
        "https://h:x/T0SECRET",
        "https://[T0SECRET",
        "https://h/T0SECRET x",
        "https://u:T0SECRET@h/",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url):
    with pytest.raises(OperationError) as raised:
        check_url(url, "notifications.webhook_url")
    assert "notifications.webhook_url" in str(raised.value)
    assert "T0SECRET" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("url", [SECRET, "http://127.0.0.1:9091", "http://[::1]:9091/base"])
def test_an_address_is_taken(url):
    check_url(url, "notifications.webhook_url")
