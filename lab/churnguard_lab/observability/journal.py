"""What was broken in the lab, written down before it is broken: a run that was killed is undone by the next."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

Details = dict[str, Any]
#: Of all journals of this process, because several threads write the same one.
_LOCK = threading.Lock()


class Journal:
    """A file with an entry for each fault that is not undone yet: its name, and what undoing it needs to know."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pending(self) -> dict[str, Details]:
        """Every entry, by the fault's name. Raises RuntimeError for a file that is none."""
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RuntimeError(
                f"cannot read {self._path}, which says what is broken in the lab: {error}. Look at the lab (python -m "
                "churnguard_lab.supervise status), then delete the file."
            ) from error

    def announce(self, fault: str, details: Details) -> None:
        """Write an entry, on the disk, before the act."""
        with _LOCK:
            self._write({**self.pending(), fault: details})

    def undone(self, fault: str) -> None:
        """Take an entry away, after everything of it is as it was."""
        with _LOCK:
            self._write({name: details for name, details in self.pending().items() if name != fault})

    def _write(self, entries: dict[str, Details]) -> None:
        if not entries:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(entries, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
