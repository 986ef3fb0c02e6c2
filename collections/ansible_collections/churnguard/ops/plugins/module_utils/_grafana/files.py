# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a folder to write and to remove. Internal: may change in any release.

A file is this collection's if its name, its uid and its tag say the same: "<prefix>-<name>.json", "<prefix>-<name>" and
"churnguard.ops/<name>". A copy that somebody made has another uid, as Grafana demands, and so is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.document import MARKER, Style, uid


@dataclass(frozen=True)
class Plan:
    """Texts to write by file name, names to remove, and what is there now by name (for the diff)."""

    write: dict[str, str]
    remove: list[str]
    before: dict[str, str]

    @property
    def after(self) -> dict[str, str]:
        """The files of ``before`` and ``write`` as they will be."""
        return {name: text for name, text in {**self.before, **self.write}.items() if name not in self.remove}


def file_name(name: str, style: Style) -> str:
    """The file of a dashboard."""
    return f"{uid(name, style)}.json"


def read(folder: Path) -> dict[str, str]:
    """The texts of the folder's JSON files by name; none if there is no folder. Raises OperationError."""
    try:
        return {
            path.name: path.read_text(encoding="utf-8", errors="replace")
            for path in sorted(folder.glob("*.json"))
            if path.is_file()
        }
    except OSError as error:
        raise OperationError(
            f"read the dashboards in {folder}", f"{error}.", "let the user that runs the task read the folder."
        ) from error


def is_own(file: str, text: str | None, style: Style) -> bool:
    """Whether a file is one that this collection wrote with the same uid_prefix."""
    try:
        content = json.loads(text or "")
    except ValueError:
        return False
    if not isinstance(content, dict) or not isinstance(content.get("tags"), list):
        return False
    names = [tag[len(MARKER) :] for tag in content["tags"] if isinstance(tag, str) and tag.startswith(MARKER)]
    return any(content.get("uid") == uid(name, style) and file == file_name(name, style) for name in names)


def plan(wanted: Mapping[str, str], existing: Mapping[str, str], style: Style, force: bool = False) -> Plan:
    """What to do so that the wanted files are there and no other of ours is.

    ``wanted`` and ``existing`` are texts by file name. Raises OperationError for a file that stands in the way and
    is not ours, unless ``force``.
    """
    own = {file for file, text in existing.items() if is_own(file, text, style)}
    write = {file: text for file, text in wanted.items() if existing.get(file) != text}
    foreign = sorted(file for file in write if file in existing and file not in own)
    if foreign and not force:
        raise OperationError(
            f"write {', '.join(foreign)}",
            "a file of that name is there, and it is not one that this module wrote.",
            "move it away, choose another uid_prefix, or say force to replace it.",
        )
    remove = sorted(own - set(wanted))
    return Plan(write, remove, {file: text for file, text in existing.items() if file in write or file in remove})
