"""How many requests elasticache_replication_group makes when there is nothing to do, counted by botocore's own events.

    python -m churnguard_lab.bench_elasticache

The module runs as Ansible runs it, with the options that role redis_elasticache gives it, against a moto server of its
own.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import botocore.handlers
from ansible.module_utils.testing import patch_module_args

from churnguard_lab.bench import any_failed, figure, table

sys.path.append(str(Path(__file__).resolve().parents[2] / "collections"))

from ansible_collections.churnguard.ops.plugins.modules import elasticache_replication_group  # noqa: E402
from ansible_collections.churnguard.ops.tests.unit.support.moto import GUIDES_CACHE, MotoServer  # noqa: E402

LIMIT = 3
CACHE = {**GUIDES_CACHE, "auth_token": "only-for-this-benchmark", "tags": {"Name": "churnguard-redis"}}


def run(options: dict[str, Any]) -> dict[str, Any]:
    """The result of the module. Raises RuntimeError when it fails."""
    printed = io.StringIO()
    with patch_module_args(options), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        elasticache_replication_group.main()
    result = json.loads(printed.getvalue())
    if result.get("failed"):
        raise RuntimeError(result["msg"])
    return result


def measurements() -> list[dict[str, Any]]:
    """The requests of the second run, by name of the measurement. Raises RuntimeError when it changes something."""
    sent: list[str] = []

    def note(model: Any, **_event: Any) -> None:
        sent.append(model.name)

    handler = ("before-call.elasticache", note)
    botocore.handlers.BUILTIN_HANDLERS.append(handler)
    try:
        with MotoServer() as server:
            options = {**server.options, **CACHE}
            run(options)
            sent.clear()
            if run(options)["changed"]:
                raise RuntimeError(f"the second run changed something: {', '.join(sent)}")
    finally:
        botocore.handlers.BUILTIN_HANDLERS.remove(handler)
    return [figure("elasticache_noop_api_calls", len(sent), "requests", limit=LIMIT)]


def main() -> int:
    found = measurements()
    print(table(found))
    return int(any_failed(found))


if __name__ == "__main__":
    sys.exit(main())
