# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache, by redis_exporter 1.45's names. Internal: may change in any release."""

from __future__ import annotations

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import (
    Board,
    Panel,
    Query,
    Variable,
    or_zero,
    share,
)

OF = 'instance=~"$instance"'


def rate(metric: str, by: str = "") -> str:
    """PromQL: growth of a counter in a second, by the labels in ``by``."""
    grouping = f"sum by ({by})" if by else "sum"
    return f"{grouping} (rate({metric}{{{OF}}}[$__rate_interval]))"


STATE = (
    Panel(
        "stat",
        "Instances",
        "Whether the exporter reaches each instance.",
        "none",
        (Query(f"min by (instance) (redis_up{{{OF}}})", "{{ instance }}"),),
        span=8,
        height=5,
        words=((0, "down", "red"), (1, "up", "green")),
    ),
    Panel(
        "stat",
        "Roles",
        "Who is the master and who follows it.",
        "none",
        (Query(f"max by (instance, role) (redis_instance_info{{{OF}}})", "{{ instance }} {{ role }}"),),
        span=8,
        height=5,
        names=True,
    ),
    Panel(
        "stat",
        "Memory in use",
        "Share of maxmemory; 0 where no limit is set.",
        "percentunit",
        (
            Query(
                f"max by (instance) (redis_memory_used_bytes{{{OF}}} / (redis_memory_max_bytes{{{OF}}} > 0)"
                f" or 0 * redis_memory_used_bytes{{{OF}}})",
                "{{ instance }}",
            ),
        ),
        span=8,
        height=5,
        limits=((0.8, "orange"), (0.95, "red")),
    ),
)
WORK = (
    Panel(
        "lines",
        "Commands",
        "Commands answered in a second, by name.",
        "cps",
        (Query(rate("redis_commands_total", "cmd"), "{{ cmd }}"),),
        stacked=True,
        minimum=0,
    ),
    Panel(
        "lines",
        "Time of a command",
        "Mean time that the server needed for a command, without the network.",
        "s",
        (
            Query(
                rate("redis_commands_duration_seconds_total", "instance")
                + " / "
                + rate("redis_commands_total", "instance"),
                "{{ instance }}",
            ),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Keys found",
        "Share of the reads that found their key. Low: the cache is cold, too small, or asked for what it never has.",
        "percentunit",
        (
            Query(
                share(
                    rate("redis_keyspace_hits_total"),
                    f"({rate('redis_keyspace_hits_total')} + {rate('redis_keyspace_misses_total')})",
                ),
                "found",
            ),
        ),
        minimum=0,
        maximum=1,
    ),
    Panel(
        "lines",
        "Clients",
        "Connections of clients, and those that wait in a blocking command.",
        "short",
        (
            Query(f"sum by (instance) (redis_connected_clients{{{OF}}})", "{{ instance }} connected"),
            Query(f"sum by (instance) (redis_blocked_clients{{{OF}}})", "{{ instance }} blocked"),
        ),
        minimum=0,
    ),
)
MEMORY = (
    Panel(
        "lines",
        "Memory",
        "Memory of the data, of the process as the system sees it, and the limit (0: none).",
        "bytes",
        (
            Query(f"max by (instance) (redis_memory_used_bytes{{{OF}}})", "{{ instance }} data"),
            Query(f"max by (instance) (redis_memory_used_rss_bytes{{{OF}}})", "{{ instance }} process"),
            Query(f"max by (instance) (redis_memory_max_bytes{{{OF}}})", "{{ instance }} limit"),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Keys lost",
        "Keys that expired, and keys that were evicted for want of memory, in a second.",
        "cps",
        (
            Query(rate("redis_expired_keys_total"), "expired"),
            Query(rate("redis_evicted_keys_total"), "evicted"),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Keys",
        "Keys of every instance.",
        "short",
        (Query(f"sum by (instance) (redis_db_keys{{{OF}}})", "{{ instance }}"),),
        minimum=0,
    ),
    Panel(
        "lines",
        "Refused connections",
        "Connections refused because maxclients was reached, in a second.",
        "cps",
        (Query(rate("redis_rejected_connections_total", "instance"), "{{ instance }}"),),
        minimum=0,
    ),
)
REPLICATION = (
    Panel(
        "lines",
        "Replicas",
        "Replicas that are connected to each instance. Without one there is no failover.",
        "short",
        (Query(f"max by (instance) (redis_connected_slaves{{{OF}}})", "{{ instance }}"),),
        minimum=0,
    ),
    Panel(
        "lines",
        "Replication lag",
        "Seconds since a replica was last heard from; 0 where there is no replica.",
        "s",
        (
            Query(
                or_zero(
                    f"max by (instance, slave_ip, slave_port) (redis_connected_slave_lag_seconds{{{OF}}})",
                    f"redis_up{{{OF}}}",
                ),
                "{{ slave_ip }}:{{ slave_port }}",
            ),
        ),
        minimum=0,
    ),
)

BOARD = Board(
    "redis",
    "cache",
    "Redis: commands, hits, memory, clients and replication.",
    (Variable("instance", "Instance", "redis_up", "instance"),),
    (("State", STATE), ("Work", WORK), ("Memory", MEMORY), ("Replication", REPLICATION)),
)
