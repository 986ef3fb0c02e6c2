# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  endpoint:
    description:
      - How this machine reaches the application. Without it nothing is probed, and the result says so.
    type: dict
    suboptions:
      url:
        description: Where requests go, without a path.
        type: str
        required: true
      headers:
        description: Headers of every probe, for example C(Host).
        type: dict
        default: {}
      slot_header:
        description: Request header that pins a request to a slot; the HTTPRoute has a rule for it.
        type: str
        default: x-churnguard-slot
      slot_url:
        description: Address of one slot, with V({slot}) in the place of its name, where no router honours
          O(endpoint.slot_header) - for example C(http://churnguard-api-{slot}.churnguard-production.svc) with
          O(router.kind=Service) and a controller inside the cluster.
        type: str
      version_header:
        description: Reply header that names the version.
        type: str
        default: X-ChurnGuard-Version
      slot_reply_header:
        description: Reply header that names the slot.
        type: str
        default: X-ChurnGuard-Slot
      path:
        description: Path of the probes.
        type: str
        default: /health
      timeout:
        description: Seconds for one request.
        type: float
        default: 5
      validate_certs:
        description: Whether the endpoint's certificate is checked.
        type: bool
        default: true
  ready_timeout:
    description:
      - Seconds for a slot to become ready. A state that cannot get better (crash loop, missing image, quota, deadline
        of the Deployment) ends the wait at once.
    type: int
    default: 600
  confirm_timeout:
    description:
      - Seconds for the data plane to show what was written to the router.
    type: int
    default: 60
  confirm_requests:
    description:
      - Probes in a row that the right version must answer after a switch.
    type: int
    default: 20
  drain:
    description:
      - Proof that a version has fallen silent, before it is retired.
    type: dict
    suboptions:
      quiet_period:
        description: Seconds without a request, and none in flight.
        type: int
        default: 10
      timeout:
        description: Seconds until the rollout stops with both versions running.
        type: int
        default: 120
      prometheus_url:
        description: Prometheus that scrapes the application. Without it, requests in flight are not known and only
          probes speak.
        type: str
  lease_duration:
    description:
      - Seconds without a sign of life after which another run may take the lock over.
    type: int
    default: 60
  api_patience:
    description:
      - Seconds for which an API server that does not answer is tried again.
    type: int
    default: 60
"""
