"""churnguard-api: the Flask application."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from churnguard_telemetry import flask as telemetry
from churnguard_telemetry.metrics import CachedCollector
from churnguard_telemetry.tracing import TraceSettings, Tracing
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from churnguard_api.business import Business
from churnguard_api.cache import Cache
from churnguard_api.config import Config
from churnguard_api.database import Database, DatabaseUnavailable
from churnguard_api.features import Features
from churnguard_api.metrics import Metrics
from churnguard_api.prediction import churn_probability, risk_level
from churnguard_api.readiness import Readiness

PROBES = frozenset({"/health", "/ready"})
LONGEST_SLOW_S = 10.0
MOST_CUSTOMERS = 100
LONGEST_TEXT = 128
_CUSTOMER = "SELECT id, organization_id, external_id, tenure_months, monthly_charges, support_tickets FROM customers"
_LOG = logging.getLogger("churnguard_api")

Answer = Response | tuple[Response, int]


def create_app(config: Config) -> Flask:
    """The application with its own connections; its metrics and its tracing are found under its extensions.

    Raises churnguard_telemetry.sink.SinkError when traces cannot be sent as the settings say.
    """
    app = Flask("churnguard_api")
    app.json.sort_keys = False
    metrics = Metrics(lambda: database.connections)
    tracing = Tracing(_traces(config), metrics.lost)
    database = Database(config.database_url, config.tuning.database_connections, observe=tracing.database)
    cache = Cache(config.redis_url, config.tuning.cache_ttl_s, observe=tracing.cache)
    business = Business(database, metrics.bounded)
    metrics.registry.register(CachedCollector(business.read, config.tuning.business_metrics_s))
    app.extensions["churnguard_metrics"] = metrics
    app.extensions["churnguard_tracing"] = tracing
    checks = {"database": _check_database(database), "cache": cache.check}
    readiness = Readiness(checks, config.tuning.ready_cache_s)
    telemetry.observe(app, metrics.requests, tracing, config.tuning.access_log, PROBES)
    _add_observation(app, config)
    _add_probes(app, config, readiness)
    _add_api(app, config, database, cache, metrics)
    _add_features(app, Features(config.flags_file, metrics.evaluated))
    _add_errors(app)
    return app


def _traces(config: Config) -> TraceSettings:
    """Where this process' traces go; one file for each pod."""
    pod = Path(config.pod).name or "churnguard-api"
    return TraceSettings(
        service="churnguard-api",
        version=config.version,
        ratio=config.tuning.trace_ratio,
        file=Path(config.traces_dir) / f"{pod}.jsonl" if config.traces_dir else None,
        endpoint=config.otlp_endpoint,
        attributes={"service.instance.id": pod, "k8s.pod.name": pod, "churnguard.slot": config.slot},
    )


def _add_observation(app: Flask, config: Config) -> None:
    """Headers of every reply, and the injected faults."""
    headers = {
        "X-ChurnGuard-Version": config.version,
        "X-ChurnGuard-Slot": config.slot,
        "X-ChurnGuard-Pod": config.pod,
    }

    @app.before_request
    def begin() -> Answer | None:
        if not request.path.startswith("/api/"):
            return None
        if config.faults.latency_s:
            time.sleep(config.faults.latency_s)
        if not config.faults.injects_error():
            return None
        answer = jsonify(error="injected error")
        answer.headers["X-ChurnGuard-Injected"] = "error"
        return answer, 500

    @app.after_request
    def end(response: Response) -> Response:
        response.headers.update(headers)
        return response


def _add_probes(app: Flask, config: Config, readiness: Readiness) -> None:
    @app.get("/health")
    def health() -> Answer:
        return jsonify(status="healthy", version=config.version)

    @app.get("/ready")
    def ready() -> Answer:
        problems = ["this version is never ready"] if config.faults.never_ready else readiness.problems()
        if problems:
            return jsonify(status="unavailable", version=config.version, problems=problems), 503
        return jsonify(status="ready", version=config.version)


