# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups there are, held against what was asked for: the judgement, without any I/O. Internal: may change in
any release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from .._common.clock import isoformat
from .._common.envelope import FAILED as CHECK_FAILED
from .._common.envelope import NOT_CHECKED, PASSED
from .model import BAD, FAILED, GOOD, MISSING, OK, STALE, STATES, UNVERIFIED, Backup, Drill, Look, Policy, Source

_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Check:
    """One question put to a source or a component. C(state) is what a failure makes of it."""

    name: str
    verdict: str
    state: str
    detail: str
    value: float | None = None
    limit: float | None = None

    def plain(self) -> dict[str, Any]:
        """As data."""
        kept = {"name": self.name, "verdict": self.verdict, "detail": self.detail}
        return {**kept, "value": self.value, "limit": self.limit}


@dataclass(frozen=True)
class Moment:
    """Now, and how far a clock elsewhere may be ahead of ours (seconds) before its times are not believed."""

    now: datetime
    skew: float = 60.0

    def age(self, when: datetime) -> float:
        """Seconds since C(when); 0 for what lies in the future within the tolerance."""
        return max((self.now - when).total_seconds(), 0.0)

    def believes(self, when: datetime | None) -> bool:
        """Whether C(when) is known and not from the future."""
        return when is not None and when <= self.now + timedelta(seconds=self.skew)


def judge(policies: Sequence[Policy], looks: Sequence[Look], drills: Sequence[Drill], at: Moment) -> dict[str, Any]:
    """The catalog as data: C(backups) (one row each, and one for each source that has none that can be used),
    C(components) (state and checks) and C(problems) (every failed check)."""
    believed = [drill for drill in drills if at.believes(drill.started)]
    looks = _with_drills(looks, believed, at)
    known = {policy.component: policy for policy in policies}
    names = [*known, *dict.fromkeys(look.source.component for look in looks if look.source.component not in known)]
    rows: list[dict[str, Any]] = []
    components: list[dict[str, Any]] = []
    for name in names:
        policy = known.get(name, Policy(name))
        mine = [look for look in looks if look.source.component == name]
        judged = [(look, _judge_source(policy, look, at)) for look in mine]
        overall = _judge_component(policy, mine, believed, at)
        for look, checks in judged:
            rows += _rows(look, checks, at)
        components.append(_component(policy, judged, overall))
    return {"backups": rows, "components": components, "problems": _problems(components)}


def worst(states: Iterable[str]) -> str:
    """The worst of C(states); ok if there is none."""
    return min(states, key=STATES.index, default=OK)


def usable(backups: Sequence[Backup], at: Moment) -> list[Backup]:
    """The backups that are good and of known age, newest first."""
    good = [backup for backup in backups if backup.outcome == GOOD and at.believes(backup.finished)]
    return sorted(good, key=_when, reverse=True)


def _judge_source(policy: Policy, look: Look, at: Moment) -> list[Check]:
    good = usable(look.backups, at)
    checks = [_existence(look, good), _clock(look.backups, at), _attempt(look.backups, good, at)]
    limit = policy.copy_max_age if look.source.copy else policy.max_age
    return [
        *checks,
        _freshness(good, limit, at),
        _encryption(good, policy),
        _threshold_count(good, policy),
        _size(good, policy),
        _verification(good, policy, at),
    ]


def _existence(look: Look, good: list[Backup]) -> Check:
    if look.trouble:
        return Check("existence", CHECK_FAILED, MISSING, f"could not be read: {look.trouble}")
    if not good:
        return Check("existence", CHECK_FAILED, MISSING, f"none of {len(look.backups)} backups can be used", 0, 1)
    return Check("existence", PASSED, OK, f"{len(good)} of {len(look.backups)} can be used", len(good), 1)


def _clock(backups: list[Backup], at: Moment) -> Check:
    doubtful = [one for one in backups if one.outcome == GOOD and not at.believes(one.finished)]
    if not doubtful:
        return Check("clock", PASSED, OK, "all times can be believed", 0, 0)
    first = doubtful[0]
    why = "has no time that can be read"
    if first.finished is not None:
        ahead = (first.finished - at.now).total_seconds()
        why = f"ends {ahead:.0f} s in the future (tolerance {at.skew:g} s): the clocks disagree"
    detail = f"{first.id} {why}; {len(doubtful)} of {len(backups)} backups are of unknown age"
    return Check("clock", CHECK_FAILED, UNVERIFIED, detail, len(doubtful), 0)


