#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: performance_report
short_description: Review how machines and application performed over a period
version_added: 1.0.0
description:
  - Reads metrics from Prometheus over a period and gives, of each, average, maximum, percentiles, violations of its
    threshold by severity, and recommendations.
  - Each series, such as one machine, is judged on its own; the figures of a metric are those of its worst series.
  - What has too many gaps, is not a number or has no series reads C(not_checked), and so does a metric without a
    threshold. It is never taken for a good answer.
  - A period of any length is asked for in pieces that Prometheus accepts. A Prometheus that starts again in between is
    waited for until O(deadline).
extends_documentation_fragment:
  - churnguard.ops.read_only
  - churnguard.ops.review
options:
  step:
    description:
      - Seconds between samples. O(period) has to have 20 to 200000 of them.
    type: int
    default: 60
  metrics:
    description:
      - What is reviewed. Without it, the defaults are CPU, memory, disk, network, response time, connections and
        queue depth, from the metrics of node_exporter and churnguard-api.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the metric is called in results; lower-case letters, digits and underscores.
        type: str
        required: true
      query:
        description:
          - PromQL that yields one or more series, of which higher is worse.
          - C($node) and C($application) become O(node_selector) and O(application_selector), C($window) a range that
            is at least as long as O(step).
        type: str
        required: true
      unit:
        description: Unit of the values, such as C(%), C(ms) or C(B/s).
        type: str
        default: ""
      title:
        description: What people call it. Without it, made from the name.
        type: str
        default: ""
      threshold:
        description: Above this it is a violation; low, from 1.1 times it medium, from 1.25 high, from 1.5 critical.
          Without it nothing is judged.
        type: float
      judged:
        description: Which statistic has to be at or below the threshold. V(p95) lets 5 % of the samples be above it.
        type: str
        choices: [average, max, p95, p99]
        default: p95
      min_coverage:
        description: Share of the samples that has to be there, where it is not O(min_coverage).
        type: float
      advice:
        description: What is recommended when a statistic is above a value.
        type: list
        elements: dict
        default: []
        suboptions:
          statistic:
            description: Which one.
            type: str
            choices: [average, max, p95, p99]
            required: true
          above:
            description: Above which value.
            type: float
            required: true
          text:
            description: What to do.
            type: str
            required: true
  thresholds:
    description:
      - Other thresholds, by name of the metric; null for none.
    type: dict
    default: {}
  only:
    description:
      - Names of the metrics to review. Without it, all of them.
    type: list
    elements: str
    default: []
  node_selector:
    description:
      - Label matchers for the metrics of machines, such as C(job="node",instance=~"db.*").
    type: str
    default: ""
seealso:
  - module: churnguard.ops.metric_gate
  - name: Range queries of Prometheus
    description: What is asked. M(ansible.builtin.uri) can ask too, but neither splits long periods nor judges.
    link: https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Review the last day
  churnguard.ops.performance_report:
    prometheus_url: http://prometheus.monitoring:9090
    application_selector: namespace="churnguard-production"

- name: Review a week, with thresholds of our own, and only look
  churnguard.ops.performance_report:
    prometheus_url: http://prometheus.monitoring:9090
    period: 7d
    end: "2026-11-16T00:00:00Z"
    thresholds:
      cpu: 70
      disk_write: 200000000
    fail_on: []
  register: week

- name: Review one queue
  churnguard.ops.performance_report:
    prometheus_url: http://prometheus.monitoring:9090
    metrics:
      - name: mail_queue
        query: max by (queue) (mail_queue_length)
        threshold: 500
        judged: max
        advice:
          - {statistic: average, above: 200, text: Start another sender.}
"""

RETURN = r"""
metrics:
  description:
    - What was found of each metric, in their order. The figures are those of its worst series, and null without one.
  returned: when Prometheus answered
  type: list
  elements: dict
  contains:
    name:
      description: Name of the metric.
      type: str
      returned: always
    title:
      description: What people call it.
      type: str
      returned: always
    unit:
      description: Unit of the values.
      type: str
      returned: always
    query:
      description: What Prometheus was asked.
      type: str
      returned: always
    threshold:
      description: The threshold, null for none.
      type: float
      returned: always
    judged:
      description: The statistic that was held against it.
      type: str
      returned: always
    verdict:
      description: V(passed), V(failed) or V(not_checked); of all series.
      type: str
      returned: always
    reason:
      description: Why it is not passed.
      type: str
      returned: always
    severity:
      description: Of the judged statistic - V(none), V(low), V(medium), V(high) or V(critical).
      type: str
      returned: always
    worst_severity:
      description: Of the highest sample of any series.
      type: str
      returned: always
    labels:
      description: Labels of the worst series.
      type: dict
      returned: always
    average:
      description: Mean of the samples.
      type: float
      returned: always
    max:
      description: Highest sample.
      type: float
      returned: always
    min:
      description: Lowest sample.
      type: float
      returned: always
    p95:
      description: 95th percentile of the samples.
      type: float
      returned: always
    p99:
      description: 99th percentile of the samples.
      type: float
      returned: always
    samples:
      description: How many samples are numbers.
      type: int
      returned: always
    coverage:
      description: Their share of the samples that the period has.
      type: float
      returned: always
    violations:
      description:
        - Samples above the threshold - C(count), C(bands) by severity, C(seconds) altogether and C(longest_s) at a
          stretch. Null without a threshold or a sample.
      type: dict
      returned: always
    series_total:
      description: How many series there are.
      type: int
      returned: always
    series:
      description: The same figures of each series, the worst twenty of them.
      type: list
      elements: dict
      returned: always
recommendations:
  description: What to do, each with the metric, labels, statistic and value that say so.
  returned: when Prometheus answered
  type: list
  elements: dict
  sample:
    - metric: cpu
      labels: {instance: "db1:9100"}
      statistic: average
      above: 60.0
      value: 71.3
      unit: "%"
      coverage: 1.0
      text: Scale horizontally, or optimise what takes the CPU.
clock_skew:
  description: Seconds by which the clock of Prometheus is ahead of this machine's.
  returned: when Prometheus answered
  type: float
interruptions:
  description: How many times Prometheus did not answer and was asked again.
  returned: when Prometheus answered
  type: int
acceptable:
  description: Whether nothing was found that O(fail_on) names.
  returned: when Prometheus answered
  type: bool
envelope:
  description:
    - Result envelope of the operation C(performance_review) - the judged figure of each metric with its threshold, and
      as evidence all figures, queries, recommendations, and what a plot needs.
  returned: when Prometheus answered
  type: dict
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._performance.definitions import (
    metric_options,
    read_metrics,
)
from ansible_collections.churnguard.ops.plugins.module_utils._performance.review import PURPOSE, Reviewer
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.asking import Asker
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.limits import Scope, Wish, server_options
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.reviewing import review


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        **server_options(step=60),
        "metrics": {"type": "list", "elements": "dict", "default": [], "options": metric_options()},
        "thresholds": {"type": "dict", "default": {}},
        "only": {"type": "list", "elements": "str", "default": []},
        "node_selector": {"type": "str", "default": ""},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params

    def reviewer_of(asker: Asker, wish: Wish, recorder: Recorder) -> Reviewer:
        return Reviewer(asker, read_metrics(params["metrics"], params["thresholds"], params["only"]), wish, recorder)

    scope = Scope(params["node_selector"], params["application_selector"])
    review(module, "performance_review", PURPOSE, scope, reviewer_of)


if __name__ == "__main__":
    main()