def _add_api(app: Flask, config: Config, database: Database, cache: Cache, metrics: Metrics) -> None:
    tuning = config.tuning

    @app.get("/")
    def index() -> Answer:
        return jsonify(service="churnguard-api", version=config.version)

    @app.get("/api/v1/version")
    def version() -> Answer:
        return jsonify(service="churnguard-api", version=config.version, slot=config.slot, pod=config.pod)

    @app.get("/api/v1/customers")
    def customers() -> Answer:
        organization = _number("organization_id", 1, 2**31 - 1, None)
        limit = _number("limit", 1, MOST_CUSTOMERS, 20)
        rows = database.query(f"{_CUSTOMER} WHERE organization_id = %s ORDER BY id LIMIT %s", (organization, limit))
        return jsonify(customers=[row | {"monthly_charges": float(row["monthly_charges"])} for row in rows])

    @app.get("/api/v1/customers/<int:customer_id>/prediction")
    def prediction(customer_id: int) -> Answer:
        if customer_id > 2**31 - 1:
            return jsonify(error="no such customer"), 404
        # The version is part of the key: another version's model must not answer for this one's.
        key = f"prediction:{config.version}:{customer_id}"
        document = cache.get(key)
        if document is None:
            rows = database.query(f"{_CUSTOMER} WHERE id = %s", (customer_id,))
            if not rows:
                return jsonify(error="no such customer"), 404
            probability = churn_probability(rows[0])
            document = {
                "customer_id": customer_id,
                "churn_probability": probability,
                "risk_level": risk_level(probability, tuning.medium_risk, tuning.high_risk),
                "model_version": config.version,
            }
            cache.put(key, document)
        metrics.predicted(config.version, document["risk_level"])
        return jsonify(document)

    @app.get("/api/v1/slow")
    def slow() -> Answer:
        try:
            seconds = float(request.args.get("seconds", "1"))
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= LONGEST_SLOW_S:
            return jsonify(error=f"seconds must be a number from 0 to {LONGEST_SLOW_S:g}"), 400
        time.sleep(seconds)
        return jsonify(slept=seconds)


def _add_features(app: Flask, features: Features) -> None:
    @app.get("/api/v1/features")
    def evaluated() -> Answer:
        user = _text("user_id")
        tier = _text("subscription_tier")
        answers = features.evaluate(user, {} if tier is None else {"subscription_tier": tier})
        return jsonify(
            user_id=user,
            features={
                answer.flag: {
                    "enabled": answer.value,
                    "variant": answer.variant,
                    "reason": answer.reason,
                    **({"error": answer.error} if answer.error else {}),
                }
                for answer in answers
            },
        )


class _BadParameter(Exception):
    """A query parameter is missing or out of its range."""


def _number(name: str, lowest: int, highest: int, default: int | None) -> int:
    text = request.args.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdigit() or not lowest <= int(text[:12]) <= highest:
        raise _BadParameter(f"{name} must be a whole number from {lowest} to {highest}")
    return int(text)


def _text(name: str) -> str | None:
    text = request.args.get(name) or None
    if text is not None and len(text) > LONGEST_TEXT:
        raise _BadParameter(f"{name} must have {LONGEST_TEXT} characters at most")
    return text


def _add_errors(app: Flask) -> None:
    @app.errorhandler(_BadParameter)
    def bad_parameter(error: _BadParameter) -> Answer:
        return jsonify(error=str(error)), 400

    @app.errorhandler(DatabaseUnavailable)
    def no_database(error: DatabaseUnavailable) -> Answer:
        telemetry.failed(error)
        _LOG.error("database unavailable: %s", error)
        return jsonify(error="database unavailable"), 503

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Answer:
        return jsonify(error=error.name.lower()), error.code or 500

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Answer:
        telemetry.failed(error)
        _LOG.error("unexpected error", exc_info=error)
        return jsonify(error="internal error"), 500


def _check_database(database: Database) -> Callable[[], Any]:
    return lambda: database.query("SELECT 1")