def _attempt(backups: list[Backup], good: list[Backup], at: Moment) -> Check:
    newest = good[0].finished if good else None
    failures = [one for one in backups if one.outcome == BAD and not _older(one, newest)]
    if not failures:
        return Check("last_attempt", PASSED, OK, "no attempt has failed since the newest usable backup", 0, 0)
    latest = max(failures, key=lambda one: one.finished or at.now)
    detail = f"{latest.id} failed: {latest.detail or 'the provider does not say why'}"
    return Check("last_attempt", CHECK_FAILED, FAILED, detail, len(failures), 0)


def _older(backup: Backup, newest: datetime | None) -> bool:
    """Whether a failed attempt is history, because a good backup came after it."""
    return newest is not None and backup.finished is not None and backup.finished < newest


def _freshness(good: list[Backup], limit: float | None, at: Moment) -> Check:
    if not good:
        return _nothing_to("freshness")
    age = at.age(_when(good[0]))
    return _at_most("freshness", age, limit, STALE, f"the newest, {good[0].id}, is {span(age)} old")


def _encryption(good: list[Backup], policy: Policy) -> Check:
    if not policy.encrypted:
        return Check("encryption", NOT_CHECKED, OK, "the policy does not ask for it")
    if not good:
        return _nothing_to("encryption")
    plain = [one for one in good if one.encrypted is False]
    unknown = [one for one in good if one.encrypted is None]
    if plain:
        detail = f"{plain[0].id} is not encrypted; {len(plain)} of {len(good)} are not"
        return Check("encryption", CHECK_FAILED, FAILED, detail, len(plain), 0)
    if unknown:
        detail = f"of {unknown[0].id} it is not known whether it is encrypted"
        return Check("encryption", CHECK_FAILED, UNVERIFIED, detail, len(unknown), 0)
    return Check("encryption", PASSED, OK, f"all {len(good)} are encrypted", 0, 0)


def _threshold_count(good: list[Backup], policy: Policy) -> Check:
    return _at_least("count", len(good), policy.min_count, MISSING, f"{len(good)} can be used")


def _size(good: list[Backup], policy: Policy) -> Check:
    if policy.min_size is None:
        return _unset("size")
    if not good:
        return _nothing_to("size")
    if good[0].size_bytes is None:
        return Check("size", CHECK_FAILED, UNVERIFIED, f"the size of {good[0].id} is not known", None, policy.min_size)
    size = good[0].size_bytes
    return _at_least("size", size, policy.min_size, FAILED, f"the newest, {good[0].id}, has {size} bytes")


def _verification(good: list[Backup], policy: Policy, at: Moment) -> Check:
    if policy.verify_within is None:
        return _unset("verification")
    if not good:
        return _nothing_to("verification")
    # Nothing verifies a backup better than a drill that restored it.
    times = [when for one in good for when in (one.verified_at, one.drill_passed_at) if when and at.believes(when)]
    if not times:
        detail = f"none of {len(good)} usable backups has been verified"
        return Check("verification", CHECK_FAILED, UNVERIFIED, detail, None, policy.verify_within)
    age = at.age(max(times))
    return _at_most("verification", age, policy.verify_within, UNVERIFIED, f"the last one was {span(age)} ago")


def _judge_component(policy: Policy, looks: list[Look], drills: list[Drill], at: Moment) -> list[Check]:
    checks = []
    if not looks:
        checks.append(Check("sources", CHECK_FAILED, MISSING, "no source is configured that could hold backups", 0, 1))
    if policy.cross_region and not any(look.source.copy for look in looks):
        detail = "the policy wants a second region, and no source is configured as a copy"
        checks.append(Check("cross_region", CHECK_FAILED, MISSING, detail, 0, 1))
    checks.append(_drill(policy, drills, at))
    return checks


def _drill(policy: Policy, drills: list[Drill], at: Moment) -> Check:
    if policy.drill_within is None:
        return _unset("drill")
    times = [drill.started for drill in drills if drill.component == policy.component]
    if not times:
        detail = "no drill of this component has ever passed"
        return Check("drill", CHECK_FAILED, UNVERIFIED, detail, None, policy.drill_within)
    age = at.age(max(times))
    return _at_most("drill", age, policy.drill_within, UNVERIFIED, f"the last that passed was {span(age)} ago")


def _at_most(name: str, value: float, limit: float | None, state: str, detail: str) -> Check:
    return _against(name, value, limit, state, detail, limit is not None and value > limit)


def _at_least(name: str, value: float, limit: float | None, state: str, detail: str) -> Check:
    return _against(name, value, limit, state, detail, limit is not None and value < limit)


