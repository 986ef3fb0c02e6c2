"""Runs one of the collection's modules as a process of its own, the way Ansible does: arguments in, JSON out.

python module_driver.py churnguard.ops.rollout < arguments.json
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "collections"))

from ansible.module_utils.testing import patch_module_args  # noqa: E402


def main() -> None:
    namespace, collection, name = sys.argv[1].split(".")
    module = importlib.import_module(f"ansible_collections.{namespace}.{collection}.plugins.modules.{name}")
    with patch_module_args(json.load(sys.stdin)):
        module.main()


if __name__ == "__main__":
    main()
