# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  login_host:
    description:
      - Host of the server. Without it, O(login_unix_socket) or the client library's default.
    type: str
    default: ""
  login_port:
    description:
      - Its port.
    type: int
    default: 5432
  login_user:
    description:
      - User of the database.
    type: str
    default: postgres
  login_password:
    description:
      - The user's password. Without it the client library's own ways are left, such as a password file.
    type: str
  login_db:
    description:
      - Database to read.
    type: str
    default: postgres
  login_unix_socket:
    description:
      - Folder of the server's socket, where O(login_host) is not given.
    type: path
    default: ""
  ssl_mode:
    description:
      - How TLS is negotiated.
    type: str
    choices: [allow, disable, prefer, require, verify-ca, verify-full]
    default: prefer
  ssl_rootcert:
    description:
      - File with the certificates of authorities that may sign the server's.
    type: path
    aliases: [ca_cert]
requirements:
  - psycopg2 2.8 or later
"""