def _against(name: str, value: float, limit: float | None, state: str, detail: str, broken: bool) -> Check:
    if limit is None:
        return Check(name, NOT_CHECKED, OK, f"{detail}; no threshold is set", round(value, 3))
    verdict, became = (CHECK_FAILED, state) if broken else (PASSED, OK)
    return Check(name, verdict, became, detail, round(value, 3), limit)


def _unset(name: str) -> Check:
    return Check(name, NOT_CHECKED, OK, "no threshold is set")


def _nothing_to(name: str) -> Check:
    # The existence check has failed already; saying it eight times would bury it.
    return Check(name, NOT_CHECKED, OK, "there is no usable backup to look at")


def _with_drills(looks: Sequence[Look], drills: list[Drill], at: Moment) -> list[Look]:
    """The looks with each backup's last passed drill: a drill counts for the backup it names; one that names none
    counts for no single backup, only for its component."""
    last: dict[tuple[str, str], datetime] = {}
    for drill in drills:
        if drill.backup:
            key = (drill.component, drill.backup)
            last[key] = max(last.get(key, drill.started), drill.started)
    return [
        replace(look, backups=[replace(one, drill_passed_at=last.get(_key(one))) for one in look.backups])
        for look in looks
    ]


def _key(backup: Backup) -> tuple[str, str]:
    return backup.source.component, backup.id


def _rows(look: Look, checks: list[Check], at: Moment) -> list[dict[str, Any]]:
    """A source's rows, newest first. Its newest usable backup carries what the checks made of the source; the others
    carry what they are themselves."""
    good = usable(look.backups, at)
    rows = []
    for backup in sorted(
        look.backups, key=lambda one: (one.finished is not None, one.finished or at.now), reverse=True
    ):
        state = OK
        if backup.outcome == BAD:
            state = FAILED
        elif backup.outcome != GOOD or not at.believes(backup.finished):
            state = UNVERIFIED
        elif backup is good[0]:
            # A failed attempt and a doubtful time have rows of their own.
            state = worst(check.state for check in checks if check.name not in ("last_attempt", "clock"))
        rows.append(_row(backup.source, backup, state, at))
    if not good:
        rows.append(_row(look.source, None, MISSING, at, look.trouble))
    return rows


def _row(source: Source, backup: Backup | None, state: str, at: Moment, detail: str = "") -> dict[str, Any]:
    believed = backup is not None and at.believes(backup.finished)
    return {
        "component": source.component,
        "provider": source.provider,
        "id": backup.id if backup else None,
        "type": backup.type if backup else None,
        "finished": _iso(backup.finished) if backup else None,
        "age_s": round(at.age(_when(backup)), 3) if backup and believed else None,
        "size_bytes": backup.size_bytes if backup else None,
        "encrypted": backup.encrypted if backup else None,
        "location": source.location,
        "copy": source.copy,
        "verified_at": _iso(backup.verified_at) if backup else None,
        "drill_passed_at": _iso(backup.drill_passed_at) if backup else None,
        "state": state,
        "detail": backup.detail if backup else detail,
    }


def _component(policy: Policy, judged: list[tuple[Look, list[Check]]], overall: list[Check]) -> dict[str, Any]:
    sources = [
        {
            "provider": look.source.provider,
            "location": look.source.location,
            "copy": look.source.copy,
            "state": worst(check.state for check in checks),
            "checks": [check.plain() | {"state": check.state} for check in checks],
        }
        for look, checks in judged
    ]
    return {
        "component": policy.component,
        "state": worst([*(one["state"] for one in sources), *(check.state for check in overall)]),
        "sources": sources,
        "checks": [check.plain() | {"state": check.state} for check in overall],
    }


def _problems(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every failed check, with where it failed; worst first."""
    found = []
    for component in components:
        name = component["component"]
        for source in component["sources"]:
            where = {"component": name, "provider": source["provider"], "location": source["location"]}
            found += [where | check for check in source["checks"] if check["verdict"] == CHECK_FAILED]
        nowhere = {"component": name, "provider": None, "location": None}
        found += [nowhere | check for check in component["checks"] if check["verdict"] == CHECK_FAILED]
    return sorted(found, key=lambda problem: STATES.index(problem["state"]))


def span(seconds: float) -> str:
    """A duration in the largest unit that keeps it readable, such as 5.2 h."""
    for unit, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def _when(backup: Backup) -> datetime:
    if backup.finished is None:
        raise ValueError(f"the time of {backup.id} is not known")
    return backup.finished


def _iso(when: datetime | None) -> str | None:
    return None if when is None else isoformat(when)
