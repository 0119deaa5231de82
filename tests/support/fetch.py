"""Debian's programs for someone who may not install packages: unpacked below the cache, found by tools.find.

Only those that work from any folder: the registry, skopeo, umoci, busybox. buildah, podman and the Debian images need
root or newuidmap, which is setuid; their tests then skip, each with its capability's name.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from tests.support import places, tools

PROGRAMS = {"docker-registry": "docker-registry", "skopeo": "skopeo", "umoci": "umoci", "busybox": "busybox-static"}
LIBRARIES = (
    ("libgpgme11", "libgpgme11t64"),
    ("libassuan0", "libassuan9"),
    ("libgpg-error0",),
    ("libdevmapper1.02.1",),
    ("libsubid4", "libsubid5"),
)
"""What skopeo is linked to beside libc: each under the names that it had in Debian's releases."""
_WRAPPER = '#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{program}" "$@"\n'


def missing() -> list[str]:
    """Packages of programs that are neither installed nor fetched."""
    return [package for program, package in PROGRAMS.items() if tools.find(program) is None]


def fetch() -> list[str]:
    """Unpacks what is missing; returns a line for each that could not be had. Does nothing where all is there."""
    wanted = missing()
    if not wanted:
        return []
    sys.path.insert(0, str(places.REPOSITORY / "packaging"))
    try:
        sysroot = importlib.import_module("sysroot")
    finally:
        sys.path.pop(0)
    packages = sysroot.Packages(places.cache() / "packages")
    machine = os.uname().machine
    failed = []
    for package in wanted:
        try:
            packages.unpack([package], machine)
        except sysroot.PackageError as error:
            failed.append(f"{package}: {error}")
    if "skopeo" in wanted:
        for names in LIBRARIES:
            _first(packages, sysroot.PackageError, names, machine)
    _wrap(places.cache() / "packages" / "root" / machine)
    return failed


def _first(packages: object, refused: type[Exception], names: tuple[str, ...], machine: str) -> None:
    """Unpacks the first of the names that the archive has."""
    for name in names:
        try:
            packages.unpack([name], machine)  # type: ignore[attr-defined]
        except refused:
            continue
        return


def _wrap(tree: Path) -> None:
    """Makes programs of the tree startable: a script each that names the tree's libraries."""
    places.fetched().mkdir(parents=True, exist_ok=True)
    folders = [*tree.glob("usr/lib/*-linux-gnu*"), *tree.glob("lib/*-linux-gnu*")]
    libraries = ":".join(str(folder) for folder in sorted(folders))
    for program in PROGRAMS:
        for folder in ("usr/bin", "usr/sbin", "bin", "sbin"):
            path = tree / folder / program
            if path.exists():
                wrapper = places.fetched() / program
                if program == "busybox":
                    wrapper.unlink(missing_ok=True)
                    wrapper.symlink_to(path)
                else:
                    wrapper.write_text(_WRAPPER.format(libraries=libraries, program=path))
                    wrapper.chmod(0o755)
                break
