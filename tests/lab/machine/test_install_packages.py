"""lab/install_packages with a dpkg and an apt that are shell scripts and keep a list of what is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "lab" / "install_packages"
DPKG = """#!/bin/sh
for package; do :; done
grep -qx "$package" "$STATE/installed" && printf installed
"""
APT = """#!/bin/sh
echo "$RUNLEVEL $*" >>"$STATE/calls"
case "$1" in
update) touch "$STATE/updated"; exit 0 ;;
esac
if [ -e "$STATE/needs-update" ] && [ ! -e "$STATE/updated" ]; then exit 100; fi
[ ! -e "$STATE/broken" ] || exit 100
shift
for package; do case "$package" in -*) ;; *) echo "$package" >>"$STATE/installed" ;; esac; done
"""
APT_CACHE = '#!/bin/sh\n[ ! -e "$STATE/no-lists" ]\n'


class Machine:
    """A machine with some packages; what the script did on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "path"
        self.path.mkdir()
        for name, text in {"dpkg-query": DPKG, "apt-get": APT, "apt-cache": APT_CACHE}.items():
            self.program(name, text)
        self.program("id", "#!/bin/sh\ncat $STATE/uid\n")
        for tool in ("bash", "sed", "dirname", "grep", "env", "touch", "cat", "sh"):
            (self.path / tool).symlink_to(f"/usr/bin/{tool}")
        (folder / "installed").write_text("one\n")
        (folder / "uid").write_text("0\n")
        (folder / "list").write_text("# comment\none  # why\n\ntwo # why\nthree\n")

    def program(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def set(self, flag: str) -> None:
        (self.folder / flag).touch()

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/bash", SCRIPT, self.folder / "list"],
            env={"PATH": str(self.path), "STATE": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


INSTALL = "1 install -y -qq --no-install-recommends two three"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_only_what_is_missing_is_installed_and_only_once(machine: Machine) -> None:
    assert machine.run().returncode == 0
    assert machine.calls == [INSTALL]
    again = machine.run()
    assert (again.returncode, again.stdout) == (0, "packages: all 3 Debian packages are installed\n")
    assert machine.calls == [INSTALL]


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("no-lists", [" update -qq", INSTALL]), ("needs-update", [INSTALL, " update -qq", INSTALL])],
)
def test_lists_are_read_once_and_only_when_needed(machine: Machine, flag: str, expected: list[str]) -> None:
    machine.set(flag)
    assert machine.run().returncode == 0
    assert machine.calls == expected


def test_failure_is_not_passed_over(machine: Machine) -> None:
    machine.set("broken")
    ended = machine.run()
    assert ended.returncode == 1
    assert "apt-get could not install two three" in ended.stderr
    assert machine.calls == [INSTALL, " update -qq", INSTALL]


def test_apt_that_installs_nothing_is_noticed(machine: Machine) -> None:
    machine.program("apt-get", "#!/bin/sh\n")
    ended = machine.run()
    assert ended.returncode == 1
    assert "two is not installed" in ended.stderr


def test_sudo_for_those_who_are_not_root(machine: Machine) -> None:
    (machine.folder / "uid").write_text("1000\n")
    ended = machine.run()
    assert ended.returncode == 1
    assert "as root:  apt-get install --no-install-recommends two three" in ended.stderr
    machine.program("sudo", '#!/bin/sh\necho "sudo" >>"$STATE/calls"\nexec "$@"\n')
    assert machine.run().returncode == 0
    assert machine.calls == ["sudo", INSTALL]


def test_machine_without_apt_is_told_what_to_install(machine: Machine) -> None:
    (machine.path / "apt-get").unlink()
    ended = machine.run()
    assert ended.returncode == 1
    assert "this machine has no apt. The lab needs what Debian calls one two three" in ended.stderr


def test_empty_list(machine: Machine) -> None:
    (machine.folder / "list").write_text("# nothing\n")
    assert "names no package" in machine.run().stderr


def test_each_package_of_the_lab_has_its_reason() -> None:
    lines = [line for line in (SCRIPT.parent / "packages.txt").read_text().splitlines() if line[:1] not in ("#", "")]
    assert len(lines) >= 4
    assert all(reason.strip() for line in lines for _, _, reason in [line.partition("#")])
