"""The application's cache behind Sentinels: it follows whoever is the primary."""

from __future__ import annotations

from pathlib import Path

import pytest
from churnguard_api.cache import Cache, CacheUnavailable, connect

from ..lab.waiting import until
from .redis_group import NAME, PASSWORD, running


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://:word@127.0.0.1:1/0",
        "redis+sentinel://:word@/0?master=cache",
        "redis+sentinel://:word@127.0.0.1:1,:2/0?master=cache",
        "redis+sentinel://:word@127.0.0.1:x/0?master=cache",
    ],
)
def test_a_url_that_names_no_sentinels_or_no_primary_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        connect(url)


def test_a_cache_whose_sentinels_are_silent_is_unavailable() -> None:
    with pytest.raises(CacheUnavailable):
        Cache("redis+sentinel://:word@127.0.0.1:1/0?master=cache", 60).check()


def test_it_goes_on_with_the_new_primary(tmp_path: Path) -> None:
    with running(tmp_path) as group:
        sentinels = ",".join(f"127.0.0.1:{port}" for port in group.ports[2:])
        cache = Cache(f"redis+sentinel://:{PASSWORD}@{sentinels}/0?master={NAME}", 60)
        cache.put("before", {"kept": True})
        assert cache.get("before") == {"kept": True}
        assert group.group.fail_over().done
        until("the replica is the primary", lambda: str(group.group.primary()) == group.replica)

        def writes() -> bool:
            cache.put("after", 1)
            return cache.get("after") == 1

        until("the cache takes writes again", writes)
        assert cache.get("before") == {"kept": True}
