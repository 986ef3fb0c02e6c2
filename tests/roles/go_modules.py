"""What the tests take from published Go modules: the Prometheus operator's kinds, and the program helm.

Each module is pinned by version and by its hash, as go.sum has it, and refused when that is another.
Results stay in the cache of the lab's executables, so that only the first run on a machine needs the modules.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from churnguard_lab.binaries import build
from churnguard_lab.binaries.catalogue import cache_root, executable
from churnguard_lab.binaries.ensure import locked
from churnguard_lab.binaries.report import Report

OPERATOR = ("github.com/prometheus-operator/prometheus-operator", "v0.93.1")
OPERATOR_SUM = "h1:4Juk8v93RdG1DSGD/mGp+SeQKPmnlLIj2iq3blLZgFY="
HELM = ("helm.sh/helm/v3", "v3.22.0")
HELM_SUM = "h1:n1if5iQgHYsujPAcO5oonH/KiSNUmqmUF0iGVjSF3AU="
KINDS = "example/prometheus-operator-crd"
DOWNLOAD_DEADLINE_S = 300
BUILD_DEADLINE_S = 1200


def module(go: Path, name: tuple[str, str], expected: str) -> Path:
    """The folder of a module in Go's own cache. Fails when its hash is not the expected one."""
    with tempfile.TemporaryDirectory() as elsewhere:
        ended = subprocess.run(
            [go, "mod", "download", "-json", "@".join(name)],
            cwd=elsewhere,
            env=build.build_environment(os.environ),
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_DEADLINE_S,
            check=False,
        )
    assert ended.returncode == 0, f"{'@'.join(name)} cannot be had: {ended.stdout}{ended.stderr}"
    answer = json.loads(ended.stdout)
    assert answer["Sum"] == expected, f"{'@'.join(name)} is refused: its hash is {answer['Sum']}, not {expected}"
    return Path(answer["Dir"])


def cached(title: str, make: Callable[[Path, Path], None]) -> Path:
    """A folder of the cache. `make` gets Go and an empty folder that takes its place when all went well."""
    cache = cache_root(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / title
    report = Report()
    with locked(cache / f"{title}.lock", title, report):
        if not target.is_dir():
            aside = Path(tempfile.mkdtemp(prefix=f".{title}.", dir=cache))
            try:
                make(build.find_go(cache, report), aside)
                aside.chmod(0o755)
                aside.rename(target)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    return target


def operator_kinds() -> Path:
    """The folder of the operator's CustomResourceDefinitions, a manifest each."""

    def make(go: Path, folder: Path) -> None:
        for manifest in (module(go, OPERATOR, OPERATOR_SUM) / KINDS).glob("*.yaml"):
            shutil.copyfile(manifest, folder / manifest.name)

    return cached(f"prometheus-operator-kinds-{OPERATOR[1][1:]}", make)


def helm() -> Path:
    """The program helm, compiled from its module; the module's own go.sum vouches for what it imports."""

    def make(go: Path, folder: Path) -> None:
        ended = subprocess.run(
            [go, "build", "-trimpath", "-ldflags=-s -w", "-o", folder / "helm", "./cmd/helm"],
            cwd=module(go, HELM, HELM_SUM),
            env={**build.build_environment(os.environ), "GOFLAGS": "-mod=readonly"},
            capture_output=True,
            text=True,
            timeout=BUILD_DEADLINE_S,
            check=False,
        )
        assert ended.returncode == 0, f"helm {HELM[1]} cannot be built: {ended.stderr[-2000:]}"

    program = cached(f"helm-{HELM[1][1:]}", make) / "helm"
    assert executable(program), f"there is no {program}"
    return program
