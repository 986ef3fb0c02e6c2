"""Capturing and comparing manifests, and what came of it."""

from __future__ import annotations

from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._postgres import manifest_session
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.model import Options

#: The checks that read rows.
ROWS = ("rows", "content")


def capture(database, **options: Any) -> dict[str, Any]:
    return manifest_session.capture(database.connect, Options(**options))


def compare(database, manifest, reference=None, **options: Any) -> dict[str, Any]:
    connect = reference.connect if reference else None
    return manifest_session.compare(database.connect, manifest, Options(**options), reference=connect)


def failed(result: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(check["name"], check["subject"]): check for check in result["checks"] if check["verdict"] == "failed"}


def one(result: dict[str, Any], name: str, subject: str) -> dict[str, Any]:
    (found,) = [check for check in result["checks"] if (check["name"], check["subject"]) == (name, subject)]
    return found
