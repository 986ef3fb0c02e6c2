"""What the demonstration and the benchmark have in common: running playbooks, keeping traffic going beside them, and
reading the report they leave."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from churnguard_api.faults import Faults

from churnguard_lab import images
from churnguard_lab.settings import LOOPBACK, Settings

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGE = "churnguard/api"
HOST = "churnguard.lab"
RATE = 200
#: Two good versions, one that never becomes ready, one that fails every fifth request, one that crashes.
VERSIONS = {
    "v1": Faults(),
    "v2": Faults(),
    "v3": Faults(never_ready=True),
    "v4": Faults(error_ratio=0.2),
    "v5": Faults(crash_after_s=1.0),
}
#: No journey needs longer traffic than this; the generator stops by itself.
LONGEST_LOAD_S = 600
_PLAYBOOK_TIMEOUT_S = 600
_LOAD_END_S = 60


class JourneyError(Exception):
    """The journey cannot go on; the message says which part stopped it and where to look."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One playbook run. `seconds` is wall time, `returncode` ansible-playbook's."""

    returncode: int
    seconds: float
    output: str

    @property
    def changed(self) -> int:
        """Sum of `changed=` over the recap's hosts. Raises JourneyError when there is no recap."""
        recap = [line for line in self.output.splitlines() if " changed=" in line and " ok=" in line]
        if not recap:
            raise JourneyError(f"the playbook printed no recap:\n{self.output[-2000:]}")
        return sum(int(word.removeprefix("changed=")) for line in recap for word in line.split() if "changed=" in word)


def report_id() -> str:
    """A name for a report folder: the present time in UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")


def playbook(name: str, report: str, quiet: bool = False, **variables: object) -> Run:
    """Run `playbooks/<name>.yml` for the lab; its output is shown as it comes unless `quiet`."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventories/lab"]
    command += [f"playbooks/{name}.yml"]
    for key, value in variables.items():
        command += ["-e", json.dumps({key: value})]
    environment = {**os.environ, "CHURNGUARD_REPORT_ID": report}
    if sys.stdout.isatty() and not quiet:
        environment["ANSIBLE_FORCE_COLOR"] = "1"
    begin = time.monotonic()
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    watchdog = threading.Timer(_PLAYBOOK_TIMEOUT_S, process.kill)
    watchdog.start()
    lines = []
    try:
        for line in process.stdout or ():
            lines.append(line)
            if not quiet:
                print(line, end="", flush=True)
        returncode = process.wait()
    finally:
        watchdog.cancel()
    if returncode == -signal.SIGKILL:
        raise JourneyError(f"{name}.yml did not end within {_PLAYBOOK_TIMEOUT_S} s")
    return Run(returncode, time.monotonic() - begin, "".join(lines))


def build_images(lab: Settings) -> None:
    """The versions that are shipped, each with what is wrong with it."""
    for version, wrong in VERSIONS.items():
        images.build(lab.state_dir, f"{IMAGE}:{version}", wrong=wrong)


class Load:
    """A running load generator and its ledger."""

    def __init__(self, lab: Settings, name: str) -> None:
        folder = lab.state_dir / "load"
        folder.mkdir(parents=True, exist_ok=True)
        self.ledger = folder / f"{name}.jsonl"
        self._log = (lab.log_dir / "load.log").open("a", encoding="utf-8")
        command = [sys.executable, "-m", "churnguard_lab.load", "run", "--rate", str(RATE), "--host", HOST]
        command += ["--url", f"http://{LOOPBACK}:{lab.ports.gateway}", "--duration", str(LONGEST_LOAD_S)]
        command += ["--ledger", str(self.ledger)]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdout=self._log, stderr=subprocess.STDOUT)
        self._begin = time.monotonic()

    def run_for(self, seconds: float) -> None:
        """Wait until the traffic has gone on for `seconds` since its start. Raises JourneyError if it has ended."""
        time.sleep(max(self._begin + seconds - time.monotonic(), 0))
        if self._process.poll() is not None:
            raise JourneyError(f"the load generator has ended (code {self._process.returncode}): {self._log.name}")

    def stop(self) -> dict[str, Any]:
        """End the traffic, wait for the requests under way, and give the generator's summary."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_LOAD_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise JourneyError(f"the load generator did not stop within {_LOAD_END_S} s: {self._log.name}") from None
        finally:
            self._log.close()
        if code != 0:
            raise JourneyError(f"the load generator failed (code {code}): {self._log.name}")
        return dict(json.loads(self.ledger.with_suffix(".summary.json").read_text(encoding="utf-8")))

    def abandon(self) -> None:
        """End the traffic without asking for anything."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()


@contextlib.contextmanager
def traffic(lab: Settings, name: str) -> Iterator[Load]:
    """Traffic that ends with the block, whatever happens in it."""
    load = Load(lab, name)
    try:
        load.run_for(3)
        yield load
    finally:
        load.abandon()


def read_report(name: str = "latest") -> dict[str, Any]:
    """report.json of the lab's report of that name. Raises JourneyError when there is none."""
    path = report_path(name) / "report.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise JourneyError(f"no report at {path}: {error}") from error


def report_path(name: str = "latest") -> Path:
    """The folder of one of the lab's reports."""
    return REPOSITORY / "reports" / "lab" / name


def rollout_of(report: dict[str, Any], version: str) -> dict[str, Any]:
    """The newest rollout of `version` in a report. Raises JourneyError when it has none."""
    found = [rollout for rollout in report["rollouts"] if rollout["version"] == version]
    if not found:
        raise JourneyError(f"the report holds no rollout of {version}")
    return dict(found[-1])
