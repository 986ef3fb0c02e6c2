"""HAProxy really run: what clients see of weights, drains, reloads and dead controllers."""

from __future__ import annotations

import collections
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab.gateway.haproxy import HAProxyError
from churnguard_lab.gateway.render import Rendered

from ..chance import assert_share
from ..waiting import until


@pytest.fixture
def served(plane: Any, make: Any, application: Any) -> Any:
    """Two blue pods and a green one behind the gateway, all weight on blue."""
    plane.blue = [application("blue").ip, application("blue").ip]
    plane.green = application("green").ip
    plane.services = [make.service("blue"), make.service("green")]
    plane.pods = lambda blue=2, green=1: (
        [make.pod(f"blue-{n}", plane.blue[n]) for n in range(blue)]
        + [make.pod(f"green-{n}", plane.green) for n in range(green)]
    )
    plane.set([make.route({"blue": 100, "green": 0})], plane.services, plane.pods())
    return plane


def in_progress(ip: str) -> int:
    """How many requests an application is answering."""
    with urllib.request.urlopen(f"http://{ip}:8080/metrics", timeout=20) as reply:
        (line,) = [line for line in reply if line.startswith(b"churnguard_requests_in_progress ")]
    return int(line.split()[1])


def versions(port: int, host: str, count: int, **headers: str) -> collections.Counter[str]:
    """Which versions answer `count` requests over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    found: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        connection.request("GET", "/api/v1/version", headers={"Host": host, **headers})
        reply = connection.getresponse()
        reply.read()
        found[reply.headers["X-ChurnGuard-Version"] or str(reply.status)] += 1
    connection.close()
    return found


def green_of(served: Any, count: int) -> int:
    """How many of `count` requests the green slot answered."""
    return versions(served.front_port, "shop.lab", count)["green"]


def test_weights_split_exactly_and_without_a_reload(served: Any, make: Any) -> None:
    reloads = served.count("reloads")
    for weight in (0, 1, 10, 50, 100, 0):
        served.set([make.route({"blue": 100 - weight, "green": weight})], served.services, served.pods())
        # No source of spread but chance is allowed.
        assert_share(f"weight {weight}", lambda n: green_of(served, n), 5000, weight / 100)
        pinned = versions(served.front_port, "shop.lab", 20, **{"X-ChurnGuard-Slot": "green"})
        assert pinned == {"green": 20}, f"weight {weight}"
    assert served.count("reloads") == reloads


def test_split_does_not_depend_on_the_number_of_pods(served: Any, make: Any) -> None:
    only_one_blue = served.pods(blue=1)
    served.set([make.route({"blue": 1, "green": 1})], served.services, only_one_blue)
    assert_share("one pod to one", lambda n: green_of(served, n), 2000, 0.5)
    served.set([make.route({"blue": 1, "green": 1})], served.services, served.pods())
    assert_share("two pods to one", lambda n: green_of(served, n), 2000, 0.5)


def test_a_pod_that_terminates_gets_nothing_new_and_finishes_what_it_has(served: Any, make: Any) -> None:
    reloads = served.count("reloads")
    served.set([make.route({"blue": 0, "green": 100})], served.services, served.pods())
    replies: list[tuple[int, str]] = []

    def slow() -> None:
        status, headers, _ = served.get("/api/v1/slow?seconds=4")
        replies.append((status, headers["X-ChurnGuard-Version"]))

    threads = [threading.Thread(target=slow) for _ in range(5)]
    for thread in threads:
        thread.start()
    until("five requests under way", lambda: in_progress(served.green) == 5)
    draining = [*served.pods(green=0), make.pod("green-0", served.green, deleted=True)]
    served.set([make.route({"blue": 0, "green": 100})], served.services, draining)
    status, headers, body = served.get()
    assert (status, headers["X-Gateway-Reason"]) == (503, "no-ready-pods")
    assert "Service shop/shop-green port 80 has no ready pod" in body
    assert replies == [], "slow requests are still under way"
    for thread in threads:
        thread.join()
    assert replies == [(200, "green")] * 5
    gone = served.set([make.route({"blue": 0, "green": 100})], served.services, served.pods(green=0))
    assert set(gone.pools["shop_shop-green_80"]) == {None}
    back = served.set([make.route({"blue": 0, "green": 100})], served.services, served.pods())
    assert back.pools["shop_shop-green_80"][0].ip == served.green
    assert served.get()[0] == 200
    assert served.count("reloads") == reloads


def test_replies_of_the_gateway_itself_say_why(served: Any, make: Any, plane: Any) -> None:
    def reason(reply: tuple[int, Any, str]) -> tuple[int, str]:
        return reply[0], reply[1]["X-Gateway-Reason"]

    assert reason(served.get(Host="unknown.lab")) == (404, "no-route")
    served.set([make.route({"blue": 0, "green": 0})], served.services, served.pods())
    assert reason(served.get()) == (503, "no-weight")
    served.set([make.route({"blue": 50, "green": 50})], [make.service("blue")], served.pods())
    statuses: set[int] = set()

    def refused(count: int) -> int:
        found = collections.Counter(served.get()[0] for _ in range(count))
        statuses.update(found)
        return found[500]

    assert_share("a Service that is missing", refused, 200, 0.5)
    assert statuses == {200, 500}
    assert reason(served.get(X_ChurnGuard_Slot="green")) == (500, "backend-not-found")
    nobody_listens = [make.pod("green-0", "127.0.63.9")]
    served.set([make.route({"blue": 0, "green": 100})], served.services, nobody_listens)
    assert reason(served.get()) == (503, "connect-failed")


def test_reload_under_load_fails_nothing(served: Any, make: Any, tmp_path: Path) -> None:
    load = start_load(served, tmp_path / "ledger.jsonl", seconds=9)
    for number in range(6):
        time.sleep(1.2)
        other = make.route({"blue": 1, "green": 1}, hostnames=[f"other-{number}.lab"])
        other["metadata"]["name"] = f"other-{number}"
        served.set([make.route({"blue": 50, "green": 50}), other], served.services, served.pods())
    summary = finish_load(load, tmp_path / "ledger.jsonl")
    assert served.count("reloads") >= 6
    assert summary["failures"] == {}
    assert (summary["sent"], summary["failed"]) == (1350, 0)


def test_idle_client_of_a_replaced_worker_is_served_by_the_new_state(served: Any, make: Any, application: Any) -> None:
    """A connection that idles through a reload stays with the old worker, which knows neither the new weights nor the
    new pods: it must hand the next request over."""
    connection = http.client.HTTPConnection("127.0.0.1", served.front_port, timeout=20)

    def ask() -> str:
        connection.request("GET", "/api/v1/version", headers={"Host": "shop.lab"})
        reply = connection.getresponse()
        reply.read()
        return reply.headers["X-ChurnGuard-Version"]

    assert ask() == "blue"
    kept = connection.sock
    other = make.route({"blue": 1, "green": 1}, hostnames=["other.lab"])
    other["metadata"]["name"] = "other"
    reloads = served.count("reloads")
    served.set([make.route({"blue": 100, "green": 0}), other], served.services, served.pods())
    assert served.count("reloads") == reloads + 1
    assert len(served.data_plane.haproxy.workers()) == 2, "the old worker waits for its idle client"
    newer = make.pod("green-9", application("newest").ip)
    state = [*served.pods(green=0), newer]
    served.set([make.route({"blue": 0, "green": 100}), other], served.services, state)
    assert connection.sock is kept
    assert ask() == "newest"


def test_state_survives_a_restart_of_haproxy(served: Any, make: Any) -> None:
    state = [*served.pods(green=0), make.pod("green-0", served.green, deleted=True)]
    served.set([make.route({"blue": 70, "green": 30})], served.services, state)
    haproxy = served.data_plane.haproxy
    before = haproxy.actual(haproxy.workers()[0])
    haproxy.stop()
    served.open()
    after = haproxy.actual(haproxy.workers()[0])
    assert (after.structure, after.entries) == (before.structure, before.entries)
    drained = after.servers["shop_shop-green_80", "s1"]
    assert (drained.ip, drained.weight, drained.is_maintenance) == (served.green, 0, False)
    assert served.get()[0] in (200, 503)


def test_pool_grows_by_a_reload(served: Any, make: Any) -> None:
    reloads = served.count("reloads")
    many = [make.pod(f"blue-{n}", served.blue[n % 2]) for n in range(17)]
    desired = served.set([make.route({"blue": 1, "green": 0})], served.services, many)
    assert len(desired.pools["shop_shop-blue_80"]) == 32
    assert served.count("reloads") == reloads + 1
    assert versions(served.front_port, "shop.lab", 50) == {"blue": 50}


def test_killed_haproxy_is_started_again(served: Any, make: Any) -> None:
    for process in served.data_plane.haproxy.processes():
        os.kill(process.pid, signal.SIGKILL)
    served.await_dead()
    served.set([make.route({"blue": 100, "green": 0})], served.services, served.pods())
    assert versions(served.front_port, "shop.lab", 5) == {"blue": 5}


def test_a_taken_port_is_named(plane: Any, tmp_path: Path) -> None:
    other = type(plane).__new__(type(plane))
    other.__dict__.update(plane.__dict__)
    other.directory = tmp_path / "second"
    with pytest.raises(HAProxyError, match=rf"(?s)HAProxy ended.*127\.0\.0\.1:{plane.front_port}"):
        other.open()


def test_an_impossible_configuration_never_reaches_the_running_worker(served: Any, make: Any) -> None:
    with pytest.raises(HAProxyError, match="refuses"):
        served.data_plane.haproxy.check(Rendered("global\n  nonsense\n", "", "0"))
    assert versions(served.front_port, "shop.lab", 5) == {"blue": 5}


def start_load(plane: Any, ledger: Path, seconds: int, rate: int = 150) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "churnguard_lab.load", "run", "--url", plane.url, "--host", "shop.lab"]
    command += ["--rate", str(rate), "--duration", str(seconds), "--ledger", str(ledger), "--quiet"]
    command += ["--slow-seconds", "2"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def finish_load(load: subprocess.Popen[bytes], ledger: Path) -> Any:
    assert load.wait(timeout=60) == 0
    return json.loads(ledger.with_suffix(".summary.json").read_text(encoding="utf-8"))
