"""Paths inside a hostile root: by openat2, and by the walk where a seccomp filter takes openat2 away."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "ext/src/core"
NAMES = ("err", "beneath", "rmtree", "copytree", "copydata", "copyattrs", "copylinks")
FILES = [str(SOURCES / f"{name}.c") for name in NAMES]
FLAGS = ["-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    """The C functions behind a command line, with sanitizers."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("capability compiler: cc is not installed")
    target = tmp_path_factory.mktemp("harness") / "beneath"
    source = str(Path(__file__).parent / "beneath_harness.c")
    subprocess.run([compiler, *FLAGS, f"-I{SOURCES}", source, *FILES, "-o", str(target)], check=True, timeout=120)
    return target


@pytest.fixture(params=[0, errno.ENOSYS, errno.EPERM], ids=["openat2", "ENOSYS", "EPERM"])
def call(harness, request, tmp_path):
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "f").write_text("f")
    for name, target in {
        "a/abs": "/",
        "a/up": "../../../../f",
        "dang": "nope/deep",
        "loop": "loop",
        "la": "a",
        "lb": "la/b",
        "out": str(tmp_path / "outside"),
    }.items():
        os.symlink(target, root / name)
    (tmp_path / "outside").mkdir()

    def run(verb, path, flags=os.O_RDONLY, at=None):
        command = [str(harness), str(request.param), verb, str(at or root), path, str(flags)]
        environ = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environ)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout.strip().replace(str(root), "R")

    yield run
    assert os.listdir(tmp_path / "outside") == []


IN_ROOT = {
    "f": "R/f",
    "/f": "R/f",
    "a/up": "R/f",
    "a/abs/f": "R/f",
    "a/abs/a/../f": "R/f",
    "lb": "R/a/b",
    "la/b/..": "R/a",
    "a/b/../../../../f": "R/f",
    "a/b/": "R/a/b",
    "a/.": "R/a",
    ".": "R",
    "/": "R",
    "..": "R",
    "f/": "ENOTDIR",
    "f/x": "ENOTDIR",
    "nope": "ENOENT",
    "": "ENOENT",
    "loop": "ELOOP",
    "dang": "ENOENT",
    "out": "ENOENT",
    "../../../etc/passwd": "ENOENT",
    "n" * 256: "ENAMETOOLONG",
    "d/" * 2100: "ENAMETOOLONG",
}


@pytest.mark.parametrize(("path", "expected"), IN_ROOT.items(), ids=lambda text: text[:20] or "empty")
def test_open_in_root_when_path_is_hostile_then_stays_inside(call, path, expected):
    assert call("in", path) == expected


def test_open_in_root_when_creating_then_follows_links_inside_only(call):
    assert call("in", "a/b/new", os.O_CREAT | os.O_WRONLY) == "R/a/b/new"
    assert call("in", "out", os.O_CREAT | os.O_WRONLY) == "ENOENT"
    assert call("in", "la", os.O_CREAT | os.O_EXCL | os.O_WRONLY) == "EEXIST"
    assert call("in", "a/up", os.O_NOFOLLOW) == "ELOOP"
    assert call("in", "a/up", os.O_NOFOLLOW | os.O_PATH) == "R/a/up"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("f", "R/f"),
        ("a/b", "R/a/b"),
        ("./a", "R/a"),
        ("la/b", "ELOOP"),
        ("a/up", "ELOOP"),
        ("a/../f", "EXDEV"),
        ("/f", "EXDEV"),
        ("..", "EXDEV"),
        ("", "ENOENT"),
        ("f/x", "ENOTDIR"),
    ],
)
def test_open_beneath_when_anything_but_names_then_refuses(call, path, expected):
    assert call("beneath", path) == expected


@pytest.mark.parametrize(
    ("path", "expected", "by_walk"),
    [
        ("f", "R/f", "R/f"),
        ("a/b", "R/a/b", "R/a/b"),
        ("la/b", "R/a/b", "ELOOP"),
        ("lb", "R/a/b", "ELOOP"),
        ("a/../f", "R/f", "EXDEV"),
        ("a/up", "EXDEV", "ELOOP"),
        ("a/abs/f", "EXDEV", "ELOOP"),
        ("out", "EXDEV", "ELOOP"),
        ("..", "EXDEV", "EXDEV"),
        ("/f", "EXDEV", "EXDEV"),
        ("loop", "ELOOP", "ELOOP"),
        ("nope", "ENOENT", "ENOENT"),
        ("f/x", "ENOTDIR", "ENOTDIR"),
    ],
)
def test_open_within_follows_links_that_stay_inside_where_the_kernel_tells(call, request, path, expected, by_walk):
    kernel = request.node.callspec.params["call"] == 0
    assert call("within", path) == (expected if kernel else by_walk)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("m1/m2/../m3", "R/m1/m3"),
        ("dang", "R/nope/deep"),
        ("f/x", "ENOTDIR"),
        ("f", "ENOTDIR"),
        ("a/abs/new", "R/new"),
        ("lb/x/y", "R/a/b/x/y"),
        ("loop/x", "ELOOP"),
    ],
)
def test_mkdirs_when_path_has_links_then_makes_them_inside(call, path, expected):
    assert call("mkdirs", path) == expected


def test_mkdirs_when_link_leads_out_then_the_path_is_made_inside(call, tmp_path):
    assert call("mkdirs", "out/x") == f"R{tmp_path}/outside/x"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("q/w/e", "R/q/w e"), ("../../z", "R z"), ("a/..", "EINVAL"), ("/", "EINVAL"), ("a/", "R a"), ("lb/x", "R/a/b x")],
)
def test_parent_when_split_then_last_name_is_not_resolved(call, path, expected):
    assert call("parent", path) == expected


def test_open_in_root_when_link_is_magic_then_refuses(call):
    assert call("in", "proc/self/root/etc", at="/") == "ELOOP"
    assert call("in", "proc/self/cwd", at="/") == "ELOOP"
    assert call("in", "proc/mounts", at="/").endswith("/mounts")


def test_chmod_when_name_is_a_link_then_its_target_keeps_its_mode(call, tmp_path):
    assert call("chmod", "a/up") in ("ELOOP", "EOPNOTSUPP")
    assert (tmp_path / "root/f").stat().st_mode & 0o777 != 0o700
    call("chmod", "f")
    assert (tmp_path / "root/f").stat().st_mode & 0o777 == 0o700
