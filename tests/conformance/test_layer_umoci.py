"""Every test image, unpacked by pod's engine and flattened, beside the tree that umoci makes of the same image.

umoci runs as the user who runs the suite (``raw unpack --rootless``). Owners that it cannot give it notes in an
attribute of each file, user.rootlesscontainers (rootlesscontaine.rs: a protobuf message, field 1 uid, field 2 gid);
ours are in the owners record of the flat tree. So paths, kinds, modes, sizes, contents, link targets, hard links, times
and owners have another reader than our own, without root.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pod.ext import layer
from tests.support import images, tools

NOTE = "user.rootlesscontainers"
UNSET = (1 << 32) - 1


def copy(source: str, target: str, scratch: Path, *options: str) -> None:
    """skopeo copy."""
    environ = {"PATH": tools.SEARCH, "HOME": str(scratch), "TMPDIR": str(scratch)}
    argv = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", *options, source, target]
    tools.call(argv, environ=environ)


def fetch(registry, name: str, scratch: Path) -> tuple[Path, Path]:
    """The image as OCI layouts: for us with its layers as the registry has them, for umoci (no zstd) plain."""
    source = f"docker://{registry.name(name)}"
    copy(source, f"oci:{scratch}/layout:image", scratch, "--format", "oci")
    if "zstd" not in name:
        return scratch / "layout", scratch / "layout"
    copy(source, f"dir:{scratch}/plain", scratch, "--dest-decompress")
    copy(f"dir:{scratch}/plain", f"oci:{scratch}/layout-plain:image", scratch, "--format", "oci")
    return scratch / "layout", scratch / "layout-plain"


def blob(layout: Path, descriptor: dict[str, Any]) -> Path:
    return layout / "blobs/sha256" / descriptor["digest"].partition(":")[2]


def layers_of(layout: Path) -> list[Path]:
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(layout, index["manifests"][0]).read_text())
    if "layers" not in manifest:
        manifest = json.loads(blob(layout, manifest["manifests"][0]).read_text())
    return [blob(layout, each) for each in manifest["layers"]]


def unpack(layout: Path, base: Path, *, threads: bool) -> tuple[Path, dict[str, tuple[int, int]]]:
    """Our tree and its owners."""
    trees, records = [], []
    base.mkdir()
    fd = os.open(base, os.O_RDONLY)
    dialect = layer.probe_dialect(fd)
    os.close(fd)
    for number, source in enumerate(layers_of(layout)):
        root = base / str(number)
        root.mkdir()
        root.chmod(0o755)
        trees.append(os.open(root, os.O_RDONLY))
        records.append(os.open(base / f"{number}.owners", os.O_RDWR | os.O_CREAT))
        with source.open("rb") as opened:
            layer.extract(opened.fileno(), trees[-1], records[-1], mapped=False, dialect=dialect, threads=threads)
    (base / "flat").mkdir()
    trees.append(os.open(base / "flat", os.O_RDONLY))
    records.append(os.open(base / "flat.owners", os.O_RDWR | os.O_CREAT))
    layer.flatten(trees[:-1], trees[-1], records[:-1], records[-1])
    owners = {path: ids for path, ids, *_ in layer.read_owners(records[-1]) if ids and ids != (0, 0)}
    for each in (*trees, *records):
        os.close(each)
    return base / "flat", owners


def varints(data: bytes) -> dict[int, int]:
    """Fields of a protobuf message that has nothing but varints."""
    found: dict[int, int] = {}
    numbers = []
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    for key, number in zip(numbers[::2], numbers[1::2]):
        found[key >> 3] = number
    return found


def noted_owners(root: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in walk(root):
        try:
            fields = varints(os.getxattr(root / path, NOTE, follow_symlinks=False))
        except OSError:
            continue
        # 2^32 - 1 stands for "as it is", which is root
        found[path] = (fields.get(1, 0) % UNSET, fields.get(2, 0) % UNSET)
    return {path: ids for path, ids in found.items() if ids != (0, 0)}


def walk(root: Path) -> list[str]:
    return [
        os.path.relpath(os.path.join(parent, name), root)
        for parent, folders, files in os.walk(root)
        for name in (*folders, *files)
    ]


def describe(root: Path) -> dict[str, tuple[Any, ...]]:
    """{path: (kind and mode, size, mtime, links, content or target)}; "links" are the other names of a file."""
    found: dict[str, tuple[Any, ...]] = {}
    names: dict[int, list[str]] = {}
    for path in walk(root):
        status = (root / path).lstat()
        said = b""
        if stat.S_ISLNK(status.st_mode):
            said = os.fsencode(os.readlink(root / path))
        elif stat.S_ISREG(status.st_mode):
            names.setdefault(status.st_ino, []).append(path)
            said = hashlib.sha256(readable(root / path)).digest()
        size = status.st_size if not stat.S_ISDIR(status.st_mode) else 0
        mode = status.st_mode if not stat.S_ISLNK(status.st_mode) else stat.S_IFLNK
        found[path] = (oct(mode), size, status.st_mtime, said)
    for group in names.values():
        for path in group:
            found[path] += (sorted(group),)
    return found


def readable(path: Path) -> bytes:
    """The content, also of what its mode shuts to its owner."""
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & 0o400:
        return path.read_bytes()
    path.chmod(mode | 0o400)
    try:
        return path.read_bytes()
    finally:
        path.chmod(mode)


@pytest.mark.umoci
@pytest.mark.skopeo
@pytest.mark.not_root
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.image(name)] + [pytest.mark.slow] * (":1" in name))
        for name in images.RECIPES
    ],
)
def test_layers_unpacked_and_flattened_are_what_umoci_makes(registry, tmp_path, name):
    begun = time.time()
    layout, plain = fetch(registry, name, tmp_path)
    program = tools.find("umoci")
    assert program is not None
    theirs = tmp_path / "umoci"
    command = [program, "raw", "unpack", "--rootless", "--image", f"{plain}:image", str(theirs)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    expected = describe(theirs)
    for threads in (True, False):
        ours, owners = unpack(layout, tmp_path / f"ours-{threads}", threads=threads)
        made = describe(ours)
        assert made.keys() == expected.keys()
        for path, said in made.items():
            if said[0].startswith("0o4") and said[2] > begun:  # no entry made this directory: the time is of now
                expected[path] = (*expected[path][:2], said[2], *expected[path][3:])
        assert {path: (made[path], expected[path]) for path in made if made[path] != expected[path]} == {}
        assert owners == noted_owners(theirs)
    fd = os.open(tmp_path, os.O_RDONLY)
    for tree in ("umoci", "ours-True", "ours-False"):
        layer.rmtree(fd, tree)
    os.close(fd)
