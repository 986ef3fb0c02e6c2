# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  notifications:
    description:
      - Messages about the run to a webhook that understands Slack's format (Slack, Mattermost, Rocket.Chat).
      - They are sent by a thread of their own. A webhook that is slow or down neither delays nor fails the run; what
        could not be delivered stands in the envelope as measurement V(notifications).
      - Nothing is sent in check mode.
    type: dict
    suboptions:
      webhook_url:
        description:
          - Address of the webhook. It is a secret and is never logged, shown or journaled.
        type: str
      events:
        description:
          - What is told. V(started), each move of traffic (V(step)), a weight that is held because a sample is bad
            (V(frozen)), a gate that waits, was approved or timed out (V(gate)), a command from outside (V(control)),
            the beginning and the end of the way back (V(rolling_back), V(rolled_back)), V(completed), and a run that
            stopped half-way (V(failed)).
        type: list
        elements: str
        choices: [started, step, frozen, gate, control, rolling_back, rolled_back, completed, failed]
        default: [started, frozen, gate, control, rolling_back, rolled_back, completed, failed]
      channel:
        description:
          - Channel, where the webhook lets the sender choose it.
        type: str
      sink:
        description:
          - File to which each message is appended as a line of JSON, beside O(notifications.webhook_url) or instead of
            it. For tests and dry runs.
        type: path
      timeout:
        description:
          - Seconds for one request. At the end of the run, messages that are still under way get as long once.
        type: float
        default: 5.0
      validate_certs:
        description:
          - Whether the webhook's certificate is checked.
        type: bool
        default: true
"""
