"""Made-up archives of many formats beside a model, and GNU tar's formats beside the tree that they were made from."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pod.ext import layer
from tests.ext.unpacking import unpack
from tests.support import corpus, tools

SEEDS = 300
BATCH = 30
_OURS = ("user.overlay.opaque", "user.pod.owner")
"""Attributes that stand for something else of the archive."""


def describe(root: Path) -> tuple[dict[str, tuple[Any, ...]], set[frozenset[str]]]:
    """{path: what corpus.Inode.describe tells}, and the groups of names of one file."""
    found: dict[str, tuple[Any, ...]] = {}
    groups: dict[int, set[str]] = {}
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            full = os.path.join(parent, name)
            path = os.path.relpath(full, root)
            status = os.lstat(full)
            if stat.S_ISCHR(status.st_mode):
                found[path] = ("whiteout",)
                continue
            link = stat.S_ISLNK(status.st_mode)
            content = Path(full).read_bytes() if stat.S_ISREG(status.st_mode) else b""
            names = [] if link else os.listxattr(full)
            found[path] = (
                stat.S_IFMT(status.st_mode),
                None if link else stat.S_IMODE(status.st_mode),
                status.st_mtime,
                content,
                os.readlink(full) if link else "",
                {name: os.getxattr(full, name) for name in names if name not in _OURS},
                "user.overlay.opaque" in names,
            )
            if not stat.S_ISDIR(status.st_mode):
                groups.setdefault(status.st_ino, set()).add(path)
    return found, {frozenset(group) for group in groups.values()}


def expected(model: corpus.Model) -> tuple[dict[str, tuple[Any, ...]], set[frozenset[str]]]:
    groups: dict[int, set[str]] = {}
    for path, inode in model.tree.items():
        if inode.kind not in (stat.S_IFDIR, stat.S_IFCHR):
            groups.setdefault(id(inode), set()).add(path)
    return {path: inode.describe() for path, inode in model.tree.items()}, {frozenset(each) for each in groups.values()}


def check(seed: int, base: Path, *, threads: bool) -> None:
    writer = corpus.Writer(seed)
    data = writer.build()
    blob = gzip.compress(data, 1) if seed % 2 else data
    base.mkdir()
    fd = os.open(base, os.O_RDONLY)
    if layer.probe_dialect(fd) != "overlay":
        os.close(fd)
        pytest.skip("capability overlay: this file system cannot hold whiteout nodes")
    os.close(fd)
    unpacked = unpack(blob, base, end=b"", threads=threads)
    made, groups = describe(unpacked.root)
    tree, same = expected(writer.model)
    for path, said in tree.items():
        if len(said) > 2 and said[2] is None:  # made by no entry: the time of now
            tree[path] = (*said[:2], made.get(path, (0, 0, 0))[2], *said[3:])
    wrong = {path: (made.get(path), tree.get(path)) for path in {*made, *tree} if made.get(path) != tree.get(path)}
    assert (seed, wrong) == (seed, {})
    assert groups == same
    assert {path: ids for path, ids, *_ in unpacked.owners if ids} == writer.model.owners


@pytest.mark.parametrize("threads", [True, False], ids=["threads", "in line"])
@pytest.mark.parametrize("batch", range(SEEDS // BATCH))
def test_layer_made_up_when_unpacked_then_is_as_the_model_says(tmp_path, batch, threads):
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        check(seed, tmp_path / str(seed), threads=threads)
    fd = os.open(tmp_path, os.O_RDONLY)
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        layer.rmtree(fd, str(seed))
    os.close(fd)


def source(base: Path) -> Path:
    """A tree whose names and sizes every format can hold."""
    root = base / "source"
    (root / "deep/deeper").mkdir(parents=True)
    (root / "empty").mkdir(mode=0o700)
    for number in range(30):
        (root / f"deep/{number}").write_bytes(os.urandom(number * 97))
    os.link(root / "deep/3", root / "deep/deeper/link")
    os.symlink("../3", root / "deep/deeper/symlink")
    os.mkfifo(root / "fifo", 0o640)
    with open(root / "sparse", "wb") as sparse:
        for at in (5, 100_000, 900_000, 2_000_000):
            sparse.seek(at)
            sparse.write(b"island %d" % at)
        sparse.truncate(3_000_000)
    (root / "setuid").write_bytes(b"x" * 1000)
    (root / "setuid").chmod(0o4711)
    for path in [*root.rglob("*"), root]:
        os.utime(path, (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    return root


PLAIN = [["--format=v7"], ["--format=oldgnu"], ["--format=gnu"], ["--format=ustar"], ["--format=posix"]]
SPARSE = [["--format=oldgnu", "-S"], ["--format=gnu", "-S"]]
SPARSE += [["--format=posix", "-S", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0")]


@pytest.mark.parametrize("threads", [True, False], ids=["threads", "in line"])
@pytest.mark.parametrize("options", PLAIN + SPARSE, ids=" ".join)
def test_layer_of_gnu_tar_when_unpacked_then_is_the_tree_it_was_made_from(tmp_path, options, threads):
    root = source(tmp_path)
    if options == ["--format=v7"]:
        (root / "fifo").unlink()
        os.utime(root, (1_500_000_000, 1_500_000_000))
    program = tools.find("tar")
    assert program is not None
    command = [program, *options, "--numeric-owner", "--sort=name", "-C", str(root), "-c", "."]
    archive = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    (tmp_path / "made").mkdir()
    unpacked = unpack(archive, tmp_path / "made", end=b"", threads=threads)
    assert describe(unpacked.root) == describe(root)
    assert unpacked.root.stat().st_mtime == 1_500_000_000
    assert ((unpacked.root / "sparse").stat().st_blocks < 200) == ("-S" in options)
    owner = (os.getuid(), os.getgid())
    assert {ids for _, ids, *_ in unpacked.owners} == {owner}
