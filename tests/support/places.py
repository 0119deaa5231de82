"""Where the repository and the cache of images are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_CACHE = Path("/var/cache/pod-test")
RECIPE = 1
"""Version of the recipes in images.py; another one is another folder of the cache."""


def cache() -> Path:
    """The cache of this recipe: $POD_TEST_CACHE, else the one that root made for all, else one of this person."""
    named = os.environ.get("POD_TEST_CACHE")
    if named:
        base = Path(named)
    elif os.getuid() == 0 or SHARED_CACHE.is_dir():
        base = SHARED_CACHE
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pod-test"
    return base / f"recipe-{RECIPE}"


def registry_storage() -> Path:
    """What docker-registry serves: every image that could be built."""
    return cache() / "registry"


def archives() -> Path:
    """Plain tar archives of root file systems: debian-11.tar, debian-12.tar, debian-13.tar."""
    return cache() / "tar"


def fetched() -> Path:
    """Programs of Debian packages that were unpacked, not installed (fetch.py)."""
    return cache() / "bin"


def trees() -> Path:
    """Unpacked Debian trees with a Python: bullseye (3.9), bookworm (3.11), trixie (3.13)."""
    return cache() / "tree"


def copy_sources(folder: Path) -> None:
    """A copy of what pod is made of, to build it otherwise; no compiled Python: others may not read theirs."""
    for name in ("core", "cli", "ext", "packaging/pod"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, symlinks=True, ignore=ignored)
