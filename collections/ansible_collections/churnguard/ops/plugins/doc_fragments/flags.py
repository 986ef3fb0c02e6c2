# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the ConfigMap that holds the document.
    type: str
    required: true
  namespace:
    description:
      - Namespace of the ConfigMap.
    type: str
    required: true
  key:
    description:
      - Key of the ConfigMap under which the document is; the name of the file where it is mounted.
    type: str
    default: flags.json
  api_patience:
    description:
      - Seconds for which an API server that does not answer is tried again.
    type: int
    default: 30
"""
