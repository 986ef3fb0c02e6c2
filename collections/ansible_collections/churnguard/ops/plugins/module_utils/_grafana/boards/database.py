# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL, by postgres_exporter 0.11's names, its backups and its drills. Internal: may change in any release."""

from __future__ import annotations

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import (
    Board,
    Panel,
    Query,
    Variable,
    or_zero,
)

OF = 'instance=~"$instance"'
#: The exporter also shows what belongs to no database, as the database without a name.
NAMED = f'{OF}, datname!="", datname!~"template.*"'
DAY_S = 86400.0


def rate(metric: str, by: str = "", of: str = OF) -> str:
    """PromQL: growth of a counter in a second, by the labels in ``by``."""
    grouping = f"sum by ({by})" if by else "sum"
    return f"{grouping} (rate({metric}{{{of}}}[$__rate_interval]))"


def largest(metric: str, by: str, of: str = OF) -> str:
    """PromQL: the largest of a gauge, by the labels in ``by``."""
    return f"max by ({by}) ({metric}{{{of}}})"


USABLE = (
    f"({largest('pg_settings_max_connections', 'instance')}"
    f" - {largest('pg_settings_superuser_reserved_connections', 'instance')})"
)

AVAILABILITY = (
    Panel(
        "stat",
        "Database",
        "Whether the exporter reaches PostgreSQL.",
        "none",
        (Query(f"min (pg_up{{{OF}}})", "database"),),
        span=6,
        height=5,
        words=((0, "down", "red"), (1, "up", "green")),
    ),
    Panel(
        "dial",
        "Connections in use",
        "Share of the connections that users may open; some are reserved for administrators.",
        "percentunit",
        (Query(f"sum by (instance) (pg_stat_activity_count{{{OF}}}) / {USABLE}", "{{ instance }}"),),
        span=6,
        height=5,
        limits=((0.8, "orange"), (0.95, "red")),
        minimum=0,
        maximum=1,
    ),
    Panel(
        "stat",
        "Longest transaction",
        "Age of the oldest transaction. A long one holds locks and keeps VACUUM from cleaning up.",
        "s",
        (Query(f"max (pg_stat_activity_max_tx_duration{{{NAMED}}})", "longest transaction"),),
        span=6,
        height=5,
        limits=((300, "orange"), (1800, "red")),
    ),
    Panel(
        "stat",
        "Size",
        "Size of all databases.",
        "bytes",
        (Query(f"sum (pg_database_size_bytes{{{OF}}})", "all databases"),),
        span=6,
        height=5,
    ),
)
LOAD = (
    Panel(
        "lines",
        "Connections by state",
        "What the connections are doing. Many that are idle in transaction point at a program that forgets to commit.",
        "short",
        (Query(f"sum by (state) (pg_stat_activity_count{{{NAMED}}})", "{{ state }}"),),
        stacked=True,
        minimum=0,
    ),
    Panel(
        "lines",
        "Transactions",
        "Transactions committed and rolled back in a second.",
        "cps",
        (
            Query(rate("pg_stat_database_xact_commit", "datname", NAMED), "{{ datname }} committed"),
            Query(rate("pg_stat_database_xact_rollback", "datname", NAMED), "{{ datname }} rolled back"),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Rows written",
        "Rows inserted, updated and deleted in a second.",
        "cps",
        (
            Query(rate("pg_stat_database_tup_inserted", of=NAMED), "inserted"),
            Query(rate("pg_stat_database_tup_updated", of=NAMED), "updated"),
            Query(rate("pg_stat_database_tup_deleted", of=NAMED), "deleted"),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Blocks found in memory",
        "Share of the blocks that were found in shared buffers. Low for long: they are too small for the work.",
        "percentunit",
        (
            Query(
                f"{rate('pg_stat_database_blks_hit', 'datname', NAMED)}"
                f" / ({rate('pg_stat_database_blks_hit', 'datname', NAMED)}"
                f" + {rate('pg_stat_database_blks_read', 'datname', NAMED)})",
                "{{ datname }}",
            ),
        ),
        maximum=1,
    ),
    Panel(
        "lines",
        "Locks",
        "Locks held, by mode.",
        "short",
        (Query(f"sum by (mode) (pg_locks_count{{{NAMED}}})", "{{ mode }}"),),
        minimum=0,
    ),
    Panel(
        "lines",
        "Deadlocks and temporary files",
        "Deadlocks, and temporary files of queries that did not fit into work_mem, in a second.",
        "cps",
        (
            Query(rate("pg_stat_database_deadlocks", of=NAMED), "deadlocks"),
            Query(rate("pg_stat_database_temp_files", of=NAMED), "temporary files"),
        ),
        minimum=0,
    ),
)
DURABILITY = (
    Panel(
        "lines",
        "Replication lag",
        "WAL that a standby has yet to replay; 0 without one. pg_receivewal, which replays nothing, is none.",
        "bytes",
        (
            Query(
                or_zero(
                    # A receiver's is NaN: no comparison holds.
                    f"max by (application_name) (pg_stat_replication_pg_wal_lsn_diff{{{OF}}} >= 0)",
                    f"pg_up{{{OF}}}",
                ),
                "{{ application_name }}",
            ),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "Checkpoints",
        "Checkpoints in a second: on time, and requested because max_wal_size was reached.",
        "cps",
        (
            Query(rate("pg_stat_bgwriter_checkpoints_timed_total"), "timed"),
            Query(rate("pg_stat_bgwriter_checkpoints_req_total"), "requested"),
        ),
        minimum=0,
    ),
    Panel(
        "lines",
        "WAL archived",
        "Segments archived, and attempts that failed, in a second. What is not archived cannot be restored.",
        "cps",
        (
            Query(rate("pg_stat_archiver_archived_count"), "archived"),
            Query(rate("pg_stat_archiver_failed_count"), "failed"),
        ),
        minimum=0,
    ),
    Panel(
        "bars",
        "Age of the newest backup",
        "By component, and for copies in the second region. The policies of the role backup say how old it may become: "
        "the database's 90 minutes, its copy three hours.",
        "s",
        (
            Query(
                "time() - min by (component, copy) (churnguard_backup_last_success_timestamp_seconds)",
                "{{ component }}, copy: {{ copy }}",
            ),
        ),
        limits=((DAY_S, "orange"), (2 * DAY_S, "red")),
        minimum=0,
    ),
    Panel(
        "bars",
        "Age of the last drill",
        "By scenario. A recovery that has not been tried for long is a hope.",
        "s",
        # A scenario that was never drilled has the moment 0, and no age.
        (
            Query(
                "time() - (max by (scenario) (churnguard_drill_last_run_timestamp_seconds) > 0)",
                "{{ scenario }}",
            ),
        ),
        limits=((30 * DAY_S, "orange"), (90 * DAY_S, "red")),
        minimum=0,
    ),
    Panel(
        "stat",
        "Last drill",
        "Whether the last drill of each scenario met its objectives.",
        "none",
        (Query("min by (scenario) (churnguard_drill_passed)", "{{ scenario }}"),),
        words=((0, "failed", "red"), (1, "passed", "green")),
    ),
)

BOARD = Board(
    "database",
    "database",
    "PostgreSQL: connections, transactions, memory, replication, and whether it could be restored.",
    (Variable("instance", "Instance", "pg_up", "instance"),),
    (("State", AVAILABILITY), ("Load", LOAD), ("Durability", DURABILITY)),
)
