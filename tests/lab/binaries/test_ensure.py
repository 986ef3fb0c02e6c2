"""The order of the sources, what the cache holds afterwards, and two runs at once."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from churnguard_lab.binaries import download, ensure
from churnguard_lab.binaries.catalogue import BUNDLES, KUBERNETES, PROMETHEUS, BinariesError, cache_root
from churnguard_lab.binaries.report import Report
from standin import archive, go_script, program, serving, sha256

NOWHERE = download.Sources("http://127.0.0.1:1", "http://127.0.0.1:1")
ETCD = Path(sys.executable)  # any executable does


def release(kubernetes_version: str = KUBERNETES.version) -> dict:
    system = download.architecture(os.uname().machine)
    base, files = f"/v{KUBERNETES.version}/bin/linux/{system}", {}
    for name in KUBERNETES.executables:
        content = program(f"Kubernetes v{kubernetes_version}")
        files |= {f"{base}/{name}": content, f"{base}/{name}.sha256": sha256(content).encode()}
    stem = f"{PROMETHEUS.title}.linux-{system}"
    content = archive({f"{stem}/{name}": program(f"version {PROMETHEUS.version}") for name in PROMETHEUS.executables})
    return files | {
        f"/v{PROMETHEUS.version}/{stem}.tar.gz": content,
        f"/v{PROMETHEUS.version}/sha256sums.txt": f"{sha256(content)}  {stem}.tar.gz\n".encode(),
    }


@pytest.fixture
def official() -> Iterator[download.Sources]:
    with serving(release()) as url:
        yield download.Sources(url, url)


@pytest.fixture(autouse=True)
def _go(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no release is built with a Go that is a shell script."""
    folder = go_script(tmp_path_factory.mktemp("go")).parent
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("GO_CALLS", str(folder / "calls"))


def get(cache: Path, sources: download.Sources, assets: Path | None = None) -> tuple[dict, str]:
    words = io.StringIO()
    return ensure.ensure(assets, ETCD, cache, sources, Report(words)), words.getvalue()


def folder_with(path: Path, *names: str) -> Path:
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).write_bytes(program("given"))
        (path / name).chmod(0o755)
    return path


def test_release_fills_the_cache_and_the_cache_serves_from_then_on(tmp_path: Path, official: download.Sources) -> None:
    first, _ = get(tmp_path, official)
    assert first["changed"] is True
    assert first["sources"]["kube-apiserver"] == "release"
    assert first["sources"]["kube-state-metrics"] == "build"
    second, reported = get(tmp_path, NOWHERE)
    assert second["changed"] is False
    assert second["paths"] == first["paths"]
    assert set(second["sources"].values()) == {"cache", "system"}
    assert reported == ""
    for name, path in second["paths"].items():
        assert os.access(path, os.X_OK), name


def test_folder_comes_first_and_may_hold_only_some(tmp_path: Path, official: download.Sources) -> None:
    assets = folder_with(tmp_path / "assets", "kube-apiserver", "promtool", "etcd")
    answer, _ = get(tmp_path / "cache", official, assets)
    given = {name for name, source in answer["sources"].items() if source == "folder"}
    assert given == {"kube-apiserver", "promtool", "etcd"}
    assert answer["sources"]["kube-scheduler"] == "release"
    assert answer["paths"]["promtool"] == str(assets / "promtool")


def test_whole_folder_needs_neither_cache_nor_network(tmp_path: Path) -> None:
    names = [name for bundle in BUNDLES for name in bundle.executables]
    answer, _ = get(tmp_path / "cache", NOWHERE, folder_with(tmp_path / "assets", *names))
    assert answer["changed"] is False
    assert not (tmp_path / "cache").exists()


def test_file_that_may_not_be_run_does_not_count(tmp_path: Path, official: download.Sources) -> None:
    assets = folder_with(tmp_path / "assets", "promtool")
    (assets / "promtool").chmod(0o644)
    answer, _ = get(tmp_path / "cache", official, assets)
    assert answer["sources"]["promtool"] == "release"


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BinariesError, match="there is no folder .*nowhere"):
        get(tmp_path, NOWHERE, tmp_path / "nowhere")


def test_missing_etcd_says_what_to_do(tmp_path: Path, official: download.Sources) -> None:
    with pytest.raises(BinariesError, match=r"there is no .*/etcd: run lab/install_packages"):
        ensure.ensure(None, tmp_path / "etcd", tmp_path, official, Report(io.StringIO()))


