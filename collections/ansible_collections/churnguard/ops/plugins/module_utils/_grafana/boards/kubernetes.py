# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster, by the names of kube-state-metrics and the kubelet's cAdvisor. Internal: may change in any release."""

from __future__ import annotations

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import (
    Board,
    Panel,
    Query,
    Variable,
    or_zero,
)

OF = 'namespace=~"$namespace"'
#: cAdvisor also tells of the pod as a whole and of its pause container; both would count twice.
CONTAINERS = f'{OF}, container!="", container!="POD"'
PODS = f"kube_pod_info{{{OF}}}"

WORKLOADS = (
    Panel(
        "stat",
        "Pods by phase",
        "Pods of the namespaces by their phase.",
        "short",
        (Query(f"sum by (phase) (kube_pod_status_phase{{{OF}}})", "{{ phase }}"),),
        span=16,
        height=5,
    ),
    Panel(
        "stat",
        "Nodes ready",
        "Nodes that can take pods, of all nodes.",
        "short",
        (
            Query('sum (kube_node_status_condition{condition="Ready", status="true"})', "ready"),
            Query("count (kube_node_info)", "all"),
        ),
        span=8,
        height=5,
    ),
    Panel(
        "lines",
        "Replicas missing",
        "Replicas that a deployment should have and that are not available. Above 0 for long: a rollout is stuck or"
        " pods find no room.",
        "short",
        (
            Query(
                f"max by (namespace, deployment) (kube_deployment_spec_replicas{{{OF}}})"
                f" - max by (namespace, deployment) (kube_deployment_status_replicas_available{{{OF}}})",
                "{{ namespace }}/{{ deployment }}",
            ),
        ),
        limits=((1, "red"),),
    ),
    Panel(
        "lines",
        "Replicas available",
        "Replicas that serve, by deployment.",
        "short",
        (
            Query(
                f"max by (namespace, deployment) (kube_deployment_status_replicas_available{{{OF}}})",
                "{{ namespace }}/{{ deployment }}",
            ),
        ),
        stacked=True,
        minimum=0,
    ),
    Panel(
        "lines",
        "Restarts",
        "Restarts of containers within the last step of the graph, by pod.",
        "short",
        (
            Query(
                "sum by (namespace, pod)"
                f" (increase(kube_pod_container_status_restarts_total{{{OF}}}[$__rate_interval]))",
                "{{ namespace }}/{{ pod }}",
            ),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Containers that wait",
        "Containers that do not run yet, by reason. CrashLoopBackOff and ImagePullBackOff do not pass by themselves.",
        "short",
        (
            Query(
                or_zero(f"sum by (reason) (kube_pod_container_status_waiting_reason{{{OF}}})", PODS),
                "{{ reason }}",
            ),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Autoscalers",
        "Share of its largest number of replicas that an autoscaler has. 1: it cannot go further.",
        "percentunit",
        (
            Query(
                or_zero(
                    "max by (namespace, horizontalpodautoscaler)"
                    f" (kube_horizontalpodautoscaler_status_current_replicas{{{OF}}}"
                    f" / kube_horizontalpodautoscaler_spec_max_replicas{{{OF}}})",
                    PODS,
                ),
                "{{ namespace }}/{{ horizontalpodautoscaler }}",
            ),
        ),
        limits=((1, "red"),),
        minimum=0,
    ),
    Panel(
        "lines",
        "Room reserved on the nodes",
        "Share of the nodes' processors and memory that pods have reserved. Near 1, new pods find no place.",
        "percentunit",
        tuple(
            Query(
                f'sum (kube_pod_container_resource_requests{{resource="{resource}"}})'
                f' / sum (kube_node_status_allocatable{{resource="{resource}"}})',
                title,
            )
            for resource, title in (("cpu", "processors"), ("memory", "memory"))
        ),
        limits=((0.9, "orange"),),
        minimum=0,
    ),
)
USE = (
    Panel(
        "lines",
        "Processors in use",
        "Processors that each pod uses.",
        "short",
        (
            Query(
                f"sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[$__rate_interval]))",
                "{{ namespace }}/{{ pod }}",
            ),
        ),
        stacked=True,
        minimum=0,
    ),
    Panel(
        "lines",
        "Memory in use",
        "Memory of each pod that the system cannot take back; at its limit a container is killed.",
        "bytes",
        (
            Query(
                f"sum by (namespace, pod) (container_memory_working_set_bytes{{{CONTAINERS}}})",
                "{{ namespace }}/{{ pod }}",
            ),
        ),
        stacked=True,
        minimum=0,
    ),
)

BOARD = Board(
    "kubernetes",
    "Kubernetes",
    "Pods, deployments, autoscalers and nodes, and what the pods use.",
    (Variable("namespace", "Namespace", "kube_pod_info", "namespace"),),
    (("Workloads", WORKLOADS), ("Use", USE)),
)
