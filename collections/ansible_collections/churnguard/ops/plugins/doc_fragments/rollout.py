# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the application.
      - Its slots' Deployments and Services are called C(<name>-<slot>), its journal (ConfigMap and Lease)
        C(<name>-rollout).
    type: str
    required: true
  namespace:
    description:
      - Namespace of the application.
    type: str
    required: true
  slots:
    description:
      - Names of the two slots.
    type: list
    elements: str
    default: [blue, green]
  router:
    description:
      - What splits traffic between the slots.
    type: dict
    suboptions:
      kind:
        description:
          - V(HTTPRoute) moves the weights of the one Gateway API rule whose backends are the slots' Services.
          - V(Service) switches the C(slot) label in the selector of one public Service, where there is no gateway.
        type: str
        choices: [HTTPRoute, Service]
        default: HTTPRoute
      name:
        description:
          - Name of that object. Defaults to O(name).
        type: str
"""
