"""Contexts of builds that need no network: folders, archives and Dockerfiles from standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from pod.core.builder import context as contexts
from pod.core.builder.context import Context
from pod.core.engine import Engine
from pod.core.errors import NotFound, PodError


def engine(tmp_path: Path) -> Engine:
    return Engine({"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, root=str(tmp_path / "store"))


def opened(tmp_path: Path, word: str, data: bytes = b"", file: str = "", *, pipe: bool = False) -> Context:
    if pipe:
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            with os.fdopen(writer, "wb") as stream:
                stream.write(data)
            os._exit(0)
        os.close(writer)
        try:
            return contexts.open_context(engine(tmp_path), word, stdin_fd=reader, file=file)
        finally:
            os.close(reader)
            os.wait()
    with tempfile.TemporaryFile() as stream:
        stream.write(data)
        stream.seek(0)
        return contexts.open_context(engine(tmp_path), word, stdin_fd=stream.fileno(), file=file)


def packed(**files: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("dot_", "."))
            info.size = len(text)
            info.mode = 0o751
            tar.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    (made / "sub").mkdir(parents=True)
    (made / "Dockerfile").write_text("FROM one")
    (made / "sub/other").write_text("FROM two")
    (made / ".dockerignore").write_text("*.md\n")
    return made


def test_context_when_a_folder_then_its_dockerfile_and_ignore_file(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path, str(folder)) as one:
        assert (one.dockerfile, one.dockerfile_name) == (b"FROM one", "Dockerfile")
        assert one.ignore is not None
        assert one.ignore.excluded("a.md")
        assert sorted(os.listdir(one.fd)) == [".dockerignore", "Dockerfile", "sub"]
    (folder / "Dockerfile.dockerignore").write_text("*.c")
    with opened(tmp_path, str(folder)) as one:
        assert one.ignore is not None
        assert not one.ignore.excluded("a.md")
        assert one.ignore.excluded("a.c")


def test_context_when_another_file_is_named_then_that_one(tmp_path: Path, folder: Path) -> None:
    for name in (str(folder / "sub/other"), "sub/other"):
        with opened(tmp_path, str(folder), file=name) as one:
            assert one.dockerfile == b"FROM two"
            assert one.ignore is not None
            assert one.ignore.excluded("a.md")
    (folder / "sub/other.dockerignore").write_text("none")
    with opened(tmp_path, str(folder), file=str(folder / "sub/other")) as one:
        assert one.ignore is not None
        assert not one.ignore.excluded("a.md")
    with opened(tmp_path, str(folder), b"FROM stdin", file="-") as one:
        assert one.dockerfile == b"FROM stdin"
        assert one.ignore is not None
        assert one.ignore.excluded("a.md")
    (folder / "Dockerfile").rename(folder / "dockerfile")
    with opened(tmp_path, str(folder)) as one:
        assert one.dockerfile_name == "dockerfile"


def test_context_when_something_is_missing_then_dockers_words(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(NotFound, match='unable to prepare context: path "/nowhere" not found'):
        opened(tmp_path, "/nowhere")
    with pytest.raises(PodError, match="not a directory"):
        opened(tmp_path, str(folder / "Dockerfile"))
    with pytest.raises(NotFound, match="failed to read dockerfile: open nothing: no such file"):
        opened(tmp_path, str(folder), file="nothing")
    with pytest.raises(PodError, match="can't use stdin for both"):
        opened(tmp_path, "-", file="-")
    (folder / ".dockerignore").write_text("[")
    with pytest.raises(PodError, match=r".dockerignore: error checking pattern '\['"):
        opened(tmp_path, str(folder))


FORMS = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_context_when_an_archive_comes_then_unpacked_and_removed(tmp_path: Path, form: str, pipe: bool) -> None:
    data = FORMS[form](packed(Dockerfile="FROM x", dot_dockerignore="a", sub__file="text" * 100000))
    with opened(tmp_path, "-", data, pipe=pipe) as one:
        assert one.dockerfile == b"FROM x"
        assert one.ignore is not None
        assert one.ignore.excluded("a")
        file = os.open("sub/file", os.O_RDONLY, dir_fd=one.fd)
        assert os.fstat(file).st_size == 400000
        assert os.fstat(file).st_mode & 0o777 == 0o751
        os.close(file)
        assert os.listdir(tmp_path / "store/cache/contexts")
    assert not os.listdir(tmp_path / "store/cache/contexts")


def test_context_when_a_dockerfile_comes_then_an_empty_folder(tmp_path: Path) -> None:
    with opened(tmp_path, "-", b"FROM x\nRUN true\n", pipe=True) as one:
        assert one.dockerfile == b"FROM x\nRUN true\n"
        assert not os.listdir(one.fd)
        assert one.ignore is None
    with pytest.raises(PodError, match="is no archive"):
        opened(tmp_path, "-", b"FROM x", file="other")
    with pytest.raises(PodError, match="more than"):
        opened(tmp_path, "-", b"#" * (5 << 20))
    assert not os.listdir(tmp_path / "store/cache/contexts")


@pytest.mark.parametrize("form", sorted(FORMS))
def test_context_when_an_archive_is_cut_or_damaged_then_one_line_and_nothing_left(tmp_path: Path, form: str) -> None:
    data = FORMS[form](packed(Dockerfile="FROM x", file=os.urandom(20000).hex()))
    for wrong in (data[: len(data) // 2], data[: len(data) // 2] + b"?" * 200 + data[len(data) // 2 + 200 :]):
        if form == "plain" and len(wrong) == len(data):
            continue
        with pytest.raises(PodError):
            opened(tmp_path, "-", wrong)
        assert not os.listdir(tmp_path / "store/cache/contexts")


def test_collect_when_a_build_was_killed_then_its_folder_goes_with_the_next(tmp_path: Path) -> None:
    one = contexts.Scratch(engine(tmp_path))
    dead = tmp_path / "store/cache/contexts/1-dead"
    (dead / "deep").mkdir(parents=True)
    for path in (dead, Path(one.path)):
        os.utime(path, (time.time() - 100, time.time() - 100))
    assert contexts.collect(engine(tmp_path)) == 1
    assert os.listdir(dead.parent) == [os.path.basename(one.path)]
    one.remove()


def test_read_inside_when_links_lead_out_then_inside(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "secret").write_text("of the host")
    fd = os.open(folder, os.O_RDONLY)
    for number, target in enumerate(("../secret", "/secret", "../../../../../../secret", str(tmp_path / "secret"))):
        (folder / f"l{number}").symlink_to(target)
        assert contexts.read_inside(fd, f"l{number}", 100) is None
    (folder / "secret").write_text("inside")
    assert [contexts.read_inside(fd, f"l{number}", 100) for number in range(4)] == [b"inside"] * 3 + [None]
    (folder / "loop").symlink_to("loop")
    assert contexts.read_inside(fd, "loop", 100) is None
    os.mkfifo(folder / "fifo")
    for name in ("fifo", "sub"):
        with pytest.raises(PodError, match="not a regular file"):
            contexts.read_inside(fd, name, 100)
    os.close(fd)
