"""A real Pushgateway on a free port of the loopback interface."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import pytest
from prometheus_client.parser import text_string_to_metric_families

STARTS_WITHIN_S = 60.0


class Pushgateway:
    """One process. As a context manager it is started, and killed at the end."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "pushgateway.log"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Pushgateway:
        program = shutil.which("prometheus-pushgateway") or shutil.which("pushgateway")
        if program is None:
            pytest.fail("no prometheus-pushgateway in PATH: install Debian's package of that name (make setup)")
        with self._log.open("wb") as log:
            # Debian's keeps what it has in a file of the system, unless it is told not to.
            command = [program, f"--web.listen-address=127.0.0.1:{self._port}", "--persistence.file="]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        give_up = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                self.text("/-/ready")
                return self
            except (urllib.error.URLError, OSError):
                if self._process.poll() is not None or time.monotonic() > give_up:
                    self.stop()
                    pytest.fail(f"the Pushgateway does not answer: {self._log.read_text(errors='replace')[-1500:]}")
                time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def text(self, path: str = "/metrics") -> str:
        """What it answers."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def series(self) -> dict[tuple[str, ...], float]:
        """The project's series: value by name and by the labels that have one, sorted by the label's name."""
        return {
            (one.name, *(f"{label}={value}" for label, value in sorted(one.labels.items()) if value)): one.value
            for family in text_string_to_metric_families(self.text())
            for one in family.samples
            if one.name.startswith("churnguard_")
        }
