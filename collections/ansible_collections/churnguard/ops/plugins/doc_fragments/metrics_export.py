# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  metrics_export:
    description:
      - Metrics about the run for Prometheus - its state, the weights, the judge's verdicts and values, and how long it
        takes. They are written when something happens, else every 15 seconds. Needs C(prometheus_client).
      - They get out by a thread of its own. A Pushgateway that is slow or down neither delays nor fails the run; that
        stands in the envelope as measurement V(metrics_export).
      - Nothing is written in check mode.
    type: dict
    suboptions:
      textfile:
        description:
          - File for the textfile collector of node_exporter, on the machine where the module runs. One for each
            application; its name must end in C(.prom). It is replaced as a whole.
        type: path
      pushgateway_url:
        description:
          - Address of a Pushgateway. The group's labels are C(job=churnguard_rollout), C(app) and C(namespace).
        type: str
      pushgateway_username:
        description:
          - User name for the Pushgateway, where it asks for one.
        type: str
      pushgateway_password:
        description:
          - The password that belongs to it.
        type: str
      timeout:
        description:
          - Seconds for one request.
        type: float
        default: 5.0
      validate_certs:
        description:
          - Whether the Pushgateway's certificate is checked.
        type: bool
        default: true
"""
