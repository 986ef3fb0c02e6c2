# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the parameters of a group to its engine. Internal: may change in any release."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from .._common.clock import Clock
from .._common.envelope import Recorder
from .._common.errors import OperationError
from .._kubernetes.connection import Connection
from . import pacing, session
from .api import RolloutApi
from .args import target_argument_spec, target_of
from .engine import Engine
from .group import Entry, GroupWish, group_target
from .group_engine import GroupEngine
from .group_record import ServiceRecorder
from .group_service import Service
from .lock import Lock
from .model import Target
from .settings import Settings
from .wish import analysis_of, desired_of

# Of the whole run, so that a service cannot have its own.
_OF_THE_RUN = ("lease_duration", "api_patience")


def service_options() -> dict[str, dict[str, Any]]:
    """What one service may be given: everything of a single rollout. Without a default, because what is not given is
    taken from the group."""
    own = {
        **pacing.release_argument_spec(),
        **session.data_plane_argument_spec(),
        **{key: value for key, value in target_argument_spec().items() if key in ("slots", "router")},
        "replicas": {"type": "int"},
    }
    options = {key: copy.deepcopy(value) for key, value in own.items() if key not in _OF_THE_RUN}
    for option in options.values():
        option.pop("default", None)
    for option in options["router"]["options"].values():
        option.pop("default", None)
    return {
        "name": {"type": "str", "required": True},
        "version": {"type": "str"},
        "deployment": {"type": "dict"},
        **options,
    }


def params_of(params: dict[str, Any], service: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a single rollout for C(service): its own, and the group's for what it does not say."""
    own = {key: value for key, value in service.items() if value is not None}
    common = params["router"] or {}
    special = service.get("router") or {}
    router = {"kind": special.get("kind") or common.get("kind") or "HTTPRoute", "name": special.get("name")}
    base = {"replicas": None, "version": None, "deployment": None}
    return {**base, **params, **own, "router": router}


def check(params: dict[str, Any]) -> None:
    """Raises OperationError for a group that makes no sense."""
    names = [service["name"] for service in params["services"]]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OperationError(f"release group {params['name']}", f"{twice} is in it twice.", "name each service once.")
    if params["state"] == "present" and not names:
        raise OperationError(f"release group {params['name']}", "it has no services.", "give services, in their order.")
    for service in params["services"] if params["state"] == "present" else []:
        for key in ("version", "deployment"):
            if not service.get(key):
                raise OperationError(f"release group {params['name']}", f"{service['name']} has no {key}.", "give it.")
    mark = params["reversible_until"]
    if mark and names and mark not in names:
        raise OperationError(
            "use option reversible_until", f"there is no service '{mark}'.", f"give one of {', '.join(names)}."
        )
    if (params["router"] or {}).get("name"):
        raise OperationError(
            "use option router.name", "services do not share a router.", "give it to each service that needs one."
        )


class Builder:
    """Makes services and their engines from a module's parameters."""

    def __init__(self, connection: Connection, params: dict[str, Any], clock: Clock, recorder: Recorder) -> None:
        self._connection = connection
        self._params = params
        self._clock = clock
        self._recorder = recorder

    def engine(self) -> tuple[GroupEngine, GroupWish]:
        """The group's engine, and what is wanted of it. Raises OperationError for options that cannot work."""
        params = self._params
        check(params)
        target = group_target(params["name"], params["namespace"])
        services = [self.service(params_of(params, given)) for given in params["services"]]
        wish = GroupWish(
            state=params["state"],
            services=tuple(service.desired for service in services),
            names=tuple(service.name for service in services),
            reversible_until=params["reversible_until"] or "",
            on_unfinished=params["on_unfinished"],
        )
        api = RolloutApi(self._connection, target)
        return GroupEngine(api, target, self._recorder, services, self._known, self._lock), wish

    def service(self, params: dict[str, Any]) -> Service:
        """One service with the parameters of a single rollout."""
        target = target_of(params)
        desired = desired_of(params, target)
        settings = Settings(**session.data_plane_settings(params), **pacing.release_settings(params))
        analysis = analysis_of(params, desired, target, self._clock)
        recorder = ServiceRecorder(self._clock, self._recorder, target.name)

        def engine_with(lock: Lock) -> Engine:
            return session.build_engine(
                self._connection,
                target,
                settings,
                params["lease_duration"],
                self._clock,
                recorder,
                analysis,
                lock,
            )

        api = RolloutApi(self._connection, target)
        return Service(desired, target, api, self._clock, recorder, engine_with, settings.confirm_timeout)

    def _known(self, entry: Entry) -> Service:
        """A service that only the journal knows: what it was to become is there, how to look at it is the group's."""
        router = {"kind": entry.router_kind, "name": entry.router_name}
        common = {**self._params, "state": "aborted", "analysis": None, "gates": []}
        service = self.service({**params_of(common, {"name": entry.name, "slots": entry.slots}), "router": router})
        service.desired = dataclasses.replace(service.desired, version=entry.version, content_hash=entry.content_hash)
        return service

    def _lock(self, api: RolloutApi, target: Target) -> Lock:
        return Lock(api, target, self._clock, self._params["lease_duration"])
