"""The role's rules as files that promtool reads, with their cases beside them."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import yaml
from ansible_collections.churnguard.ops.plugins.plugin_utils._slo import rules as slo_rules
from churnguard_lab.binaries import catalogue

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
TEMPLATES = sorted((ROLE / "templates" / "rules").glob("*.yml.j2"))
CASES = sorted((ROLE / "files" / "tests").glob("*.yml"))
RUNBOOK_URL = "https://docs.churnguard.com/runbooks"
#: Evaluates to something at all times, on purpose: it cannot be silent.
ALWAYS = "Watchdog"


def executable() -> Path:
    """The lab's promtool."""
    (bundle,) = (bundle for bundle in catalogue.BUNDLES if "promtool" in bundle.executables)
    found = catalogue.in_cache(catalogue.cache_root(os.environ), bundle)
    assert found, f"there is no {bundle.title} in the cache: run `make lab-binaries`"
    return found["promtool"]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run([executable(), *arguments], capture_output=True, text=True, timeout=300, check=False)


def thresholds() -> dict[str, Any]:
    """The default thresholds."""
    return yaml.safe_load((ROLE / "vars" / "thresholds.yml").read_text())["__monitoring_default_thresholds"]


def objectives() -> list[dict[str, Any]]:
    """The default objectives."""
    return yaml.safe_load((ROLE / "vars" / "objectives.yml").read_text())["__monitoring_default_objectives"]


def rendered(template: Path, limits: dict[str, Any]) -> str:
    """A rule file as ansible.builtin.template writes it: the first line sets the delimiters."""
    header, _, body = template.read_text(encoding="utf-8").partition("\n")
    options = dict(re.findall(r'(\w+_string):"([^"]+)"', header))
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True, **options
    )  # fmt: skip
    return environment.from_string(body).render(__monitoring_limits=limits, monitoring_runbook_url=RUNBOOK_URL)


@dataclasses.dataclass(frozen=True)
class Book:
    """A folder with rules/*.yml and tests/*.yml."""

    folder: Path

    @classmethod
    def render(cls, folder: Path, **limits: Any) -> Book:
        """Write everything, with C(limits) laid over the default thresholds."""
        (folder / "rules").mkdir()
        (folder / "tests").mkdir()
        for template in TEMPLATES:
            text = rendered(template, {**thresholds(), **limits})
            (folder / "rules" / template.name.removesuffix(".j2")).write_text(text, encoding="utf-8")
        slo = yaml.safe_dump(slo_rules.groups(objectives(), runbook_url=RUNBOOK_URL), sort_keys=False, width=1000)
        (folder / "rules" / "slo.yml").write_text(slo, encoding="utf-8")
        for case in CASES:
            shutil.copy(case, folder / "tests")
        return cls(folder)

    @property
    def files(self) -> list[Path]:
        return sorted((self.folder / "rules").glob("*.yml"))

    @property
    def tests(self) -> list[Path]:
        return sorted((self.folder / "tests").glob("*.yml"))

    def rules(self) -> list[dict[str, Any]]:
        """Every rule of every file."""
        return _rules(tuple(self.files))

    def alerts(self) -> list[dict[str, Any]]:
        """Every alerting rule."""
        return [rule for rule in self.rules() if "alert" in rule]

    def cases(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Every group of input series with each of its questions about an alert."""
        for path in self.tests:
            for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
                for question in test.get("alert_rule_test", []):
                    yield test, question


@functools.cache
def _rules(files: tuple[Path, ...]) -> list[dict[str, Any]]:
    groups = [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]
