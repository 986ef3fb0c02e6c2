"""What the benchmark takes from the tests: the Redis group that they drill."""

from __future__ import annotations

import sys

from churnguard_lab import journey

for _folder in (journey.REPOSITORY, journey.REPOSITORY / "collections"):
    sys.path.append(str(_folder))

from tests.drills.redis_group import RedisGroup, running  # noqa: E402

__all__ = ["RedisGroup", "running"]