def test_refused_release_is_named_and_built_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = release()
    bad = next(path for path in files if path.endswith("kube-apiserver.sha256"))
    files[bad] = sha256(b"else").encode()
    go_script(tmp_path / "path")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setenv("GO_CALLS", str(tmp_path / "calls"))
    with serving(files) as url:
        answer, reported = get(tmp_path / "cache", download.Sources(url, url))
    assert answer["sources"]["kube-apiserver"] == "build"
    assert answer["sources"]["promtool"] == "release"
    assert "kube-apiserver is refused: its SHA-256 is" in reported
    assert "building kubernetes-1.36.3 from its Go modules" in reported
    assert "control-plane" in str(Path(answer["paths"]["kube-scheduler"]).readlink())


def test_failed_build_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_script(tmp_path / "path", fail="exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setenv("GO_CALLS", str(tmp_path / "calls"))
    with pytest.raises(BinariesError, match="ended with 1"):
        get(tmp_path / "cache", NOWHERE)
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def test_release_of_another_version_is_not_taken(tmp_path: Path) -> None:
    folder_with(tmp_path / "out", *KUBERNETES.executables)
    with pytest.raises(download.ReleaseError, match=r"kube-apiserver --version does not say 1\.36\.3: given"):
        ensure.check_versions(KUBERNETES, tmp_path / "out")


def test_executable_of_another_machine_is_not_taken(tmp_path: Path) -> None:
    folder_with(tmp_path / "out", *KUBERNETES.executables)
    (tmp_path / "out" / "kube-apiserver").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(download.ReleaseError, match="kube-apiserver does not run on this machine"):
        ensure.check_versions(KUBERNETES, tmp_path / "out")


def test_interrupted_filling_leaves_no_bundle_and_is_cleared_by_the_next(
    tmp_path: Path, official: download.Sources
) -> None:
    (tmp_path / f".{KUBERNETES.title}.abandoned").mkdir()
    folder_with(tmp_path / KUBERNETES.title, "kube-apiserver")
    answer, _ = get(tmp_path, official)
    assert answer["sources"]["kube-apiserver"] == "release"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == sorted(
        bundle.title for bundle in BUNDLES
    )


HOLD = """
import sys
from pathlib import Path
from churnguard_lab.binaries.ensure import locked
from churnguard_lab.binaries.report import Report
with locked(Path(sys.argv[1]), "it", Report()):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(lock: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_second_run_waits_for_the_first_and_names_it(tmp_path: Path) -> None:
    first = holder(tmp_path / "lock")

    class Words(io.StringIO):
        """What is reported; at the first word the first run ends."""

        def write(self, text: str) -> int:
            first.stdin.close()
            return super().write(text)

    words = Words()
    with ensure.locked(tmp_path / "lock", "it", Report(words), deadline_s=60):
        assert first.wait(30) == 0
    assert f"waiting for process {first.pid}, which is getting it" in words.getvalue()


def test_second_run_does_not_wait_for_ever(tmp_path: Path) -> None:
    first = holder(tmp_path / "lock")
    with (
        pytest.raises(BinariesError, match=f"process {first.pid} has been getting it for more than 0 s"),
        ensure.locked(tmp_path / "lock", "it", Report(io.StringIO()), deadline_s=0),
    ):
        pytest.fail("the lock was given twice")
    assert first.poll() is None, "it was not waited for"
    first.kill()
    first.wait()


def test_lock_of_a_killed_run_is_free(tmp_path: Path) -> None:
    first = holder(tmp_path / "lock")
    first.kill()
    first.wait()
    with ensure.locked(tmp_path / "lock", "it", Report(io.StringIO()), deadline_s=0):
        pass


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOME": "/home/ops"}, "/home/ops/.cache/churnguard-ops"),
        ({"HOME": "/home/ops", "XDG_CACHE_HOME": "/big"}, "/big/churnguard-ops"),
        ({"HOME": "/home/ops", "XDG_CACHE_HOME": ""}, "/home/ops/.cache/churnguard-ops"),
    ],
)
def test_cache_root(environment: dict[str, str], expected: str) -> None:
    assert cache_root(environment) == Path(expected)


def command(cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "KUBEBUILDER_ASSETS"}
    return subprocess.run(
        [sys.executable, "-m", "churnguard_lab.binaries", *arguments],
        env=environment | {"XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_command_line_answers_json_and_reports_beside_it(tmp_path: Path, official: download.Sources) -> None:
    urls = ["--kubernetes-url", official.kubernetes, "--prometheus-url", official.prometheus]
    ended = command(tmp_path, "ensure", "--etcd", str(ETCD), *urls)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["paths"]["prometheus"].startswith(str(tmp_path))
    assert "kubernetes-1.36.3 is ready" in ended.stderr


def test_command_line_fails_without_a_traceback(tmp_path: Path) -> None:
    ended = command(tmp_path, "--assets", str(tmp_path / "nowhere"))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("cannot get the lab's executables: there is no folder")
