"""What evaluating all rules costs a Prometheus that has ten thousand series of each service."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from churnguard_lab.bench import figure, say
from churnguard_lab.observability import remote_write, services
from churnguard_lab.observability.own_prometheus import OwnPrometheus, promtool
from churnguard_lab.observability.tested import Book
from churnguard_lab.observability.waiting import until

STEP_S = 15
SLICE_S = 1800
#: Objectives look back over their whole period at what was recorded before.
RECORDED_S = 30 * 86400
RECORDED_STEP_S = 30
MOST_SHARE = 0.10
LOOKS = 10
SETTLED_S = 300.0


def measure() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The figure, and what it was taken under. Raises RuntimeError when a rule fails or evaluates nothing."""
    with tempfile.TemporaryDirectory(prefix="churnguard-bench-") as place:
        return _measure(Path(place))


def _measure(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    book = Book.render(folder)
    now = int(time.time()) // STEP_S * STEP_S
    prometheus = OwnPrometheus(folder, retention="40d")
    _record_the_past(prometheus, book, now - services.LONG_S - SLICE_S)
    prometheus.configure(_configuration([]))
    load = Series()
    with prometheus:
        say(
            f"{load.count} series of {len(services.all_series())} services, the counters of {services.LONG_S // 3600} h"
        )
        load.fill(prometheus.url, now)
        with load.kept_fresh(prometheus.url):
            prometheus.configure(_configuration(book.files))
            say("evaluate every rule")
            shares, slowest, busy = _looks(prometheus)
            conditions = {
                "series": _series_by_job(prometheus),
                "rules": len(book.rules()),
                "evaluation_interval_s": STEP_S,
                "shares": [round(share, 4) for share in shares],
                "slowest_groups_s": slowest,
                "processors_used": busy,
                "history": "6 h of counters at 15 s, 30 d of recorded series at 30 s",
                "counted": "the largest of all looks: seconds of each group's last evaluation by its interval, summed",
            }
    return [figure("rule_eval_share_of_interval", max(shares), "of the interval", MOST_SHARE)], conditions


class Series:
    """All series, and their samples as remote write takes them."""

    def __init__(self) -> None:
        self._all = [
            (one, remote_write.encode_labels({"__name__": one.name, **one.labels}))
            for made in services.all_series().values()
            for one in made
        ]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed: Exception | None = None
        self._start = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._all)

    def fill(self, url: str, now: int) -> None:
        """Everything until `now`, as far back as rules look. In the order of time, which Prometheus asks for."""
        self._start = now - services.LONG_S
        for begin in range(self._start, now + STEP_S, SLICE_S):
            end = min(begin + SLICE_S, now + STEP_S)
            remote_write.write(url, self._message(range(begin, end, STEP_S), now))
        self._now = now

    def _message(self, times: range, now: int) -> Iterator[bytes]:
        known: dict[tuple[float, float, int], bytes] = {}
        for one, labels in self._all:
            seen = [moment for moment in times if moment > now - one.window_s]
            if not seen:
                continue
            first = one.first + one.growth * (seen[0] - self._start)
            key = (first, one.growth, len(seen))
            if key not in known:
                known[key] = remote_write.encode_samples([t * 1000 for t in seen], first, one.growth * STEP_S)
            yield remote_write.series(labels, known[key])

    def kept_fresh(self, url: str) -> Series:
        """A block in which every series gets a sample every 15 s, as if it were scraped."""
        self._url = url
        return self

    def __enter__(self) -> Series:
        self._thread = threading.Thread(target=self._keep_fresh, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(60)
        if self._failed:
            raise RuntimeError(f"the series did not stay fresh: {self._failed}") from self._failed

    def _keep_fresh(self) -> None:
        try:
            while not self._stop.is_set():
                while self._now + STEP_S <= time.time():
                    self._now += STEP_S
                    remote_write.write(self._url, self._message(range(self._now, self._now + 1, STEP_S), self._now))
                self._stop.wait(1)
        except remote_write.WriteError as error:
            self._failed = error


def _record_the_past(prometheus: OwnPrometheus, book: Book, end: int) -> None:
    """What the rules would have recorded for the objectives' long windows, as blocks on the disk."""
    wanted = ("slo:sli_total:rate5m", "slo:sli_bad:rate5m", "slo:sli_bad:now")
    recorded = {(rule["record"], rule["labels"]["slo"], rule["labels"]["service"]) for rule in book.rules()
                if rule.get("record") in wanted}  # fmt: skip
    file = prometheus.folder / "past.om"
    with file.open("w", encoding="utf-8") as text:
        for name, slo, service in sorted(recorded):
            value = 100 if "total" in name else 0
            head = f'{name}{{slo="{slo}",service="{service}"}} {value} '
            text.writelines(f"{head}{moment}\n" for moment in range(end - RECORDED_S, end, RECORDED_STEP_S))
        text.write("# EOF\n")
    made = promtool(
        "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=4d", "--quiet", file, prometheus.data
    )
    if made.returncode:
        raise RuntimeError(f"promtool makes no blocks of the recorded past: {made.stderr or made.stdout}")
    file.unlink()


def _configuration(files: list[Path]) -> str:
    document = {
        "global": {"evaluation_interval": f"{STEP_S}s"},
        "rule_files": [str(path) for path in files],
        "scrape_configs": [],
    }
    return json.dumps(document)


def _looks(prometheus: OwnPrometheus) -> tuple[list[float], dict[str, float], float]:
    """The share at each look, one an interval; the slowest groups; processors that Prometheus used meanwhile, taking
    samples included. Raises RuntimeError."""
    groups = until(
        "every rule has been evaluated", lambda: _evaluated(prometheus), SETTLED_S
    )  # the slowest groups are evaluated every two minutes
    shares, durations = [], {}
    begin, used = time.monotonic(), _processor_seconds(prometheus)
    for _look in range(LOOKS):
        time.sleep(STEP_S)
        found = prometheus.metrics("prometheus_rule_group_last_duration_seconds", "rule_group")
        shares.append(sum(took / groups[name] for name, took in found.items()))
        for name, took in found.items():
            short = name.rsplit(";", 1)[-1]
            durations[short] = max(took, durations.get(short, 0.0))
    slowest = sorted(durations.items(), key=lambda item: -item[1])[:5]
    busy = (_processor_seconds(prometheus) - used) / (time.monotonic() - begin)
    return shares, {name: round(took, 4) for name, took in slowest}, round(busy, 4)


def _processor_seconds(prometheus: OwnPrometheus) -> float:
    return prometheus.metrics("process_cpu_seconds_total", "")[""]


def _evaluated(prometheus: OwnPrometheus) -> dict[str, float]:
    """Intervals of all groups in seconds; empty while a rule has not been evaluated. Raises RuntimeError."""
    for group in prometheus.asked.get("rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] == "err":
                raise RuntimeError(f"rule {rule['name']} fails: {rule.get('lastError')}")
            if rule["health"] != "ok":
                return {}
    if not prometheus.asked.query('slo:sli_error:ratio_rate6h{slo="api-availability"} >= 0'):
        return {}
    return prometheus.metrics("prometheus_rule_group_interval_seconds", "rule_group")


def _series_by_job(prometheus: OwnPrometheus) -> dict[str, int]:
    rows = prometheus.asked.query('count by (job) ({job!="", __name__!~".*:.*|ALERTS.*"})')
    return {row["metric"]["job"]: int(row["value"][1]) for row in rows}
