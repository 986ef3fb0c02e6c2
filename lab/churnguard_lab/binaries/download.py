"""The official release: fetched, checked against its published SHA-256, and only then used."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import re
import tarfile
import time
from pathlib import Path

import requests
import urllib3

from churnguard_lab.binaries.catalogue import KUBE_STATE_METRICS, KUBERNETES, BinariesError, Bundle
from churnguard_lab.binaries.report import Report

CONNECT_TIMEOUT_S = 4.0
#: Longest silence of a server that has begun to answer.
READ_TIMEOUT_S = 20.0
DEADLINE_S = 1200.0
CHUNK = 1 << 20
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CHECKSUM = re.compile(r"\b[0-9a-f]{64}\b")


class ReleaseError(BinariesError):
    """The release cannot be used; the message says which file, where from, and why."""


@dataclasses.dataclass(frozen=True)
class Sources:
    """Where releases are published; a mirror is named with the same layout below it."""

    kubernetes: str = "https://dl.k8s.io/release"
    prometheus: str = "https://github.com/prometheus/prometheus/releases/download"


@dataclasses.dataclass(frozen=True)
class Limits:
    """Seconds: to connect, between two pieces of an answer, and for one file."""

    connect_s: float = CONNECT_TIMEOUT_S
    read_s: float = READ_TIMEOUT_S
    file_s: float = DEADLINE_S


def architecture(machine: str) -> str:
    """The releases' name of a machine type. Raises ReleaseError for one without a release."""
    try:
        return ARCHITECTURES[machine]
    except KeyError as error:
        raise ReleaseError(f"there is no release for {machine} machines") from error


def published_checksum(text: str, file_name: str, url: str) -> str:
    """The SHA-256 (hexadecimal) that a checksum file states for `file_name`; a lone checksum is that of its file."""
    lines = [line for line in text.splitlines() if line.split()[1:] in ([file_name], [f"*{file_name}"])]
    found = _CHECKSUM.findall(lines[0] if lines else text)
    if len(found) != 1:
        raise ReleaseError(f"{url} states no SHA-256 of {file_name}")
    return found[0]


def fetch_release(bundle: Bundle, folder: Path, sources: Sources, report: Report, limits: Limits | None = None) -> None:
    """Put the bundle's executables from its release into `folder`. Raises ReleaseError."""
    limits = limits or Limits()
    if bundle == KUBE_STATE_METRICS:
        raise ReleaseError(f"{bundle.title} is published as a container image only")
    system = architecture(platform.machine())
    if bundle == KUBERNETES:
        base = f"{sources.kubernetes}/v{bundle.version}/bin/linux/{system}"
        for name in bundle.executables:
            _fetch(f"{base}/{name}", f"{base}/{name}.sha256", folder / name, report, limits)
            (folder / name).chmod(0o755)
        return
    base = f"{sources.prometheus}/v{bundle.version}"
    archive = folder / f"{bundle.title}.linux-{system}.tar.gz"
    _fetch(f"{base}/{archive.name}", f"{base}/sha256sums.txt", archive, report, limits)
    _unpack(archive, bundle.executables, folder)
    archive.unlink()


def _fetch(url: str, checksum_url: str, target: Path, report: Report, limits: Limits) -> None:
    """Download one file and keep it only if it is the one whose checksum is published."""
    try:
        with requests.Session() as session:
            session.max_redirects = 5
            answer = session.get(checksum_url, timeout=(limits.connect_s, limits.read_s))
            answer.raise_for_status()
            expected = published_checksum(answer.text, target.name, checksum_url)
            actual = _stream(session, url, target, report, limits)
    except requests.RequestException as error:
        raise ReleaseError(f"{error.request.url if error.request else url}: {_words(error)}") from error
    if actual != expected:
        target.unlink()
        raise ReleaseError(
            f"{url} is refused: its SHA-256 is {actual}, and {checksum_url} states {expected}. Nothing of it was used."
        )


def _stream(session: requests.Session, url: str, target: Path, report: Report, limits: Limits) -> str:
    """Write the body of `url` to `target`; returns its SHA-256."""
    digest, done = hashlib.sha256(), 0
    give_up = time.monotonic() + limits.file_s
    with session.get(url, stream=True, timeout=(limits.connect_s, limits.read_s)) as answer, target.open("wb") as file:
        answer.raise_for_status()
        total = int(answer.headers.get("Content-Length", 0))
        report.say(f"downloading {url}")
        for chunk in answer.iter_content(CHUNK):
            if time.monotonic() > give_up:
                raise ReleaseError(f"{url}: not complete after {limits.file_s:.0f} s ({done} bytes)")
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            of = f" of {total / 1e6:.0f}" if total else ""
            report.pulse(f"{target.name}: {done / 1e6:.0f}{of} MB")
    return digest.hexdigest()


def _unpack(archive: Path, names: tuple[str, ...], folder: Path) -> None:
    """Take the named executables, and nothing else, out of a release archive."""
    with tarfile.open(archive) as content:
        members = {Path(member.name).name: member for member in content if member.isfile()}
        for name in names:
            if name not in members:
                raise ReleaseError(f"{archive.name} does not hold {name}")
            source = content.extractfile(members[name])
            with (folder / name).open("wb") as target:
                while piece := source.read(CHUNK):
                    target.write(piece)
            (folder / name).chmod(0o755)


def _words(error: requests.RequestException) -> str:
    """An error of the connection, short enough for a person."""
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    cause = error.args[0] if error.args else error
    if isinstance(error, requests.Timeout) or isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return "the server stopped answering"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return "the answer was cut off"
    if isinstance(error, requests.ConnectionError):
        reason = getattr(cause, "reason", cause)
        return f"no connection ({str(reason).rsplit(': ', 1)[-1]})"
    return str(error)
