"""Feature flags: evaluated in this process by OpenFeature's flagd provider, from a file that is read when it changes.

No server is asked. What the file does not answer - it is absent, broken, or the flag is not in it - has the value in
this code: off.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import OpenFeatureError

#: The flags this version asks for, with the value that each has without an answer.
FLAGS: dict[str, bool] = {"new_dashboard_ui": False, "advanced_analytics": False}
#: The file's time of change is looked at that often. The kubelet takes a minute to bring a change, so more is no use.
POLL_S = 2.0
#: Values of the label variant: what the document calls its variants is not ours to bound.
VARIANTS, NO_VARIANT, OTHER_VARIANT = ("on", "off"), "none", "other"
_LOG = logging.getLogger("churnguard_api")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The answer for one flag. `reason` is OpenFeature's, `variant` and `error` are None where there is none."""

    flag: str
    value: bool
    variant: str | None
    reason: str
    error: str | None


class Features:
    """The flags in one file. `count(flag, variant)` is told of each evaluation, with bounded values."""

    def __init__(self, path: str, count: Callable[[str, str], None], poll_s: float = POLL_S) -> None:
        self._path, self._count = path, count
        self._problem: str | None = None
        self._client = api.get_client(path)
        self._client.add_handler(ProviderEvent.PROVIDER_ERROR, self._failed)
        self._client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, self._read)
        # Version 0.6.1 polls at the interval of `deadline_ms`; its offline_poll_interval_ms has no effect.
        provider = FlagdProvider(
            resolver_type=ResolverType.FILE, offline_flag_source_path=path, deadline_ms=round(poll_s * 1000)
        )
        # A file that cannot be read yet is told to the handler, and the provider goes on looking for it.
        with contextlib.suppress(OpenFeatureError):
            api.set_provider_and_wait(provider, path)

    def evaluate(self, user_id: str | None, attributes: dict[str, Any]) -> list[Evaluation]:
        """All flags for a user; None is somebody unknown, who is in no share of users."""
        context = EvaluationContext(user_id, attributes)
        return [self._evaluate(flag, default, context) for flag, default in FLAGS.items()]

    def _evaluate(self, flag: str, default: bool, context: EvaluationContext) -> Evaluation:
        details = self._client.get_boolean_details(flag, default, context)
        variant = details.variant
        self._count(flag, NO_VARIANT if variant is None else variant if variant in VARIANTS else OTHER_VARIANT)
        error = str(details.error_code) if details.error_code else None
        return Evaluation(flag, details.value, variant, str(details.reason), error)

    def _failed(self, details: EventDetails) -> None:
        """Warn once of each problem: the provider reports it at every look."""
        message = details.message if Path(self._path).exists() else "no such file"
        if message != self._problem:
            self._problem = message
            _LOG.warning("feature flags of %s: %s; the last good ones are used, else the defaults", self._path, message)

    def _read(self, _details: EventDetails) -> None:
        if self._problem is not None:
            self._problem = None
            _LOG.warning("feature flags of %s: read", self._path)
