# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import textwrap

from ansible_collections.churnguard.ops.plugins.doc_fragments.metrics import ModuleDocFragment as Metrics

_DOCUMENTATION = r"""
options:
  strategy:
    description:
      - How traffic moves.
      - V(blue_green) moves all of it at once, after smoke tests, with the old version warm for O(grace_period).
      - V(canary) raises it by O(canary.weights); each weight is held and judged by O(analysis) before the next.
      - V(rolling) gives the serving Deployment the new template and lets Kubernetes replace its pods one by one.
    type: str
    choices: [blue_green, canary, rolling]
    default: blue_green
  canary:
    description:
      - For O(strategy=canary).
    type: dict
    suboptions:
      weights:
        description: Per cent of the traffic for the new version, rising to 100.
        type: list
        elements: int
        default: [10, 25, 50, 75, 100]
      hold:
        description: Seconds of good samples for which each weight is held.
        type: int
        default: 600
      share_requests:
        description: Probes, at least, that show whether the weight written is the share served. They must lie in the
          99 % binomial band before the hold begins.
        type: int
        default: 200
  rolling:
    description:
      - For O(strategy=rolling), as in a Deployment's C(spec.strategy.rollingUpdate); numbers of pods, or per cent.
    type: dict
    suboptions:
      max_surge:
        description: How many pods there may be more than replicas.
        type: str
        default: "1"
      max_unavailable:
        description: How many pods may be missing.
        type: str
        default: "0"
  gates:
    description:
      - Steps that wait for approval, by M(churnguard.ops.rollout_control) or by a feature flag.
    type: list
    elements: dict
    default: []
    suboptions:
      before:
        description: What the gate stands before - a weight of the canary, V(start), V(smoke), V(bake) or V(drain).
        type: str
        required: true
      timeout:
        description: Seconds until the gate's outcome is that of O(gates.on_timeout).
        type: int
        default: 3600
      on_timeout:
        description: What nobody's answer means - V(rollback) takes the rollout back, V(halt) leaves both versions
          running and fails.
        type: str
        choices: [rollback, halt]
        default: rollback
      flag:
        description: Feature flag that opens the gate as soon as it is on for everybody.
        type: str
  analysis:
    description:
      - Samples from Prometheus that are judged while weights are held, while a rolling update runs, and in the bake.
        Required for O(strategy=canary); without it the bake of the other strategies only watches pods and replies.
      - A sample is good, bad or unknown. Anything but good freezes the weight; evidence that is decisive takes the
        rollout back at once.
    type: dict
    suboptions:
      prometheus_url:
        description: Prometheus that scrapes the application.
        type: str
        required: true
      interval:
        description: Seconds between samples.
        type: int
        default: 30
      max_hold:
        description: Seconds for which a weight may be frozen, without a good sample in between, before the rollout is
          taken back.
        type: int
        default: 600
      false_alarm:
        description: Probability, over all looks of the whole release together, that a version no different from the
          old one is called decisively bad.
        type: float
        default: 0.01
      pass_score:
        description: Per cent of the weight of all metrics that must be good, where no critical one is bad.
        type: float
        default: 100
      force_forward:
        description: Ignore limits that the stable version breaks as well, so that the fix for a broken version can be
          shipped.
        type: bool
        default: false
      metrics:
        description: What is measured. By default the ratio of errors (limit 1 %), the 99th percentile of latency
          (limit 2 s) and predictions per request (at most 5 % fewer than the stable version).
        type: list
        elements: dict
        default: []
        suboptions:
{METRIC_OPTIONS}
      probe_path:
        description: Path of the requests that are sent to the new version where a metric with V(probe) lacks traffic.
        type: str
        default: /
      probe_requests:
        description: How many of them are sent in an interval.
        type: int
        default: 20
  feature_flags:
    description:
      - Feature flags that belong to the release (M(churnguard.ops.feature_flags)).
    type: dict
    suboptions:
      config_map:
        description: ConfigMap that holds the flags, in the application's namespace.
        type: str
        required: true
      key:
        description: Key of the document in it.
        type: str
        default: flags.json
      switch_off:
        description: Flags that are switched off if the release is taken back, so that the version before does not meet
          what only the new one can do.
        type: list
        elements: str
        default: []
  smoke_tests:
    description:
      - Requests that the new slot must answer rightly before it gets traffic, each once for every replica.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the test is called in messages.
        type: str
        required: true
      path:
        description: Path and query.
        type: str
        required: true
      method:
        description: HTTP method.
        type: str
        default: GET
      status:
        description: Acceptable status codes.
        type: list
        elements: int
        default: [200]
      contains:
        description: Text that the reply must contain.
        type: str
      json:
        description: Members that the reply, a JSON object, must have.
        type: dict
  grace_period:
    description:
      - Seconds that the old version stays warm once the new one has all traffic and is watched (the bake).
    type: int
    default: 300
  pause_timeout:
    description:
      - Seconds after which a rollout that somebody paused is taken back.
    type: int
    default: 3600
  retire:
    description:
      - Whether the old slot is scaled to 0 at the end. If it stays warm, O(state=rolled_back) needs no pod to start.
    type: bool
    default: true
  on_failure:
    description:
      - V(rollback) takes a version that fails back. V(halt) freezes it where it is and fails, for a release whose
        database changes cannot be undone.
    type: str
    choices: [rollback, halt]
    default: rollback
  on_drift:
    description:
      - What to do when somebody else changes weights, selectors, replicas or templates under a rollout - stop with
        everything as it is, or take it back.
    type: str
    choices: [halt, rollback]
    default: halt
"""


def _metric_options() -> str:
    """What a metric consists of, from the fragment that has them one level higher."""
    options = Metrics.DOCUMENTATION.partition("    suboptions:\n")[2].rstrip("\n")
    return textwrap.indent(options, "    ").replace("(metrics[].", "(analysis.metrics[].")


class ModuleDocFragment:
    DOCUMENTATION: str = _DOCUMENTATION.replace("{METRIC_OPTIONS}", _metric_options())
