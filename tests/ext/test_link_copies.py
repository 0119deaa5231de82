"""Hard links of an archive on a file system that has none: copies, and the owners record tells how many."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

FILTERED = Path(__file__).parents[1] / "support/filtered.py"
SCRIPT = """
import json, os, sys
from pathlib import Path
from pod.ext.errors import StepError
from tests.ext.unpacking import *
capability = bytes.fromhex("0100000200200000000000000000000000000000")
data = file(b"big", b"x" * 700_000, mode=0o750, mtime=7) + hardlink(b"big2", b"big")
data += folder(b"d") + file(b"small", b"s", mode=0o4711)
data += hardlink(b"d/small2", b"small", uid=5) + hardlink(b"small3", b"d/small2")
data += file(b"none", b"n", mode=0) + hardlink(b"none2", b"none")
data += folder(b"shut", 0o500) + file(b"shut/f", b"f") + folder(b"void", 0) + file(b"void/f", b"v")
data += hardlink(b"shut2", b"shut/f") + hardlink(b"void2", b"void/f")
data += symlink(b"link", b"big") + hardlink(b"link2", b"link")
data += header(b"fifo", b"6", mode=0o640) + hardlink(b"fifo2", b"fifo")
data += header(b"null", b"3", device=(1, 3)) + hardlink(b"null2", b"null")
data += pax({b"SCHILY.xattr.user.kept": b"yes"}) + file(b"attr", b"a") + hardlink(b"attr2", b"attr")
data += file(b"small", b"new")
limit = int(sys.argv[1])
try:
    unpacked = unpack(data, Path("."), max_bytes=limit, threads=sys.argv[2] == "threads")
except StepError as error:
    print(json.dumps([error.step, error.errno]))
    raise SystemExit
found = {}
for name in sorted(os.listdir("diff")):
    path = Path("diff", name)
    status = path.lstat()
    path.chmod(0o700) if name == "void" else None
    readable = not path.is_symlink() and path.is_file() and status.st_mode & 0o400
    content = len(path.read_bytes()) if readable else -1
    attributes = [one for one in os.listxattr(path) if one == "user.kept"] if readable else []
    found[name] = [status.st_mode, int(status.st_mtime), content, attributes]
    found[name] += [os.readlink(path)] if path.is_symlink() else []
print(json.dumps([found, unpacked.owners, os.stat("diff/big").st_nlink], default=repr))
"""


def unpack(folder: Path, *words: str, refused: str = "") -> tuple[list[object], int]:
    """What the script says, and how many links are copies by the owners record."""
    folder.mkdir()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    filtered = [sys.executable, str(FILTERED), f"deny:link,linkat={refused}"] if refused else []
    command = [*filtered, sys.executable, "-c", SCRIPT, *words]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said: list[object] = json.loads(done.stdout)
    return said, struct.unpack_from("<Q", (folder / "owners").read_bytes().ljust(48, b"\0"), 40)[0]


@pytest.mark.parametrize("threads", ["threads", "one"])
@pytest.mark.parametrize("refused", ["1", "95", "38", "31"], ids=["EPERM", "EOPNOTSUPP", "ENOSYS", "EMLINK"])
def test_extract_when_hard_links_are_refused_then_the_same_tree_of_copies(tmp_path, threads, refused):
    (linked, owners, names), copies = unpack(tmp_path / "links", str(1 << 30), threads)
    assert (names, copies) == (2, 0)
    (copied, copied_owners, names), copies = unpack(tmp_path / "copies", str(1 << 30), threads, refused=refused)
    assert (copied, copied_owners) == (linked, owners)
    assert (names, copies) == (1, 10)


def test_extract_when_copies_would_exceed_the_limit_then_refused(tmp_path):
    assert unpack(tmp_path / "links", "1000000", "one")[0][2] == 2
    assert unpack(tmp_path / "copies", "1000000", "one", refused="1")[0] == ["LIMIT", 27]


def test_extract_when_a_link_fails_for_another_reason_then_it_is_an_error(tmp_path):
    assert unpack(tmp_path / "full", str(1 << 30), "one", refused="28")[0] == ["LINK", 28]
