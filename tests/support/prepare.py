"""Builds the images of the tests once: ``python3 -m tests.support.prepare [--trees] [image…]``.

As root (CI) into /var/cache/pod-test, for every user; else into the caller's own cache, as far as that user can. What
cannot be built is said with its reason; the tests that want it then skip. Repeating costs nothing.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.support import fetch, images, places, tools
from tests.support.registry import Registry


def say(text: str) -> None:
    sys.stderr.write(f"prepare: {text}\n")
    sys.stderr.flush()


def prepare(names: list[str], *, trees: bool = False) -> list[str]:
    """Builds what is missing of ``names``; returns one line for each that could not be built."""
    storage = places.registry_storage()
    try:
        storage.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [f"cache: {error}"]
    failed: list[str] = []
    missing = [name for name in names if not images.built(name)]
    if missing and not os.access(storage, os.W_OK):
        return [f"{name}: the cache {storage} belongs to another user" for name in missing]
    if missing:
        with open(places.cache() / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            failed += _build([name for name in missing if not images.built(name)])
    if trees:
        failed += _trees()
    _open_to_all(places.cache())
    return failed


def fetch_programs() -> None:
    """What a person who may not install packages lacks, as far as it works unpacked."""
    for line in fetch.fetch():
        say(line)


def _build(names: list[str]) -> list[str]:
    failed = []
    scratch = Path(tempfile.mkdtemp(prefix="pod-prepare-", dir="/var/tmp"))
    try:
        with Registry(places.registry_storage(), scratch / "registry") as registry:
            shop = images.Workshop(scratch, registry)
            for name in names:
                begin = time.monotonic()
                try:
                    images.RECIPES[name](shop)
                except (tools.CommandFailed, OSError) as error:
                    failed.append(f"{name}: {error}")
                    say(f"{name}: not built: {error}")
                else:
                    say(f"{name}: {time.monotonic() - begin:.1f} s")
    except tools.CommandFailed as error:
        failed.append(str(error))
        say(str(error))
    finally:
        images.clear(scratch)
    return failed


def _trees() -> list[str]:
    failed = []
    for suite in images.PYTHONS:
        try:
            images.debian_tree(suite)
        except (tools.CommandFailed, OSError) as error:
            failed.append(f"tree {suite}: {error}")
            say(f"tree {suite}: not built: {error}")
    return failed


def _open_to_all(root: Path) -> None:
    """The registry's files become readable for the users who serve them (Debian trees keep their own modes)."""
    if os.getuid() != 0:
        return
    for part in (root.parent, root):
        part.chmod(0o755)
    for top in (places.registry_storage(), places.archives()):
        for folder, _, files in os.walk(top):
            os.chmod(folder, 0o755)
            for file in files:
                os.chmod(os.path.join(folder, file), 0o644)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.support.prepare")
    parser.add_argument("images", nargs="*", choices=[*images.RECIPES, []], default=[])
    parser.add_argument("--trees", action="store_true", help="also the Debian trees with Python 3.9, 3.11 and 3.13")
    options = parser.parse_args(argv)
    fetch_programs()
    failed = prepare(options.images or list(images.RECIPES), trees=options.trees)
    say(f"cache: {places.cache()}")
    return 1 if failed and os.environ.get("CI") else 0


if __name__ == "__main__":
    raise SystemExit(main())
