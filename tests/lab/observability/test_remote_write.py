"""What is written by hand is what a real Prometheus takes and answers with."""

from __future__ import annotations

import time

import pytest
from churnguard_lab.observability import remote_write
from churnguard_lab.observability.own_prometheus import OwnPrometheus


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    made = OwnPrometheus(tmp_path_factory.mktemp("prometheus"), retention="1d")
    made.configure("scrape_configs: []\n")
    with made:
        yield made


def test_samples_arrive_as_they_were_meant(prometheus):
    now = int(time.time())
    times = [(now - 60 + 15 * step) * 1000 for step in range(5)]
    labels = remote_write.encode_labels({"__name__": "grows_total", "job": "shop", "über": "ä" * 200})
    remote_write.write(prometheus.url, [remote_write.series(labels, remote_write.encode_samples(times, 100, 1.5))])
    (row,) = prometheus.asked.query(f"grows_total @ {now}")
    assert row["metric"] == {"__name__": "grows_total", "job": "shop", "über": "ä" * 200}
    assert float(row["value"][1]) == 106
    assert prometheus.asked.values(f"rate(grows_total[1m] @ {now})") == [pytest.approx(0.1)]


def test_a_message_larger_than_the_receiver_takes_is_sent_in_parts(prometheus):
    samples = remote_write.encode_samples([int(time.time()) * 1000], 1, 0)
    labels = [{"__name__": "many", "number": str(number), "text": "x" * 500} for number in range(1000)]
    message = (remote_write.series(remote_write.encode_labels(one), samples) for one in labels)
    remote_write.write(prometheus.url, message, largest=100_000)
    assert prometheus.asked.values("count(many)") == [1000]


def test_a_refusal_says_what_was_answered(prometheus):
    labels = remote_write.encode_labels({"__name__": "old"})
    now = int(time.time()) * 1000
    for moment in (now, now - 1000):
        message = [remote_write.series(labels, remote_write.encode_samples([moment], 1, 0))]
        if moment == now:
            remote_write.write(prometheus.url, message)
    with pytest.raises(remote_write.WriteError, match="400 .*out of order"):
        remote_write.write(prometheus.url, message)


def test_nobody_there_is_named():
    with pytest.raises(remote_write.WriteError, match="http://127.0.0.1:9 takes no samples"):
        remote_write.write("http://127.0.0.1:9", [b"\x0a\x00"])
