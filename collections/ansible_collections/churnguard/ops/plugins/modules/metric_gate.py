#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: metric_gate
short_description: Judge running services by their metrics
version_added: 0.1.0
description:
  - Looks at services through Prometheus for a while and says whether they are well, with the judge that
    M(churnguard.ops.rollout) uses - limits, and statistical tests against a stable version beside it.
  - Succeeds when every service is good at the end. Fails at once when one is bad beyond doubt, and otherwise when one
    stays bad or unknown for O(max_hold) seconds. Unknown is never good.
  - Any number of services is judged side by side in one process.
extends_documentation_fragment:
  - churnguard.ops.metrics
  - churnguard.ops.progress
  - churnguard.ops.read_only
attributes:
  check_mode:
    description: Can run in check mode. Every query is asked once, so that a wrong one is found; nothing is judged.
    support: full
options:
  prometheus_url:
    description:
      - Prometheus that scrapes the services, without a path.
    type: str
    required: true
  subjects:
    description:
      - The services to judge.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the application; the label C(app).
        type: str
        required: true
      namespace:
        description: Its namespace; the label C(namespace).
        type: str
        required: true
      slot:
        description: The slot to judge; the label C(slot). Without it, all of them.
        type: str
      version:
        description: The version to judge; the label C(version). Without it, all of them.
        type: str
      stable_slot:
        description: The slot to compare with.
        type: str
      stable_version:
        description: The version to compare with. Without it and O(subjects[].stable_slot) only limits are tested.
        type: str
  duration:
    description:
      - Seconds to look for.
    type: int
    default: 300
  interval:
    description:
      - Seconds between looks. Prometheus has to scrape at least that often.
    type: int
    default: 30
  min_good_samples:
    description:
      - Good looks that a service needs.
    type: int
    default: 3
  max_hold:
    description:
      - Seconds for which a service may be bad or unknown without a break, and by which the time may be exceeded until
        it is good.
    type: int
    default: 300
  false_alarm:
    description:
      - Probability that a service no different from the stable one is called bad beyond doubt, over all looks together.
    type: float
    default: 0.01
  pass_score:
    description:
      - Per cent of the metrics' weight that must be good among those that are good or bad.
    type: float
    default: 100
  force_forward:
    description:
      - Ignore a limit that the stable version breaks as well.
    type: bool
    default: false
  query_timeout:
    description:
      - Seconds for one query.
    type: float
    default: 5
seealso:
  - module: churnguard.ops.rollout
  - name: Instant queries of Prometheus
    description: What the metrics' expressions are sent to; docs/judge.md in the repository has the tests.
    link: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Verify a deployment by what its users get
  churnguard.ops.metric_gate:
    prometheus_url: http://prometheus.monitoring:9090
    subjects:
      - name: churnguard-api
        namespace: churnguard-production
        version: v2.0.0
    duration: 300

- name: Let nodes back in only when all services are well after the maintenance
  churnguard.ops.metric_gate:
    prometheus_url: http://prometheus.monitoring:9090
    subjects:
      - {name: churnguard-api, namespace: churnguard-production}
      - {name: billing-api, namespace: churnguard-production}
    metrics:
      - name: error_ratio
        kind: ratio
        numerator: sum by (pod) (churnguard_requests_total{$selector,status_code=~"5.."})
        denominator: sum by (pod) (churnguard_requests_total{$selector})
        limit: 0.01
        compare: false
      - name: queue_length
        kind: value
        query: max(churnguard_queue_length{$selector})
        limit: 1000
        critical: false
    pass_score: 50
    duration: 600

- name: Compare two versions that run side by side
  churnguard.ops.metric_gate:
    prometheus_url: http://prometheus.monitoring:9090
    subjects:
      - name: churnguard-api
        namespace: churnguard-production
        slot: green
        version: v2.0.0
        stable_slot: blue
        stable_version: v1.9.0
"""

RETURN = r"""
envelope:
  description: Result envelope - what was seen, when, and on what evidence.
  returned: except in check mode, when the judging began
  type: dict
  contains:
    operation:
      description: Always V(metric_gate).
      type: str
      returned: always
    subject:
      description: The services.
      type: dict
      returned: always
    started:
      description: Start, UTC.
      type: str
      returned: always
    finished:
      description: End, UTC.
      type: str
      returned: always
    verdict:
      description: V(passed) or V(failed).
      type: str
      returned: always
    changed:
      description: Always V(false).
      type: bool
      returned: always
    timeline:
      description: Every look at every service, with each metric's figures.
      type: list
      elements: dict
      returned: always
    measurements:
      description: For each service its good samples and the newest figure of each metric, with limit and verdict.
      type: list
      elements: dict
      returned: always
    evidence:
      description: For each service its newest twenty samples, with queries, window, n, values, limits and p-values.
      type: list
      elements: dict
      returned: always
