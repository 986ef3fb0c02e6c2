# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that review a period with a Prometheus; each describes its own O(step)."""

    DOCUMENTATION = r"""
options:
  prometheus_url:
    description:
      - Prometheus that has the metrics, without a path.
    type: str
    required: true
  period:
    description:
      - How long before O(end) to look at, in minutes, hours, days or weeks - C(90m), C(24h), C(7d), C(2w).
    type: str
    default: 24h
  end:
    description:
      - End of the period, ISO 8601 with a zone. Without it, now by the clock of Prometheus.
    type: str
  application_selector:
    description:
      - Label matchers for the metrics of the application, such as C(namespace="churnguard-production").
    type: str
    default: ""
  min_coverage:
    description:
      - Share of the samples that has to be there and be a number. With fewer it is not checked, unless what is there
        is bad enough whatever is missing.
    type: float
    default: 0.9
  max_clock_skew:
    description:
      - Seconds between this machine's clock and that of Prometheus above which a warning is given. The period is by the
        clock of Prometheus in any case.
    type: float
    default: 5
  fail_on:
    description:
      - What makes the module fail; the verdict in RV(ignore:envelope) is the same in any case. Empty to only look.
      - V(violation) is something beyond its limit, V(not_checked) something that has a limit and could not be held
        against it, or nothing with a limit at all.
    type: list
    elements: str
    choices: [violation, not_checked]
    default: [violation, not_checked]
  query_timeout:
    description:
      - Seconds for one query.
    type: float
    default: 30
  deadline:
    description:
      - Seconds for all of them, with the time for which a Prometheus that does not answer is asked again.
    type: float
    default: 300
"""
