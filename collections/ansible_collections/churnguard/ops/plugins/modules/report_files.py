#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report_files
short_description: Write the files of one report
version_added: 0.1.0
description:
  - Writes small text files below one folder, creating folders as needed, and can point a link beside that folder at it.
  - Each file and the link are replaced atomically, so that somebody who opens a report never sees half of one.
attributes:
  check_mode:
    description: Can run in check mode and say what would be written.
    support: full
  diff_mode:
    description: Returns the names of the files that are written, not their content.
    support: partial
    details: Reports are long; their content is not shown.
  idempotent:
    description: Files that hold the same content already are left alone.
    support: full
options:
  path:
    description:
      - The folder.
    type: path
    required: true
  files:
    description:
      - Contents by relative file name. A member that is not text is written as JSON.
    type: dict
    required: true
  link:
    description:
      - Name of a symbolic link beside the folder that is to point at it.
    type: str
seealso:
  - module: ansible.builtin.copy
    description: Does one file in a task, and a task takes longer than all files of a report.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Write a report
  churnguard.ops.report_files:
    path: /srv/reports/production/20261121T193300Z
    files:
      report.json: "{{ model }}"
      index.html: "{{ model | churnguard.ops.report_page(plots=model | churnguard.ops.report_plots) }}"
    link: latest
"""

RETURN = r"""
written:
  description: Names of the files, and of the link, that were written or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [report.json, index.html, latest]
"""

import json
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule


def text_of(content: Any) -> str:
    """What goes into the file: text as it is, anything else as JSON with one member a line."""
    return content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def is_current(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o644)
    draft.replace(path)


def point(link: Path, target: str) -> None:
    draft = link.with_name(f".{link.name}.{os.getpid()}")
    draft.symlink_to(target)
    draft.replace(link)


def points_at(link: Path, target: str) -> bool:
    return link.is_symlink() and str(link.readlink()) == target


def outside(folder: Path, name: str) -> bool:
    return not (folder / name).resolve().is_relative_to(folder.resolve())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "files": {"type": "dict", "required": True},
            "link": {"type": "str"},
        },
        supports_check_mode=True,
    )
    folder, link = Path(module.params["path"]), module.params["link"]
    texts = {name: text_of(content) for name, content in module.params["files"].items()}
    for name in texts:
        if outside(folder, name):
            module.fail_json(
                msg=f"Could not write {name}: it lies outside {folder}. Next: give names relative to path."
            )
    if link is not None and "/" in link:
        module.fail_json(msg=f"Could not point {link} at {folder}: it is not a plain name. Next: give one without '/'.")
    stale = [name for name, text in texts.items() if not is_current(folder / name, text)]
    pointing = link is not None and not points_at(folder.with_name(link), folder.name)
    try:
        if not module.check_mode:
            for name in stale:
                write(folder / name, texts[name])
            if pointing:
                point(folder.with_name(link), folder.name)
    except OSError as error:
        module.fail_json(
            msg=f"Could not write the report below {folder}: {error}. Next: check the folder's owner and room."
        )
    written = stale + ([link] if pointing else [])
    result: dict[str, Any] = {"changed": bool(written), "written": written}
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(f"{name}\n" for name in written)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
