"""Every role says what it takes, has a default for what is optional, and explains itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROLES = sorted(path.parents[1] for path in (Path(__file__).resolve().parents[2] / "roles").glob("*/tasks/main.yml"))


def _load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _options(role: Path) -> dict[str, dict]:
    """The options of all entry points of a role, by name."""
    entry_points = _load(role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for entry in entry_points.values() for name, option in entry.get("options", {}).items()}


def test_there_are_roles():
    assert ROLES


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
class TestRole:
    def test_has_its_files(self, role):
        needed = ["README.md", "defaults/main.yml", "meta/argument_specs.yml"]
        assert not [name for name in needed if not (role / name).is_file()]

    def test_every_entry_point_is_described(self, role):
        for name, entry in _load(role / "meta" / "argument_specs.yml")["argument_specs"].items():
            assert (role / "tasks" / f"{name}.yml").is_file(), f"{name} has no task file"
            assert entry.get("short_description"), f"{name} has no short description"
            undescribed = [key for key, option in entry.get("options", {}).items() if not option.get("description")]
            assert not undescribed, f"{name}: {undescribed}"

    def test_every_default_is_in_the_argument_specs(self, role):
        defaults = {name for name in _load(role / "defaults" / "main.yml") if not name.startswith("__")}
        assert not defaults - set(_options(role))

    def test_a_required_option_has_no_default_and_an_optional_one_has(self, role):
        defaults = set(_load(role / "defaults" / "main.yml"))
        required = {name for name, option in _options(role).items() if option.get("required")}
        own = {name for name in _options(role) if name.startswith(f"{role.name}_")}
        assert not required & defaults, "required, yet it has a default"
        assert not own - required - defaults, "optional, yet it has no default"

    def test_a_default_named_in_the_specs_is_the_default(self, role):
        defaults = _load(role / "defaults" / "main.yml")
        different = {
            name: (option["default"], defaults[name])
            for name, option in _options(role).items()
            if "default" in option and name in defaults and "{{" not in str(defaults[name])
            if option["default"] != defaults[name]
        }
        assert not different

    def test_variables_carry_the_roles_name(self, role):
        own = (f"{role.name}_", f"__{role.name}_")
        names = set(_load(role / "defaults" / "main.yml"))
        for path in (role / "vars").glob("*.yml"):
            names |= set(_load(path))
        assert not [name for name in names if not name.startswith(own)]
        # What an environment says once for all roles starts with churnguard_.
        assert not [name for name in _options(role) if not name.startswith((*own, "churnguard_"))]

    def test_the_readme_names_every_required_option(self, role):
        readme = (role / "README.md").read_text(encoding="utf-8")
        required = [name for name, option in _options(role).items() if option.get("required")]
        assert not [name for name in required if name not in readme]
