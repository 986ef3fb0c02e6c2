"""The application's settings: from its environment and from churnguard.json in the configuration folder."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churnguard_telemetry.logs import ACCESS
from churnguard_telemetry.sink import SinkError, http_exporter
from churnguard_telemetry.tracing import is_endpoint

from churnguard_api import faults

FILE = "churnguard.json"


class ConfigError(Exception):
    """A setting is missing or wrong; the message names it."""


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What churnguard.json may set. Times are seconds.

    threads: requests answered at the same time. cache_ttl_s: how long a prediction is kept in Redis.
    ready_cache_s: how long the answer of /ready is reused. medium_risk, high_risk: scores from which on a customer
    counts as such. trace_ratio: share of the traces begun here that is kept. access_log: which answered requests are
    logged (all, notable, none). business_metrics_s: the database is asked for the business' figures that seldom.
    """

    threads: int = 16
    database_connections: int = 6
    cache_ttl_s: int = 300
    ready_cache_s: float = 1.0
    medium_risk: float = 0.4
    high_risk: float = 0.7
    graceful_timeout_s: int = 20
    trace_ratio: float = 0.1
    access_log: str = "notable"
    business_metrics_s: float = 15.0

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("threads", 1, 128),
            ("database_connections", 1, 64),
            ("cache_ttl_s", 1, 86400),
            ("ready_cache_s", 0, 60),
            ("medium_risk", 0, 1),
            ("high_risk", 0, 1),
            ("graceful_timeout_s", 1, 600),
            ("trace_ratio", 0, 1),
            ("business_metrics_s", 1, 3600),
        ):
            value = getattr(self, name)
            whole = name in ("threads", "database_connections", "cache_ttl_s", "graceful_timeout_s")
            kinds = int if whole else int | float
            if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
                raise ConfigError(f"{name} is {value!r}, not a {'whole ' if whole else ''}number")
            if not lowest <= value <= highest:
                raise ConfigError(f"{name} is {value}, not between {lowest} and {highest}")
        if self.access_log not in ACCESS:
            raise ConfigError(f"access_log is {self.access_log!r}, not one of {', '.join(ACCESS)}")
        if self.medium_risk > self.high_risk:
            raise ConfigError(f"medium_risk ({self.medium_risk}) is above high_risk ({self.high_risk})")


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of one process. The URLs may hold passwords: they are never shown."""

    version: str
    slot: str
    pod: str
    address: str
    http_port: int
    metrics_port: int
    flags_file: str
    traces_dir: str
    tuning: Tuning
    faults: faults.Faults
    database_url: str = dataclasses.field(repr=False)
    redis_url: str = dataclasses.field(repr=False)
    otlp_endpoint: str = dataclasses.field(repr=False)


def load(environment: Mapping[str, str]) -> Config:
    """The settings of this process. Raises ConfigError."""
    folder = Path(environment.get("CHURNGUARD_CONFIG_DIR") or "/app/config")
    try:
        return Config(
            version=environment.get("APP_VERSION") or "unknown",
            slot=environment.get("SLOT", ""),
            pod=environment.get("POD_NAME", ""),
            address=environment.get("POD_IP") or "127.0.0.1",
            http_port=_port(environment, "HTTP_PORT", 5000),
            metrics_port=_port(environment, "METRICS_PORT", 8080),
            flags_file=environment.get("CHURNGUARD_FLAGS_FILE") or "/app/flags/flags.json",
            traces_dir=environment.get("CHURNGUARD_TRACES_DIR", ""),
            otlp_endpoint=_endpoint(environment, "OTEL_EXPORTER_OTLP_ENDPOINT"),
            tuning=_tuning(folder / FILE),
            faults=faults.parse(environment.get(faults.ENVIRONMENT)),
            database_url=_need(environment, "DATABASE_URL"),
            redis_url=_need(environment, "REDIS_URL"),
        )
    except faults.FaultError as error:
        raise ConfigError(str(error)) from error


def parse_tuning(text: str) -> Tuning:
    """The content of churnguard.json. Raises ConfigError."""
    try:
        values: Any = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{type(values).__name__}, not an object")
    known = [field.name for field in dataclasses.fields(Tuning)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"unknown settings {unknown}; known are {known}")
    return Tuning(**values)


def _tuning(path: Path) -> Tuning:
    try:
        return parse_tuning(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Tuning()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _need(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise ConfigError(f"the environment variable {name} is missing")
    return value


def _endpoint(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name, "")
    if text and not is_endpoint(text):
        raise ConfigError(f"the environment variable {name} is not an http or https address with a host")
    if text:
        try:
            http_exporter(text).shutdown()  # told here, before gunicorn starts a worker that could not
        except SinkError as error:
            raise ConfigError(str(error)) from error
    return text


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"the environment variable {name} is {text!r}, not a port")
    return int(text)
