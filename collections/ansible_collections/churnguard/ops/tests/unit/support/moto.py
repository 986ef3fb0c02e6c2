# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real moto server, on a port of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

_RUNNING = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")
#: The operations guide's cache, as options of elasticache_replication_group.
GUIDES_CACHE = {
    "replication_group_id": "churnguard-redis",
    "replication_group_description": "ChurnGuard Redis Cluster",
    "engine": "redis",
    "engine_version": "7.0",
    "cache_node_type": "cache.r7g.large",
    "num_node_groups": 1,
    "replicas_per_node_group": 2,
    "automatic_failover_enabled": True,
    "multi_az_enabled": True,
    "at_rest_encryption_enabled": True,
    "transit_encryption_enabled": True,
    "port": 6379,
    "preferred_maintenance_window": "sun:05:00-sun:06:00",
    "snapshot_window": "06:00-08:00",
    "snapshot_retention_limit": 7,
}
#: Seconds for it to start on a machine that is busy.
_PATIENCE = 60


class MotoServer:
    """moto as a process, on a port that the kernel chooses. C(url) is its address."""

    def __enter__(self) -> MotoServer:
        self._log = tempfile.NamedTemporaryFile("r", suffix=".log")
        with open(self._log.name, "w") as output:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.url = self._address()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *ended: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def reset(self) -> None:
        """Forget everything."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        with urllib.request.urlopen(request, timeout=30):
            pass

    @property
    def options(self) -> dict[str, str]:
        """The options that lead a module there."""
        return {"endpoint_url": self.url, "region": "us-east-1", "access_key": "lab", "secret_key": "moto-secret-key"}

    @property
    def environment(self) -> dict[str, str]:
        """The environment that leads a process there."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": "moto-secret-key",
        }

    def _address(self) -> str:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            found = _RUNNING.search(Path(self._log.name).read_text(encoding="utf-8"))
            if found:
                return found.group(1)
            time.sleep(0.1)
        raise AssertionError(f"moto_server did not start:\n{Path(self._log.name).read_text(encoding='utf-8')}")
