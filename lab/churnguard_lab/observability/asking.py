"""Questions to a Prometheus: values, targets, and what it says about its rules."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

TIMEOUT_S = 15.0
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d+)(ms|[dhms])")


class AskingError(RuntimeError):
    """Prometheus cannot be asked, or does not know what was asked for; the message says what and where to look."""


class Prometheus:
    """One Prometheus by its address, without a slash at the end."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """`data` of an answer of its API, such as get("rules"). Raises AskingError."""
        asked = f"{self.url}/api/v1/{path}"
        if parameters:
            asked += "?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise AskingError(f"Prometheus refuses {asked}: {error.code} {said}") from error
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise AskingError(f"no answer of Prometheus at {asked}: {error}. Is the lab up (make lab-up)?") from error

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an instant query has now, each with `metric` and `value` (time, text). Raises AskingError."""
        return list(self.get("query", {"query": expression})["result"])

    def values(self, expression: str) -> list[float]:
        """Their values alone. Raises AskingError."""
        return [float(row["value"][1]) for row in self.query(expression)]

    def alerting_rule(self, name: str) -> dict[str, Any]:
        """The first rule of an alert as Prometheus has loaded it, with its group's `interval` in seconds beside
        `duration`, which is its `for` in seconds. Raises AskingError when none is loaded."""
        for group in self.get("rules", {"type": "alert"})["groups"]:
            for rule in group["rules"]:
                if rule["name"] == name:
                    return {**rule, "interval": float(group["interval"])}
        raise AskingError(f"{self.url} has no alert {name}: are the rules loaded?")

    def scrape_interval(self, job: str) -> float:
        """Seconds between two scrapes of a job's targets, the longest of them. Raises AskingError without a target."""
        targets = self.get("targets", {"state": "active"})["activeTargets"]
        found = [seconds(target["scrapeInterval"]) for target in targets if target["scrapePool"] == job]
        if not found:
            pools = sorted({target["scrapePool"] for target in targets})
            raise AskingError(f"{self.url} scrapes no target of job {job}; it scrapes {', '.join(pools) or 'nothing'}")
        return max(found)


def seconds(duration: str) -> float:
    """Prometheus' duration (1m30s) in seconds. Raises AskingError for anything else."""
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise AskingError(f"{duration!r} is no duration of Prometheus")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
