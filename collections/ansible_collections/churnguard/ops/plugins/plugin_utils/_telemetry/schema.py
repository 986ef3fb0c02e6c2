# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a JSON Schema says against a document, in a line each. No I/O. Internal: may change in any release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

try:
    import jsonschema
except ImportError:
    jsonschema = None

#: How much of a wrong value a message shows.
_SHOWN = 120


class SchemaError(ValueError):
    """The schema itself cannot be used; the message says why."""


def errors(document: Any, schema: Mapping[str, Any]) -> list[str]:
    """What is wrong with C(document), ordered by where: C("at receivers.otlp: ..."). Empty when it is valid.

    The schema is Draft 2020-12, refers to itself alone, and is itself checked first. Raises SchemaError.
    """
    if jsonschema is None:
        raise SchemaError("the Python package jsonschema is needed on the controller: pip install jsonschema")
    draft = jsonschema.Draft202012Validator
    # The document may hold Ansible's own kinds of text and number; what is checked is what would be written.
    plain, plain_schema = json.loads(json.dumps(document, default=str)), json.loads(json.dumps(schema, default=str))
    try:
        draft.check_schema(plain_schema)
    except jsonschema.SchemaError as error:
        raise SchemaError(f"the schema is no valid JSON Schema at {_place(error.path)}: {error.message}") from error
    found = sorted(
        draft(plain_schema).iter_errors(plain), key=lambda error: [str(step) for step in error.absolute_path]
    )
    return list(dict.fromkeys(_line(error) for error in found))


def _line(error: Any) -> str:
    """One error; a pattern or a list of choices is named, a long value is cut."""
    message = error.message
    if error.validator == "pattern":
        message = f"{_short(error.instance)} does not match {error.validator_value}"
    elif len(message) > 2 * _SHOWN:
        message = f"{_short(error.instance)} breaks {error.validator}: {_short(error.validator_value)}"
    return f"at {_place(error.absolute_path)}: {message}"


def _place(path: Any) -> str:
    """Where in the document: C(receivers.otlp.protocols), C(operators[2])."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "the top"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
