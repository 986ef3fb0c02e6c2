"""The official release, against a local stand-in of its servers."""

from __future__ import annotations

import io
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from churnguard_lab.binaries import download
from churnguard_lab.binaries.catalogue import KUBERNETES, PROMETHEUS
from churnguard_lab.binaries.report import Report
from standin import archive, cut, hang, program, serving, sha256

SYSTEM = download.architecture("x86_64")
QUICK = download.Limits(connect_s=10, read_s=10, file_s=30)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def kubernetes_files() -> dict:
    base, files = f"/v{KUBERNETES.version}/bin/linux/{SYSTEM}", {}
    for name in KUBERNETES.executables:
        content = program(f"Kubernetes v{KUBERNETES.version} {name}")
        files |= {f"{base}/{name}": content, f"{base}/{name}.sha256": sha256(content).encode()}
    return files


def prometheus_files(members: dict[str, bytes] | None = None) -> dict:
    stem = f"{PROMETHEUS.title}.linux-{SYSTEM}"
    if members is None:
        members = {
            f"{stem}/{name}": program(f"{name}, version {PROMETHEUS.version}") for name in ("prometheus", "promtool")
        }
        members |= {f"{stem}/LICENSE": b"text", f"{stem}/../escaped": b"text"}
    content = archive(members)
    sums = f"{sha256(b'other')}  {PROMETHEUS.title}.darwin-{SYSTEM}.tar.gz\n{sha256(content)}  {stem}.tar.gz\n"
    base = f"/v{PROMETHEUS.version}"
    return {f"{base}/{stem}.tar.gz": content, f"{base}/sha256sums.txt": sums.encode()}


def fetch(bundle, folder: Path, files: dict, limits: download.Limits = QUICK) -> str:
    """Fetch `bundle` from a stand-in that serves `files`; what was reported."""
    words = io.StringIO()
    with serving(files) as url:
        download.fetch_release(bundle, folder, download.Sources(url, url), Report(words), limits)
    return words.getvalue()


def runs(path: Path) -> str:
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout


def test_kubernetes_release_is_fetched_and_runs(tmp_path: Path) -> None:
    reported = fetch(KUBERNETES, tmp_path, kubernetes_files())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(KUBERNETES.executables)
    assert "v1.36.3 kube-scheduler" in runs(tmp_path / "kube-scheduler")
    assert reported.count("downloading") == 3


def test_prometheus_release_gives_its_two_executables_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    fetch(PROMETHEUS, folder, prometheus_files())
    assert sorted(path.name for path in folder.iterdir()) == ["prometheus", "promtool"]
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert "promtool, version 3.13.5" in runs(folder / "promtool")


def test_wrong_checksum_is_refused_named_and_removed(tmp_path: Path) -> None:
    files = kubernetes_files()
    path = f"/v{KUBERNETES.version}/bin/linux/{SYSTEM}/kube-controller-manager"
    files[f"{path}.sha256"] = sha256(b"something else").encode()
    with pytest.raises(download.ReleaseError) as raised:
        fetch(KUBERNETES, tmp_path, files)
    assert f"{path} is refused" in str(raised.value)
    assert sha256(files[path]) in str(raised.value)
    assert sha256(b"something else") in str(raised.value)
    assert not (tmp_path / "kube-controller-manager").exists()


def test_wrong_checksum_of_the_archive_is_refused(tmp_path: Path) -> None:
    files = prometheus_files()
    changed = next(path for path in files if path.endswith(".tar.gz"))
    files[changed] = archive({"x/prometheus": program("evil"), "x/promtool": program("evil")})
    with pytest.raises(download.ReleaseError, match="is refused"):
        fetch(PROMETHEUS, tmp_path, files)
    assert list(tmp_path.iterdir()) == []


def test_missing_release_names_the_answer(tmp_path: Path) -> None:
    with pytest.raises(download.ReleaseError, match=r"kube-apiserver\.sha256: the server answered 404"):
        fetch(KUBERNETES, tmp_path, {})


@pytest.mark.parametrize("suffix", ["", ".sha256"])
def test_server_that_falls_silent_is_left_in_time(tmp_path: Path, suffix: str) -> None:
    released = threading.Event()
    files = kubernetes_files()
    files[f"/v{KUBERNETES.version}/bin/linux/{SYSTEM}/kube-apiserver{suffix}"] = hang(released)
    with pytest.raises(download.ReleaseError, match="stopped answering"):
        fetch(KUBERNETES, tmp_path, files, download.Limits(connect_s=10, read_s=1, file_s=30))
    released.set()


def test_truncated_download_is_refused(tmp_path: Path) -> None:
    files = kubernetes_files()
    path = f"/v{KUBERNETES.version}/bin/linux/{SYSTEM}/kube-apiserver"
    files[path] = cut(files[path])
    with pytest.raises(download.ReleaseError, match=r"kube-apiserver: the answer was cut off"):
        fetch(KUBERNETES, tmp_path, files)


def test_slow_download_ends_at_the_file_s_limit(tmp_path: Path) -> None:
    limits = download.Limits(connect_s=1, read_s=5, file_s=0)
    with pytest.raises(download.ReleaseError, match="not complete after 0 s"):
        fetch(KUBERNETES, tmp_path, kubernetes_files(), limits)


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(download.ReleaseError, match=r"no connection \(.*refused"):
        download.fetch_release(KUBERNETES, tmp_path, download.Sources(url, url), Report(io.StringIO()), QUICK)


def test_archive_without_an_executable_is_named(tmp_path: Path) -> None:
    with pytest.raises(download.ReleaseError, match="does not hold promtool"):
        fetch(PROMETHEUS, tmp_path, prometheus_files({"x/prometheus": program("one")}))


def test_machine_without_a_release() -> None:
    with pytest.raises(download.ReleaseError, match="no release for riscv64"):
        download.architecture("riscv64")


SUM = "a" * 64
OTHER = "b" * 64


@pytest.mark.parametrize(
    "text",
    [
        SUM,
        f"{SUM}\n",
        f"{SUM}  file",
        f"{OTHER}  another\n{SUM}  file\n",
        f"{SUM} *file\n",
        f"{OTHER}  afile\n{SUM}  file",
    ],
)
def test_published_checksum(text: str) -> None:
    assert download.published_checksum(text, "file", "url") == SUM


@pytest.mark.parametrize("text", ["", "<html>not found</html>", f"{OTHER}  a\n{SUM}  b", "a" * 63, "a" * 65])
def test_no_published_checksum(text: str) -> None:
    with pytest.raises(download.ReleaseError, match="states no SHA-256 of file"):
        download.published_checksum(text, "file", "url")
