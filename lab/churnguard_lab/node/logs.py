"""Container logs: plain files that processes append to, kept small."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

#: The kubelet's limits of a termination message taken from the log.
TAIL_BYTES, TAIL_LINES = 2048, 80
ROTATE_BYTES = 10 * 1024 * 1024
KEPT_FILES = 200


def log_path(log_dir: Path, namespace: str, pod: str, container: str) -> Path:
    """Where a container's output goes."""
    return log_dir / "pods" / f"{namespace}_{pod}_{container}.log"


def tail(path: Path, offset: int) -> str:
    """The last lines written since `offset`; empty when there are none."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, 2)
            file.seek(max(offset if offset <= end else 0, end - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def rotate(path: Path, limit: int = ROTATE_BYTES) -> int:
    """Set a log aside that has grown over `limit` bytes; the offset at which the next run's output begins."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0
    if size <= limit:
        return size
    path.replace(path.with_suffix(".log.1"))
    return 0


def prune(folder: Path, live: Collection[Path], keep: int = KEPT_FILES, pattern: str = "*.log*") -> None:
    """Delete the oldest logs of ended pods beyond `keep`, so that a lab that runs for weeks does not fill the disk."""
    files = []
    for path in folder.glob(pattern):
        if path in live:
            continue
        with contextlib.suppress(FileNotFoundError):
            files.append((path.stat().st_mtime, path))
    for _changed, path in sorted(files, reverse=True)[keep:]:
        path.unlink(missing_ok=True)
