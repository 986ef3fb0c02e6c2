# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  metrics:
    description:
      - What is measured. Without it, the defaults are an error ratio above 1 %, a 99th percentile above 2 s, and 5 %
        fewer predictions per request than the stable version, from the metrics of churnguard-api.
      - Expressions are PromQL templates. C($selector) becomes label matchers for namespace, app, slot and version;
        C($namespace), C($app), C($slot), C($version) and C($window) (such as C(60s)) stand for single values.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the metric is called in results.
        type: str
        required: true
      kind:
        description:
          - V(ratio) is O(metrics[].numerator) by O(metrics[].denominator), V(latency) a histogram, V(value) one number.
          - Counters and buckets are given raw, without C(rate(\)) or C(increase(\)); what they grow by is added up
            from look to look. C(sum by (pod\)) keeps answers small.
        type: str
        choices: [ratio, latency, value]
        required: true
      numerator:
        description: Counters of the events, such as failed requests. For V(ratio).
        type: str
      denominator:
        description: Counters of all requests. For V(ratio).
        type: str
      buckets:
        description: Buckets of a histogram, with their label C(le). For V(latency).
        type: str
      query:
        description: An expression that yields one number. For V(value).
        type: str
      direction:
        description: Which way is bad.
        type: str
        choices: [increase, decrease]
        default: increase
      limit:
        description:
          - Beyond this it is bad - the ratio (0.01 is 1 %), the seconds of the O(metrics[].quantile), or the value.
          - For V(latency) it should be a bound of the histogram; requests are counted beyond the next one if not.
        type: float
      hard_limit:
        description: Beyond this a single value decides. For V(value).
        type: float
      quantile:
        description: The quantile that O(metrics[].limit) is for, such as V(0.99). For V(latency).
        type: float
        default: 0.99
      max_change:
        description:
          - How much worse than the stable version is tolerated, relative to it; V(0.05) is 5 %. For V(ratio) it is the
            margin of the comparison, for V(value) there is a comparison only with it.
        type: float
      compare:
        description: Whether it is tested against the stable version.
        type: bool
        default: true
      min_effect:
        description: Probability that a request is slower than one of the stable version, above which it matters. For
          V(latency).
        type: float
        default: 0.53
      min_slowdown:
        description: Seconds by which the median has to be above the stable version's to matter. For V(latency).
        type: float
        default: 0.005
      window:
        description: Seconds that the newest evidence covers.
        type: float
        default: 60
      weight:
        description: Its weight in the score, which counts metrics that are not critical.
        type: float
        default: 1
      critical:
        description: Whether it alone can be the end, and can hold where it is unknown.
        type: bool
        default: true
      min_requests:
        description:
          - Requests of each version below which nothing is said. 59 requests without an error prove less than 5 %.
        type: int
        default: 59
      on_no_data:
        description:
          - What too little data means. V(hold) is unknown, V(fail) is bad, V(pass) is good, and V(probe) is unknown
            and asks for requests to be sent.
        type: str
        choices: [hold, fail, pass, probe]
        default: hold
"""
