"""Running a playbook of this checkout as its user does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = Path(sys.executable).parent
RECAP = re.compile(r"^localhost +: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.M)


@dataclass(frozen=True)
class Run:
    """One ended ansible-playbook: exit code and everything it printed, with line breaks and indents folded."""

    code: int
    output: str

    @property
    def text(self) -> str:
        """The output as one line, so that a message is found however it was wrapped or quoted."""
        return " ".join(self.output.replace("''", "'").split())

    def passed(self) -> Run:
        """This run, which has to have succeeded."""
        assert self.code == 0, self.output
        return self

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        recap = RECAP.search(self.output)
        assert recap, f"no play recap in:\n{self.output}"
        return int(recap.group(2))


Playbook = Callable[..., Run]


def ansible_environment(**extra: str) -> dict[str, str]:
    """The environment of a run: this checkout's ansible.cfg, and no Kubernetes settings of whoever runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("K8S_AUTH_", "KUBECONFIG"))}
    return {**inherited, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", **extra}


def play(path: Path, inventory: str, *options: Any, env: dict[str, str] | None = None, **variables: Any) -> Run:
    """Run the playbook at `path` in the environment `inventory`, with extra variables and options."""
    ended = subprocess.run(
        [ANSIBLE / "ansible-playbook", "-i", ROOT / "inventories" / inventory, path]
        + ["-e", json.dumps(variables), *options],
        cwd=ROOT,
        env=ansible_environment(**(env or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return Run(ended.returncode, ended.stdout)
