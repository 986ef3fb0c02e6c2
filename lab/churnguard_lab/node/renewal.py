"""Bringing changes of ConfigMaps and Secrets into the volumes of running pods, as the kubelet does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from churnguard_lab.node.api import ApiError, NodeApi
from churnguard_lab.node.environment import Reference, object_content

#: Seconds between two looks. The kubelet's are a minute apart, with a random part; here nobody wants to wait so long.
RENEW_S = 10.0
_LOG = logging.getLogger(__name__)

Content = Mapping[str, bytes] | None


class Follower(Protocol):
    """A pod whose volumes are renewed."""

    @property
    def namespace(self) -> str:
        """The pod's namespace."""

    def followed(self) -> Collection[Reference]:
        """What its volumes hold now."""

    def renew(self, objects: Mapping[tuple[str, str], Content]) -> None:
        """Take in new content, by kind and name; None is an object that is absent."""


class Renewal:
    """Looks at every object once, however many pods hold it. In a thread of its own, so that an API server that hangs
    holds up no pod."""

    def __init__(self, api: NodeApi, followers: Callable[[], Collection[Follower]], every_s: float = RENEW_S) -> None:
        self._api, self._followers, self._every_s = api, followers, every_s

    def start(self, stop: threading.Event) -> None:
        """Go on until `stop` is set."""
        threading.Thread(target=self._run, args=(stop,), name="volume-renewal", daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._every_s):
            try:
                self.renew()
            except ApiError as error:
                _LOG.info("volumes stay as they are: %s", error)
            except Exception:
                _LOG.exception("renewing volumes")

    def renew(self) -> None:
        """One look. Raises ApiError; pods that were not reached yet stay as they are."""
        known: dict[tuple[str, str, str], Content] = {}
        for follower in self._followers():
            found: dict[tuple[str, str], Content] = {}
            for reference in sorted(follower.followed()):
                key = (reference.kind, follower.namespace, reference.name)
                if key not in known:
                    raw = self._api.get_object(*key)
                    known[key] = None if raw is None else object_content(reference.kind, raw)
                found[reference.kind, reference.name] = known[key]
            if found:
                follower.renew(found)
