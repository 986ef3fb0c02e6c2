"""An endpoint of a region: `python endpoint.py PORT VALUE` starts it, marked as the region VALUE's, and ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REGION = "CHURNGUARD_TEST_REGION"


def serve(port: int, value: str) -> None:
    """It lists an empty folder to whoever asks, and lives on."""
    folder = Path(value) / "served"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)],
        env={"PATH": os.environ.get("PATH", os.defpath), REGION: value},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
