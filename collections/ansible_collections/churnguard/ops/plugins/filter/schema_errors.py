# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: schema_errors
author: churnguard.ops contributors
version_added: 1.0.0
short_description: What a JSON Schema says against a document
description:
  - Holds a document against a JSON Schema (Draft 2020-12) on the controller, so that a configuration is refused before
    anything is written. The result is empty for a valid document.
  - The Python package C(jsonschema) has to be on the controller.
options:
  _input:
    description: The document.
    type: raw
    required: true
  schema:
    description: The schema, which refers to itself alone.
    type: dict
    required: true
seealso:
  - plugin: ansible.utils.validate
    plugin_type: filter
    description: Does it with several engines, and is of a collection that this one needs for nothing else.
  - plugin: churnguard.ops.telemetry_errors
    plugin_type: filter
    description: Finds what a schema cannot see.
"""

EXAMPLES = r"""
- name: Check the configuration
  ansible.builtin.assert:
    that: errors | length == 0
    fail_msg: "{{ errors | join('; ') }}"
  vars:
    errors: "{{ collector | churnguard.ops.schema_errors(schema) }}"
    schema: "{{ lookup('ansible.builtin.file', 'schemas/collector.json') | from_json }}"
"""

RETURN = r"""
_value:
  description: A line for each thing that is wrong, with where it is.
  type: list
  elements: str
  sample: ["at receivers.otlp: 'protocols' is a required property"]
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.plugin_utils._telemetry import schema as schemas


def schema_errors(document, schema):
    """The documented filter."""
    if not isinstance(schema, dict):
        raise AnsibleFilterError("schema_errors: the schema has to be a dictionary.")
    try:
        return schemas.errors(document, schema)
    except (schemas.SchemaError, TypeError) as error:
        raise AnsibleFilterError(f"schema_errors: {error}") from error


class FilterModule:
    """Names of the filters in this file."""

    def filters(self):
        return {"schema_errors": schema_errors}
