# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  stanza:
    description:
      - The stanza, pgBackRest's name for a cluster.
    type: str
    required: true
  config:
    description:
      - Configuration file of pgBackRest. It holds the passphrase of the repository, which so is on no command line.
    type: path
    default: /etc/pgbackrest/pgbackrest.conf
  repo:
    description:
      - Number of the repository to use, of those in O(config). Without it, pgBackRest's own choice.
    type: int
  pgbackrest:
    description:
      - The program.
    type: path
    default: pgbackrest
  system_user:
    description:
      - User of the system that PostgreSQL and pgBackRest run as, when the task runs as root. Any other user runs them
        as itself.
    type: str
    default: postgres
"""
