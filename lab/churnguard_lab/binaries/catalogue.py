"""Which executables the lab needs, in which version, and where each may already be. No I/O but looking at files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path


class BinariesError(Exception):
    """An executable cannot be had; the message says what was tried and what to do."""


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Executables that come together, in one version, which each tells when it is called with `asking`."""

    name: str
    version: str
    executables: tuple[str, ...]
    asking: tuple[str, ...] = ("--version",)

    @property
    def title(self) -> str:
        """Name and version, as a person writes them; also the name of its folder in the cache."""
        return f"{self.name}-{self.version}"


KUBERNETES = Bundle("kubernetes", "1.36.3", ("kube-apiserver", "kube-controller-manager", "kube-scheduler"))
PROMETHEUS = Bundle("prometheus", "3.13.5", ("prometheus", "promtool"))
KUBE_STATE_METRICS = Bundle("kube-state-metrics", "2.20.0", ("kube-state-metrics",), asking=("version",))
BUNDLES = (KUBERNETES, PROMETHEUS, KUBE_STATE_METRICS)


def cache_root(environment: Mapping[str, str]) -> Path:
    """The cache: $XDG_CACHE_HOME/churnguard-ops, else ~/.cache/churnguard-ops."""
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(environment.get("HOME", "~")).expanduser() / ".cache") / "churnguard-ops"


def executable(path: Path) -> bool:
    """Whether `path` is a file that may be run."""
    return path.is_file() and os.access(path, os.X_OK)


def in_folder(folder: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Those of `names` that `folder` holds."""
    return {name: folder / name for name in names if executable(folder / name)}


def in_cache(cache: Path, bundle: Bundle) -> dict[str, Path] | None:
    """The bundle's executables from the cache; None unless all are there."""
    found = in_folder(cache / bundle.title, bundle.executables)
    return found if len(found) == len(bundle.executables) else None
