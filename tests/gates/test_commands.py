"""The commands that the documents promise exist, and the runner of the gates tells the truth."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

COMMAND = re.compile(r"(?:^\s*\$?\s*|`)make ([a-z][a-z0-9-]*)", re.MULTILINE)


def _targets(root: Path) -> dict[str, str]:
    """The Makefile's targets and what help says of them."""
    rule = re.compile(r"^([a-z][a-z0-9-]*):[^#\n=]*(?:## (.*))?$", re.MULTILINE)
    return dict(rule.findall((root / "Makefile").read_text(encoding="utf-8")))


def test_every_make_command_in_the_documents_exists(root, files):
    targets = _targets(root)
    unknown = {
        f"{name}: make {command}"
        for name in files
        if name.suffix == ".md"
        for command in COMMAND.findall((root / name).read_text(encoding="utf-8"))
        if command not in targets
    }
    assert not unknown


def test_the_readme_shows_the_two_commands(root):
    commands = COMMAND.findall((root / "README.md").read_text(encoding="utf-8"))
    assert commands[:2] == ["demo", "test"]


def test_help_lists_every_target_but_the_internal_one(root):
    silent = {name for name, text in _targets(root).items() if not text}
    assert silent == {"venv"}
    shown = subprocess.run(["make", "-C", root], check=True, capture_output=True, text=True).stdout
    assert all(f"make {name} " in shown for name in _targets(root) if name not in silent)


def test_ci_runs_the_readmes_test_command(root):
    assert re.search(r"^timeout .* make test$", (root / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def gates(root, tmp_path):
    """Runs .ci/gates over a Makefile of three targets, the second of which does what it is told to."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(root / ".ci" / "gates", tmp_path / ".ci" / "gates")

    def run(second: str, *targets: str, third: str = "echo third") -> subprocess.CompletedProcess[str]:
        (tmp_path / "Makefile").write_text(f"one:\n\t@echo first\ntwo:\n\t@{second}\nthree:\n\t@{third}\n")
        return subprocess.run(
            ["bash", tmp_path / ".ci" / "gates", *(targets or ("one", "two", "three"))],
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_gates_pass_when_all_pass(gates):
    done = gates("true")
    assert done.returncode == 0
    assert re.search(r"one +passed +\d+\ntwo +passed +\d+\nthree +passed +\d+\n", done.stdout)


def test_gates_stop_at_the_first_failure_and_say_what_did_not_run(gates):
    done = gates("false")
    assert done.returncode != 0
    assert "third" not in done.stdout
    assert re.search(r"one +passed +\d+\ntwo +FAILED +\d+\nthree +not run", done.stdout)


def test_a_gate_beside_others_is_awaited_and_its_output_comes_whole(gates):
    done = gates("nice; sleep 1; echo second", "beside:two", "one", "three")
    assert done.returncode == 0
    assert done.stdout.index("third") < done.stdout.index("19\nsecond\n<== two: passed")
    assert re.search(r"two +passed +[1-9]\d*\none +passed +\d+\nthree +passed +\d+\n", done.stdout)


def test_a_gate_that_fails_beside_others_fails_the_whole(gates):
    done = gates("false", "beside:two", "one", "three")
    assert done.returncode != 0
    assert "third" in done.stdout
    assert re.search(r"two +FAILED +\d+\none +passed +\d+\nthree +passed +\d+\n", done.stdout)


def test_a_failure_ends_what_runs_beside(gates, tmp_path):
    done = gates(f"echo second; sleep 300; touch {tmp_path}/late", "beside:two", "one", "three", third="sleep 1; false")
    assert done.returncode != 0
    assert re.search(r"two +STOPPED +\none +passed +\d+\nthree +FAILED +\d+\n", done.stdout)
    assert "second" in done.stdout
    assert not [
        found for found in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(found.info["cmdline"] or ())
    ]


def test_every_link_between_documents_leads_to_a_file(root, files):
    link = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
    broken = {
        f"{name}: {target}"
        for name in files
        if name.suffix == ".md"
        for target in link.findall((root / name).read_text(encoding="utf-8"))
        if not (root / name.parent / target).exists()
    }
    assert not broken
