"""The collection's metadata agrees with its modules, and with what is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

COLLECTION = Path(__file__).resolve().parents[2] / "collections" / "ansible_collections" / "churnguard" / "ops"
MODULES = sorted(path.stem for path in (COLLECTION / "plugins" / "modules").glob("[!_]*.py"))
# What a module must take to be in the action group: module_defaults hand all of it to every member.
SHARED_OPTIONS = {"api_key", "ca_cert", "context", "host", "kubeconfig", "validate_certs"}
# What the modules of AWS share instead, with amazon.aws' own group: validate_certs is an option of both.
AWS_OPTIONS = {"region", "profile", "endpoint_url", "validate_certs", "aws_ca_bundle"}


def _yaml(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def docs() -> dict[str, dict]:
    """The rendered documentation of every module, doc fragments included, by module name."""
    answered = subprocess.run(
        [Path(sys.executable).with_name("ansible-doc"), "-t", "module", "-j"]
        + [f"churnguard.ops.{name}" for name in MODULES],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2])},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {name.rpartition(".")[2]: entry["doc"] for name, entry in json.loads(answered).items()}


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def test_there_are_modules():
    assert MODULES


def test_the_action_group_is_the_list_of_modules_that_take_every_shared_option(docs):
    group = _yaml(COLLECTION / "meta" / "runtime.yml")["action_groups"]["ops"]
    assert group == sorted(name for name in MODULES if set(docs[name]["options"]) >= SHARED_OPTIONS)


def test_no_module_takes_only_some_of_the_shared_options(docs):
    partial = {
        name: sorted(group - set(docs[name]["options"]))
        for name in MODULES
        for group, other in ((SHARED_OPTIONS, AWS_OPTIONS), (AWS_OPTIONS, SHARED_OPTIONS))
        if (group - other) & set(docs[name]["options"]) and not set(docs[name]["options"]) >= group
    }
    assert not partial


@pytest.mark.parametrize("name", MODULES)
def test_a_module_documents_check_and_diff_mode(docs, name):
    attributes = docs[name].get("attributes", {})
    for attribute in ("check_mode", "diff_mode"):
        assert attributes.get(attribute, {}).get("support") in {"full", "partial", "none", "N/A"}, attribute
    assert attributes["check_mode"]["support"] == "full", "every module supports check mode"


@pytest.mark.parametrize("name", MODULES)
def test_the_readme_lists_the_module(name):
    assert f"`churnguard.ops.{name}`" in (COLLECTION / "README.md").read_text(encoding="utf-8")


def test_requirements_are_the_versions_that_are_installed(root):
    installed = Path(sys.executable).parents[1].glob("lib/python3*/site-packages/ansible_collections")
    folder = next(installed)
    for entry in _yaml(root / "requirements.yml")["collections"]:
        manifest = folder.joinpath(*entry["name"].split("."), "MANIFEST.json")
        assert entry["version"] == json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"]


def test_requirements_name_every_collection_that_is_used_and_no_other(root, files):
    called = re.compile(r"^\s*(?:- )?((?!ansible\.|churnguard\.)[a-z_]+\.[a-z_]+)\.[a-z_0-9]+:\s*$", re.MULTILINE)
    looked_up = re.compile(r"(?:lookup|query|q)\(\s*['\"]([a-z_]+\.[a-z_]+)\.[a-z_]+")
    used = set()
    for name in files:
        if name.parts[0] in {"roles", "playbooks", "molecule"} and name.suffix in {".yml", ".yaml"}:
            text = (root / name).read_text(encoding="utf-8")
            used |= set(called.findall(text) + looked_up.findall(text))
    used -= {name for name in used if name.startswith(("ansible.", "churnguard."))}
    assert used == {entry["name"] for entry in _yaml(root / "requirements.yml")["collections"]}


def test_the_collections_dependencies_admit_the_required_versions(root):
    required = {e["name"]: e["version"] for e in _yaml(root / "requirements.yml")["collections"]}
    for name, bound in (_yaml(COLLECTION / "galaxy.yml").get("dependencies") or {}).items():
        lowest = re.fullmatch(r">=(\d+\.\d+\.\d+)", bound)
        assert lowest, f"{name}: a lower bound is wanted, not {bound}"
        assert _numbers(required[name]) >= _numbers(lowest[1])


def test_the_image_for_awx_pins_what_is_tested_here(root):
    wanted = _yaml(root / "execution-environment.yml")["dependencies"]
    pins = [wanted["ansible_core"]["package_pip"], *wanted["python"]]
    for pin in pins:
        name, _, release = pin.partition("==")
        assert release == version(name), pin


def test_the_image_has_all_that_the_collection_imports(root):
    pinned = {pin.partition("==")[0] for pin in _yaml(root / "execution-environment.yml")["dependencies"]["python"]}
    lines = (COLLECTION / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert pinned == {re.split(r"[<>= ]", line)[0] for line in lines if line and not line.startswith("#")}


def test_the_coming_release_has_a_fragment_or_an_entry():
    released = _yaml(COLLECTION / "changelogs" / "changelog.yaml")["releases"]
    fragments = list((COLLECTION / "changelogs" / "fragments").glob("*.yml"))
    assert _yaml(COLLECTION / "galaxy.yml")["version"] in released or fragments
