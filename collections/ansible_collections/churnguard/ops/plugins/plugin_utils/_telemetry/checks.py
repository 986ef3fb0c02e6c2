# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a schema cannot see in configurations of the OpenTelemetry Collector, Loki and Tempo. No I/O.

Internal: may change in any release.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_KINDS = {"receivers": "receiver", "processors": "processor", "exporters": "exporter"}
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(duration: Any) -> float:
    """Seconds of C(1h30m) or C(200ms), as Go writes durations. Raises ValueError."""
    text = str(duration)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 30s or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def collector(config: Mapping[str, Any]) -> Iterator[str]:
    """Components that are used and not defined or the other way round, the order of processors, and queues that forget.

    A pipeline begins with memory_limiter, and batch is its last processor. Where a receiver keeps its place in a file,
    what it has read has to be kept as well, so its exporters queue on the disk and nothing collects in memory.
    """
    service = config.get("service", {})
    pipelines = service.get("pipelines", {})
    used: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    for name, pipeline in pipelines.items():
        for kind in _KINDS:
            used[kind].update(pipeline.get(kind, []))
        yield from _order(name, pipeline.get("processors", []))
        yield from _memory(name, pipeline, config)
    for kind, singular in _KINDS.items():
        defined = set(config.get(kind, {}))
        for missing in sorted(used[kind] - defined):
            yield f"{singular} {missing} is used by a pipeline and not defined"
        for idle in sorted(defined - used[kind]):
            yield f"{singular} {idle} is defined and used by no pipeline"
    yield from _extensions(config, service)


def _order(name: str, processors: list[str]) -> Iterator[str]:
    kinds = [processor.partition("/")[0] for processor in processors]
    if not kinds or kinds[0] != "memory_limiter":
        yield f"pipeline {name}: memory_limiter has to be the first processor, before anything takes memory"
    if "batch" in kinds[:-1]:
        yield f"pipeline {name}: batch has to be the last processor, after whatever drops or moves records"
    for processor in dict.fromkeys(processors):
        if processors.count(processor) > 1:
            yield f"pipeline {name}: processor {processor} is there twice"


def _memory(name: str, pipeline: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    keeping = [one for one in pipeline.get("receivers", []) if _part(config, "receivers", one).get("storage")]
    if not keeping:
        return
    for one in pipeline.get("processors", []):
        if one.partition("/")[0] == "batch":
            yield (
                f"pipeline {name}: receiver {keeping[0]} keeps its place on the disk, and processor {one} what was "
                "read in memory, where a kill loses it; batch in the exporter's sending_queue instead"
            )
    for one in pipeline.get("exporters", []):
        if not _part(_part(config, "exporters", one), "sending_queue").get("storage"):
            yield (
                f"pipeline {name}: receiver {keeping[0]} keeps its place on the disk, and exporter {one} its queue in "
                "memory, where a restart loses it; give its sending_queue a storage"
            )


def _extensions(config: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[str]:
    defined, started = set(config.get("extensions", {})), set(service.get("extensions", []))
    for missing in sorted(started - defined):
        yield f"extension {missing} is started by service and not defined"
    for idle in sorted(defined - started):
        yield f"extension {idle} is defined and not started by service"
    for kind in ("receivers", "exporters"):
        for name, part in config.get(kind, {}).items():
            storage = (part or {}).get("storage") or _part(part or {}, "sending_queue").get("storage")
            if storage and storage not in started:
                yield f"{_KINDS[kind]} {name} keeps its state in extension {storage}, which service does not start"


def _part(config: Mapping[str, Any], *steps: str) -> Mapping[str, Any]:
    """What is below these keys, or nothing; an empty component is written as null."""
    for step in steps:
        config = config.get(step) or {}
    return config


def loki(config: Mapping[str, Any]) -> Iterator[str]:
    """Retention that would not happen, indexes that it cannot read, and samples older than what is kept."""
    limits, compactor = _part(config, "limits_config"), _part(config, "compactor")
    periods = _part(config, "schema_config").get("configs") or []
    stores = {period.get("object_store") for period in periods}
    if limits.get("retention_period") and not compactor.get("retention_enabled"):
        yield "limits_config.retention_period deletes nothing unless compactor.retention_enabled is true"
    if compactor.get("retention_enabled") and compactor.get("delete_request_store") not in stores:
        yield "compactor.delete_request_store has to be the object_store of schema_config for retention to work"
    for period in periods:
        if _part(period, "index").get("period") != "24h":
            yield f"schema_config from {period.get('from')}: retention needs an index period of 24h"
    starts = [str(period.get("from")) for period in periods]
    if starts != sorted(set(starts)):
        yield f"schema_config: the periods have to begin one after the other, not at {', '.join(starts)}"
    yield from _longer(limits, "retention_period", "reject_old_samples_max_age", "limits_config")


def _longer(part: Mapping[str, Any], long: str, short: str, name: str) -> Iterator[str]:
    try:
        if long in part and short in part and seconds(part[long]) < seconds(part[short]):
            yield f"{name}.{long} ({part[long]}) has to be at least {short} ({part[short]})"
    except ValueError as error:
        yield f"{name}: {error}"


def tempo(config: Mapping[str, Any]) -> Iterator[str]:
    """A configuration without retention, and one of before Tempo 3."""
    compaction = _part(config, "backend_scheduler", "provider", "compaction", "compaction")
    if not compaction.get("block_retention"):
        yield "without backend_scheduler.provider.compaction.compaction.block_retention traces are kept for 14 days"
    for old in ("ingester", "compactor"):
        if old in config:
            yield f"{old} is of Tempo 2; Tempo 3 does not start with it"


CHECKS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "collector": collector,
    "loki": loki,
    "tempo": tempo,
}
