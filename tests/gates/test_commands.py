"""The commands that the documents promise exist, and the runner of the gates tells the truth."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

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
    """Runs .ci/gates over a Makefile of three targets, the second of which fails or not."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(root / ".ci" / "gates", tmp_path / ".ci" / "gates")

    def run(second: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "Makefile").write_text(f"one:\n\t@echo first\ntwo:\n\t@{second}\nthree:\n\t@echo third\n")
        return subprocess.run(
            ["bash", tmp_path / ".ci" / "gates", "one", "two", "three"],
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
