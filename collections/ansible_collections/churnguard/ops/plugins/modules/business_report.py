#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: business_report
short_description: Review what the service was worth to its users over a period
version_added: 1.0.0
description:
  - Reads from Prometheus, over a period and the one before, the share of requests that were answered well, predictions
    by risk, active users, how old predictions are, the compliance score, and requests of data subjects handled and
    overdue.
  - What has a limit is held against it. What has too many gaps or is not there reads C(not_checked), and is never taken
    for a good answer; so does a comparison with a period that was seen in part only.
  - Counters are followed for each process by itself, over restarts and replaced pods, so that nothing is counted twice
    and a first event is not lost.
  - A period of any length is asked for in pieces that Prometheus accepts. A Prometheus that starts again in between is
    waited for until O(deadline).
extends_documentation_fragment:
  - churnguard.ops.read_only
  - churnguard.ops.review
options:
  step:
    description:
      - Seconds between samples. O(period) has to have 20 to 200000 of them.
      - Of a process that ends, what it counted after the last sample is not seen.
    type: int
    default: 300
  limits:
    description:
      - Other limits, by name of the figure; null for none.
      - C(answered_well) is at least 99.9 (%), C(compliance_score) at least 80 (points), C(prediction_age) at most 24
        (hours), C(gdpr_overdue) at most 0. C(predictions), C(active_users) and C(gdpr_handled) have none.
    type: dict
    default: {}
seealso:
  - module: churnguard.ops.performance_report
  - name: Range queries of Prometheus
    description: What is asked. M(ansible.builtin.uri) can ask too, but does not follow counters from pod to pod.
    link: https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Review the last week
  churnguard.ops.business_report:
    prometheus_url: http://prometheus.monitoring:9090
    application_selector: namespace="churnguard-production"
    period: 7d

- name: Review a day against limits of our own, and only look
  churnguard.ops.business_report:
    prometheus_url: http://prometheus.monitoring:9090
    end: "2026-11-16T00:00:00Z"
    limits:
      compliance_score: 90
      answered_well: 99.5
    fail_on: []
  register: day
"""

RETURN = r"""
figures:
  description: What was found, in the order of the page.
  returned: when Prometheus answered
  type: list
  elements: dict
  contains:
    name:
      description: Name of the figure.
      type: str
      returned: always
    type:
      description: V(share), V(counter) or V(gauge).
      type: str
      returned: always
    title:
      description: What people call it.
      type: str
      returned: always
    meaning:
      description: What it means, in a sentence.
      type: str
      returned: always
    unit:
      description: Unit of the values; empty for a count.
      type: str
      returned: always
    value:
      description: The share, the growth over the period, or how a gauge stood at its end. Null where nobody knows.
      type: float
      returned: always
    judged:
      description: What is held against the limit; of a gauge the worst of the period.
      type: float
      returned: always
    limit:
      description: The limit, null for none.
      type: float
      returned: always
    at_least:
      description: Whether the limit is the least that is well, and not the most.
      type: bool
      returned: always
    verdict:
      description: V(passed), V(failed) or V(not_checked).
      type: str
      returned: always
    reason:
      description: Why it is not passed.
      type: str
      returned: always
    details:
      description: Of a gauge C(now), C(average), C(lowest), C(highest); of a share C(total), C(failed).
      type: dict
      returned: always
    parts:
      description: Value of each part, such as a level of risk, in this period and the one before.
      type: list
      elements: dict
      returned: always
      sample:
        - {name: high, value: 120, before: 98}
    coverage:
      description: Share of the period's samples that were there.
      type: float
      returned: always
    before:
      description: The same figure in the period before; of a gauge its average. Null where nobody knows.
      type: float
      returned: always
    change_percent:
      description: Change from the period before, of a gauge that of the average. Null where it is not known.
      type: float
      returned: always
    change_reason:
      description: Why it is not known.
      type: str
      returned: always
    queries:
      description: What Prometheus was asked.
      type: dict
      returned: always
clock_skew:
  description: Seconds by which the clock of Prometheus is ahead of this machine's.
  returned: when Prometheus answered
  type: float
interruptions:
  description: How many times Prometheus did not answer and was asked again.
  returned: when Prometheus answered
  type: int
acceptable:
  description: Whether nothing that O(fail_on) names was found.
  returned: when Prometheus answered
  type: bool
envelope:
  description: Result envelope of the operation C(business_review), as the role C(report) keeps it.
  returned: when Prometheus answered
  type: dict
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._business.definitions import read_figures
from ansible_collections.churnguard.ops.plugins.module_utils._business.review import PURPOSE, Reviewer
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.asking import Asker
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.limits import Scope, Wish, server_options
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.reviewing import review


def argument_spec() -> dict[str, dict[str, Any]]:
    return {**server_options(step=300), "limits": {"type": "dict", "default": {}}}


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params

    def reviewer_of(asker: Asker, wish: Wish, recorder: Recorder) -> Reviewer:
        return Reviewer(asker, read_figures(params["limits"]), wish, recorder)

    scope = Scope(application=params["application_selector"])
    review(module, "business_review", PURPOSE, scope, reviewer_of)


if __name__ == "__main__":
    main()
