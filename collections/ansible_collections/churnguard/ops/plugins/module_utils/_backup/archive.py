# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An encrypted archive of files: written whole or not at all, read only if nothing was changed.

The encryption is Fernet of the library cryptography, which ansible-core itself needs, so that whatever can run a
playbook can read an archive: AES-128-CBC with HMAC-SHA256, a changed byte is refused, and several keys can be in force
while they are rotated. Internal: may change in any release.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._common.errors import OperationError

CRYPTOGRAPHY_ERROR: str | None = None
try:
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet
except ImportError:
    CRYPTOGRAPHY_ERROR = traceback.format_exc()
    Fernet = MultiFernet = None
    InvalidToken = Exception

SUFFIX = ".tar.fernet"
# Fernet holds all of it in memory, several times over; a namespace's objects are a few megabytes.
LARGEST_BYTES = 256 * 1024 * 1024
MAKE_KEY = "head -c 32 /dev/urandom | base64 | tr '+/' '-_'"


def read_keys(path: Path) -> Any:
    """The keys of a file, one on each line: the first encrypts, all decrypt. Raises OperationError, which never shows
    any of them."""
    attempted = f"use the key file {path}"
    try:
        mode = path.stat().st_mode
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
    except OSError as error:
        raise OperationError(
            attempted, f"{error.strerror}.", f"make a key ({MAKE_KEY}) and keep a copy of it elsewhere."
        ) from error
    except UnicodeDecodeError as error:
        raise OperationError(attempted, "it holds no keys.", f"make one with {MAKE_KEY}.") from error
    if stat.S_IMODE(mode) & 0o077:
        raise OperationError(attempted, f"others may read it (mode {stat.S_IMODE(mode):04o}).", f"chmod 0600 {path}.")
    keys = [line for line in lines if line and not line.startswith("#")]
    try:
        if not keys:
            raise ValueError
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        # The library's own text is left out: it may quote what it was given.
        raise OperationError(
            attempted, "it has no key, or a line that is none.", f"keep one key on a line, made with {MAKE_KEY}."
        ) from None


def pack(files: Mapping[str, str], keys: Any) -> bytes:
    """The files (text by name) as an encrypted tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return keys.encrypt(buffer.getvalue())


def unpack(content: bytes, keys: Any, name: str) -> dict[str, str]:
    """The inverse of :func:`pack`, in memory alone. Raises OperationError when a key does not fit or a byte changed."""
    attempted = f"read the archive {name}"
    try:
        plain = keys.decrypt(content)
    except InvalidToken:
        raise OperationError(
            attempted,
            "no key fits, or it was changed since it was written.",
            "give the key file it was written with; if that is the one, take another archive.",
        ) from None
    files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:gz") as archive:
            for entry in archive:
                member = archive.extractfile(entry)
                if member is not None:
                    files[entry.name] = member.read().decode()
    except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
        raise OperationError(attempted, f"it is no archive: {error}.", "take another archive.") from error
    return files


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, so that it is there completely or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OperationError(
            f"write {path}", f"{error.strerror}.", "check the folder's owner and room; earlier archives are untouched."
        ) from error


def sha256(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
