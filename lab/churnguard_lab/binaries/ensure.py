"""Get every executable the lab needs, and say where each is.

In this order: the folder named with --assets or KUBEBUILDER_ASSETS (it may hold only some), the cache, the official
release, a build from the published Go modules. etcd comes from that folder or from Debian.

Progress goes to standard error; standard output is one line of JSON:
{"changed": bool, "paths": {name: path}, "sources": {name: "folder" | "cache" | "release" | "build" | "system"}}.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from churnguard_lab.binaries import build, catalogue, download
from churnguard_lab.binaries.catalogue import BinariesError, Bundle
from churnguard_lab.binaries.report import Report

DEBIAN_ETCD = Path("/usr/bin/etcd")
LOCK_DEADLINE_S = 3600.0


def ensure(
    assets: Path | None, etcd: Path, cache: Path, sources: download.Sources, report: Report
) -> dict[str, object]:
    """Find or get everything; `etcd` is used when `assets` has none. Raises BinariesError."""
    if assets and not assets.is_dir():
        raise BinariesError(f"there is no folder {assets}: correct lab_assets_dir or KUBEBUILDER_ASSETS")
    paths: dict[str, Path] = {}
    origins: dict[str, str] = {}
    for bundle in catalogue.BUNDLES:
        given = catalogue.in_folder(assets, bundle.executables) if assets else {}
        rest, origin = {}, "cache"
        if len(given) < len(bundle.executables):
            rest, origin = from_cache(bundle, cache, sources, report)
        paths |= rest | given
        origins |= dict.fromkeys(rest, origin) | dict.fromkeys(given, "folder")
    given = catalogue.in_folder(assets, ("etcd",)) if assets else {}
    paths["etcd"] = given.get("etcd", etcd)
    origins["etcd"] = "folder" if given else "system"
    if not catalogue.executable(paths["etcd"]):
        raise BinariesError(f"there is no {etcd}: run lab/install_packages, or name a folder that has etcd")
    changed = bool({"release", "build"} & set(origins.values()))
    return {"changed": changed, "paths": {name: str(path) for name, path in paths.items()}, "sources": origins}


def from_cache(bundle: Bundle, cache: Path, sources: download.Sources, report: Report) -> tuple[dict[str, Path], str]:
    """The bundle's executables from the cache, which is filled if need be, and where they came from now."""
    found = catalogue.in_cache(cache, bundle)
    if found:
        return found, "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{bundle.title}.lock", bundle.title, report):
        found = catalogue.in_cache(cache, bundle)
        if found:
            return found, "cache"
        for abandoned in cache.glob(f".{bundle.title}.*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        origin = fill(bundle, cache, sources, report)
    return {name: cache / bundle.title / name for name in bundle.executables}, origin


def fill(bundle: Bundle, cache: Path, sources: download.Sources, report: Report) -> str:
    """Get the bundle into the cache, complete or not at all; returns how ("release" or "build")."""
    report.say(f"{bundle.title} is not in {cache}: trying the official release")
    try:
        with _placed(bundle, cache) as folder:
            download.fetch_release(bundle, folder, sources, report)
            check_versions(bundle, folder)
        origin = "release"
    except download.ReleaseError as reason:
        report.say(f"the release cannot be used: {reason}")
        with _placed(bundle, cache) as folder:
            build.build(bundle, folder, cache, report)
            check_versions(bundle, folder)
        origin = "build"
    report.say(f"{bundle.title} is ready in {cache / bundle.title}")
    return origin


def check_versions(bundle: Bundle, folder: Path) -> None:
    """Raise ReleaseError when an executable does not run here or is not of the bundle's version."""
    for name in bundle.executables:
        try:
            result = subprocess.run(
                [folder / name, *bundle.asking], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise download.ReleaseError(f"{name} does not run on this machine: {error}") from error
        answer = (result.stdout + result.stderr).strip()
        if bundle.version not in answer:
            raise download.ReleaseError(
                f"{name} {' '.join(bundle.asking)} does not say {bundle.version}: {answer[:200]}"
            )


@contextlib.contextmanager
def _placed(bundle: Bundle, cache: Path) -> Iterator[Path]:
    """A folder beside the cached one that takes its place when the block ends well, and goes when it does not."""
    aside = Path(tempfile.mkdtemp(prefix=f".{bundle.title}.", dir=cache))
    aside.chmod(0o755)
    try:
        yield aside
        target = cache / bundle.title
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path, title: str, report: Report, deadline_s: float = LOCK_DEADLINE_S) -> Iterator[None]:
    """Hold a lock file, so that two runs do not do the same work. Raises BinariesError after `deadline_s`."""
    give_up = time.monotonic() + deadline_s
    with path.open("a+", encoding="utf-8") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "another process"
                if time.monotonic() > give_up:
                    raise BinariesError(
                        f"{holder} has been getting {title} for more than {deadline_s:.0f} s (lock {path})"
                    ) from None
                report.pulse(f"waiting for {holder}, which is getting {title}")
                time.sleep(0.2)
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m churnguard_lab.binaries",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=["ensure"], default="ensure")
    default = os.environ.get("KUBEBUILDER_ASSETS")
    parser.add_argument("--assets", type=Path, default=Path(default) if default else None, help="folder to use first")
    parser.add_argument("--etcd", type=Path, default=DEBIAN_ETCD, help="etcd, unless the folder has it")
    official = download.Sources()
    parser.add_argument("--kubernetes-url", default=official.kubernetes, help="releases of Kubernetes, or a mirror")
    parser.add_argument("--prometheus-url", default=official.prometheus, help="releases of Prometheus, or a mirror")
    options = parser.parse_args(arguments)
    sources = download.Sources(options.kubernetes_url, options.prometheus_url)
    # Ended from outside as by a person: what was begun is cleared away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(json.dumps(ensure(options.assets, options.etcd, catalogue.cache_root(os.environ), sources, Report())))
    except (BinariesError, OSError) as error:
        print(f"cannot get the lab's executables: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing half-made was left in the cache", file=sys.stderr)
        return 130
    return 0
