# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  alertmanager_url:
    description:
      - Alertmanager's address, without C(/api/v2). Of a cluster, any one member; the others hear of it.
    type: str
    required: true
  token:
    description:
      - Bearer token for a proxy in front of Alertmanager, which knows none itself.
    type: str
  token_file:
    description:
      - File that holds the token, instead of O(token), on the machine where the module runs.
    type: path
  timeout:
    description:
      - Seconds for one request.
    type: float
    default: 10.0
  validate_certs:
    description:
      - Whether the server's certificate is checked.
    type: bool
    default: true
  ca_path:
    description:
      - Certificate authorities that the server's certificate is checked against, in PEM, instead of the system's.
    type: path
"""
