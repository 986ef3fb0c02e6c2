"""Telemetry for a Flask service: bounded metrics, traces and structured logs. Knows nothing of the service itself."""