services:
  description: What was found of each service.
  returned: same as envelope
  type: list
  elements: dict
  sample:
    - subject: churnguard-production/churnguard-api (v2.0.0)
      passed: true
      good_samples: 10
      reason: error_ratio 0.1 % of 12000 requests (limit 1 %)
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import FAILED, PASSED, Recorder, lines_to
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.gate import Gate, Patience, Subject
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import metric_options, read_metrics


def argument_spec() -> dict[str, dict[str, Any]]:
    subject = {
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        "slot": {"type": "str"},
        "version": {"type": "str"},
        "stable_slot": {"type": "str"},
        "stable_version": {"type": "str"},
    }
    return {
        "prometheus_url": {"type": "str", "required": True},
        "subjects": {"type": "list", "elements": "dict", "required": True, "options": subject},
        "metrics": {"type": "list", "elements": "dict", "default": [], "options": metric_options()},
        "duration": {"type": "int", "default": 300},
        "interval": {"type": "int", "default": 30},
        "min_good_samples": {"type": "int", "default": 3},
        "max_hold": {"type": "int", "default": 300},
        "false_alarm": {"type": "float", "default": 0.01},
        "pass_score": {"type": "float", "default": 100, "no_log": False},
        "force_forward": {"type": "bool", "default": False},
        "query_timeout": {"type": "float", "default": 5},
        "progress_file": {"type": "path"},
    }


def gate_of(params: dict[str, Any], clock: Clock, recorder: Recorder) -> Gate:
    """The gate that the parameters describe. Raises OperationError for what makes no sense."""
    if not params["subjects"]:
        raise OperationError("judge services", "subjects is empty.", "name at least one service.")
    if params["interval"] < 1 or params["duration"] < params["interval"]:
        raise OperationError(
            f"look every {params['interval']} s for {params['duration']} s",
            "that is not a single look.",
            "give a duration of at least one interval.",
        )
    if not 0 < params["false_alarm"] < 1:
        raise OperationError(
            f"keep false alarms to {params['false_alarm']:g}", "that is no probability.", "give one, such as 0.01."
        )
    subjects = [Subject(**{key: value or "" for key, value in entry.items()}) for entry in params["subjects"]]
    patience = Patience(params["interval"], params["duration"], params["max_hold"], params["min_good_samples"])
    return Gate(
        params["prometheus_url"],
        subjects,
        read_metrics(params["metrics"]),
        patience,
        clock,
        recorder,
        timeout=params["query_timeout"],
        false_alarm=params["false_alarm"],
        pass_score=params["pass_score"],
        force_forward=params["force_forward"],
    )


def outcome(gate: Gate, passed: bool) -> str:
    """The result in a sentence."""
    failed = [watch for watch in gate.watches if not watch.passed]
    if passed:
        count = len(gate.watches)
        return f"{gate.watches[0].subject} is good." if count == 1 else f"All {count} services are good."
    worst = f"{failed[0].subject}: {failed[0].reason}."
    return worst if len(failed) == 1 else f"{len(failed)} of {len(gate.watches)} services are not good; {worst}"


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    clock = Clock()
    recorder = Recorder(clock, "metric_gate", lines_to(module.params["progress_file"]))
    recorder.subject = {"services": module.params["subjects"], "prometheus_url": module.params["prometheus_url"]}
    try:
        gate = gate_of(module.params, clock, recorder)
        away = gate.check()
        if away:
            module.warn(f"Prometheus cannot be reached yet: {away}")
        if module.check_mode:
            answered = "Prometheus could not be asked" if away else "every query is understood"
            module.exit_json(changed=False, msg=f"Would judge {len(gate.watches)} services; {answered}.")
        passed = gate.run()
    except OperationError as error:
        module.fail_json(msg=str(error))
    services = [
        {"subject": str(watch.subject), "passed": watch.passed, "good_samples": watch.good, "reason": watch.reason}
        for watch in gate.watches
    ]
    verdict = PASSED if passed else FAILED
    result = {"changed": False, "msg": outcome(gate, passed), "services": services}
    result["envelope"] = recorder.envelope(verdict, False)
    if not passed:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
