"""Rules that hold for every file of the repository."""

from __future__ import annotations

import re
from pathlib import Path

MAX_LINES = 450
COUNTED = {".py", ".yml", ".yaml", ".j2", ".go", ".sh", ".sql"}

# A path of one person's machine, or the host of a package registry, ties the repository to one place. The user "ops"
# is the one that examples may have.
MACHINE_PATH = re.compile(r"(?<![\w.}~-])/(?:home/(?!ops\b)|root/|work/|Users/)[\w.]")
REGISTRY_HOST = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|proxy\.golang\.org|sum\.golang\.org|galaxy\.ansible\.com|npmjs\.org"
    r"|docker\.io|quay\.io|ghcr\.io|gcr\.io|registry\.k8s\.io|registry\.access\.redhat\.com)\b"
)
# A skipped test reads as green: what cannot run fails and says why. The one exception is what only root can do.
SKIP = re.compile(
    r"pytest\.(?:skip|xfail|importorskip)\b|unittest\.skip"
    r"|pytest\.mark\.(?:skip|xfail)(?!if\(\s*os\.geteuid\(\) != 0,)"
)
ITSELF = Path("tests/gates/test_files.py")


def _lines(root: Path, name: Path) -> list[str]:
    """The lines of a text file; none for a binary one."""
    content = (root / name).read_bytes()
    return [] if b"\0" in content else content.decode("utf-8").splitlines()


def _matches(root: Path, files: list[Path], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name in files
        if name != ITSELF
        for number, line in enumerate(_lines(root, name), 1)
        if pattern.search(line)
    ]


def test_the_patterns_find_what_they_are_for():
    assert MACHINE_PATH.search("see /home/someone/x") and MACHINE_PATH.search('"/root/.kube"')
    assert not MACHINE_PATH.search("~/.kube/config") and not MACHINE_PATH.search("lab/work/part")
    assert REGISTRY_HOST.search("image: docker.io/library/x") and not REGISTRY_HOST.search("docker.iota")
    assert SKIP.search("@pytest.mark.skipif(slow, reason=x)") and SKIP.search("pytest.skip('no lab')")
    assert not SKIP.search("pytest.mark.skipif(\n    os.geteuid() != 0, reason=x)")


def test_no_file_is_too_long(root, files):
    long = {
        str(name): count for name in files if name.suffix in COUNTED and (count := len(_lines(root, name))) > MAX_LINES
    }
    assert not long, f"more than {MAX_LINES} lines (is it two things?): {long}"


def test_no_path_of_one_machine(root, files):
    assert not _matches(root, files, MACHINE_PATH)


def test_no_package_registry_host(root, files):
    assert not _matches(root, files, REGISTRY_HOST)


def test_no_generated_file_is_committed(files):
    generated = {".venv", ".lab", ".cache", "reports", "__pycache__", ".ansible"}
    assert not [str(name) for name in files if generated & set(name.parts)]


def test_every_yaml_file_opens_with_a_document_marker(root, files):
    without = [
        str(name)
        for name in files
        if name.suffix in {".yml", ".yaml"}
        and next((line for line in _lines(root, name) if not line.startswith("#")), "---") != "---"
    ]
    assert not without


def test_no_test_is_skipped(root, files):
    skipping = [str(name) for name in files if name.suffix == ".py" and SKIP.search((root / name).read_text("utf-8"))]
    assert skipping == [str(ITSELF)]
