# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_dump under the manifest's own snapshot, and the check that a dump is still what was written. Internal: may change
in any release."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._common.errors import OperationError
from .model import FAILED, PASSED, SKIPPED, Check

FORMATS = ["custom", "directory", "plain"]
_READ_BYTES = 1 << 20


class Dump:
    """One running pg_dump. It writes beside its target, which appears only when the dump is whole."""

    def __init__(self, session: Any, snapshot: str, wanted: dict[str, Any]) -> None:
        self.path = Path(wanted["path"])
        self.format = wanted.get("format") or "custom"
        self._timeout_s = wanted.get("timeout") or 86400
        self._part = self.path.with_name(self.path.name + ".part")
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the dump
        program = wanted.get("program") or "pg_dump"
        command = [
            program,
            f"--format={self.format}",
            f"--file={self._part}",
            f"--snapshot={snapshot}",
            "--no-password",
        ]
        if self.format == "directory" and wanted.get("jobs"):
            command.append(f"--jobs={wanted['jobs']}")
        self._remove(self._part)
        try:
            self._process = subprocess.Popen(
                command, env=_environment(session), stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said,
                umask=0o077,
            )  # fmt: skip
        except OSError as error:
            raise OperationError(
                f"run {program}", f"{error}.", "install PostgreSQL's client programs, or set dump.program."
            ) from None

    def finish(self) -> dict[str, Any]:
        """Wait for its end; returns {path, format, bytes, sha256}. Raises OperationError."""
        try:
            code = self._process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            raise OperationError(
                f"dump to {self.path}", f"it did not end within {self._timeout_s} s.", "raise dump.timeout."
            ) from None
        if code:
            self._said.seek(0)
            said = self._said.read()[-2000:].decode("utf-8", "replace").strip()
            raise OperationError(f"dump to {self.path}", f"pg_dump ended with {code}: {said}", "see what it says.")
        size, digest = fingerprint(self._part)
        self._remove(self.path)
        self._part.replace(self.path)
        return {"path": str(self.path), "format": self.format, "bytes": size, "sha256": digest}

    def close(self) -> None:
        """End it if it still runs, and remove what it left."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._said.close()
        self._remove(self._part)

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def dumping(session: Any, snapshot: str, wanted: dict[str, Any] | None) -> Iterator[Dump | None]:
    """A dump that runs beside what is done meanwhile, and never outlives it."""
    if wanted is None:
        yield None
        return
    dump = Dump(session, snapshot, wanted)
    try:
        yield dump
    finally:
        dump.close()


def _environment(session: Any) -> dict[str, str]:
    """The session's own way to the server; the password goes by the environment, which only its user can read."""
    known = {
        "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE",
        "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT",
    }  # fmt: skip
    given = session.info.dsn_parameters
    found = {variable: given[name] for name, variable in known.items() if given.get(name)}
    if session.info.password:
        found["PGPASSWORD"] = session.info.password
    return {**os.environ, **found}


def fingerprint(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file; of a directory, those of its files in the order of their names."""
    files = sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
    total, digest = 0, hashlib.sha256()
    for file in files:
        if path.is_dir():
            digest.update(f"{file.relative_to(path)}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(_READ_BYTES):
                total += len(block)
                digest.update(block)
    return total, digest.hexdigest()


def check(expected: dict[str, Any], path: str) -> Check:
    """Whether the dump at C(path) is, byte for byte, the one that the manifest tells of."""
    found = Check("dump", path, PASSED, expected=expected.get("sha256"))
    if not expected:
        found.verdict, found.reason = SKIPPED, "the manifest tells of no dump"
        return found
    try:
        size, found.actual = fingerprint(Path(path))
    except OSError as error:
        found.verdict, found.reason, found.actual = FAILED, f"it cannot be read: {error}", "missing"
        return found
    if found.actual != found.expected:
        found.verdict = FAILED
        found.reason = f"{size} bytes where {expected['bytes']} were written" if size != expected["bytes"] else (
            "as long as it was written, but with other content"
        )  # fmt: skip
    return found
