"""Contexts and ADD by the web and by git: real servers on loopback."""

from __future__ import annotations

import bz2
import gzip
import http.server
import lzma
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from pod.core.builder import context as contexts
from pod.core.builder import copying, download, git, remote
from pod.core.builder.copying import CopyWishes, Host
from pod.core.builder.ignore import Ignore
from pod.core.engine import Engine
from pod.core.errors import NotFound, PodError
from tests.support import archives

CONTEXT = archives.layer({"Dockerfile": b"FROM x", ".dockerignore": b"a", "f": b"content"})
FILES = {
    "/f.tar": CONTEXT,
    "/f.tar.gz": gzip.compress(CONTEXT),
    "/Dockerfile.web": b"FROM web\n",
    "/sub/name%20x.txt": b"text",
}


class _Web(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = FILES.get(self.path.partition("?")[0])
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + (self.path == "/f.tar?cut")))
        self.send_header("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def web() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _Web.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run_git(folder: Path, *arguments: str) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        environ.update({f"GIT_{who}_NAME": "a", f"GIT_{who}_EMAIL": "a@b"})
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(address of the server, its folder); "x.git" has two commits, a branch, a tag and a folder."""
    base = tmp_path / "served"
    work = base / "x.git"
    work.mkdir(parents=True)
    run_git(work, "init", "--quiet", "--initial-branch=main")
    for number, text in enumerate(("one", "two")):
        (work / "sub").mkdir(exist_ok=True)
        (work / "Dockerfile").write_text(f"FROM {text}")
        (work / "sub/Dockerfile").write_text(f"FROM sub-{text}")
        run_git(work, "add", "-A")
        run_git(work, "commit", "--quiet", "-m", text)
        if number == 0:
            run_git(work, "tag", "v1")
            run_git(work, "branch", "side")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    daemon = subprocess.Popen(
        ["git", "daemon", "--export-all", f"--base-path={base}", "--listen=127.0.0.1", f"--port={port}"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"git://127.0.0.1:{port}/x.git", work
    os.killpg(daemon.pid, 9)
    daemon.wait()


def engine(tmp_path: Path) -> Engine:
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    return Engine(environ, root=str(tmp_path / "store"))


def left(tmp_path: Path) -> list[str]:
    return os.listdir(tmp_path / "store/cache/contexts")


@pytest.mark.parametrize("name", ["/f.tar", "/f.tar.gz"])
def test_context_when_an_archive_of_the_web_then_unpacked(tmp_path: Path, web: str, name: str) -> None:
    with contexts.open_context(engine(tmp_path), web + name) as one:
        assert one.dockerfile == b"FROM x"
        assert one.ignore is not None
        assert sorted(os.listdir(one.fd)) == [".dockerignore", "Dockerfile", "f"]
    with tempfile.TemporaryFile() as stdin:
        stdin.write(b"FROM stdin")
        stdin.seek(0)
        with contexts.open_context(engine(tmp_path), web + name, stdin_fd=stdin.fileno(), file="-") as one:
            assert one.dockerfile == b"FROM stdin"
    assert left(tmp_path) == []


def test_context_when_a_dockerfile_of_the_web_then_an_empty_folder(tmp_path: Path, web: str) -> None:
    with contexts.open_context(engine(tmp_path), web + "/Dockerfile.web") as one:
        assert one.dockerfile == b"FROM web\n"
        assert os.listdir(one.fd) == []
    for address, words in (("/none", "404"), ("/f.tar?cut", "fetch")):
        with pytest.raises(PodError, match=words):
            contexts.open_context(engine(tmp_path), web + address)
    assert left(tmp_path) == []


@pytest.mark.slow
def test_context_when_a_repository_then_its_ref_and_folder(tmp_path: Path, repository: tuple[str, Path]) -> None:
    url, work = repository
    first = run_git(work, "rev-parse", "v1")
    expected = {"": "two", "#main": "two", "#side": "one", "#v1": "one", f"#{first}": "one", f"#{first[:9]}": "one"}
    for fragment, text in expected.items():
        with contexts.open_context(engine(tmp_path), url + fragment) as one:
            assert one.dockerfile == f"FROM {text}".encode(), fragment
            assert sorted(os.listdir(one.fd)) == ["Dockerfile", "sub"]
    with contexts.open_context(engine(tmp_path), url + "#v1:sub") as one:
        assert one.dockerfile == b"FROM sub-one"
    with contexts.open_context(engine(tmp_path), url + "#:sub/", file="../Dockerfile") as one:
        assert one.dockerfile == b"FROM sub-two"
    for fragment in ("#none", "#:none", "#:Dockerfile", "#" + "0" * 40):
        with pytest.raises(PodError):
            contexts.open_context(engine(tmp_path), url + fragment)
    assert left(tmp_path) == []


@pytest.mark.slow
def test_context_when_a_repository_has_submodules_then_their_files(
    tmp_path: Path, repository: tuple[str, Path]
) -> None:
    url, work = repository
    other = work.parent / "other.git"
    run_git(work.parent, "clone", "--quiet", "--bare", str(work), str(other))
    run_git(work, "submodule", "--quiet", "add", str(other), "module")
    run_git(work, "config", "-f", ".gitmodules", "submodule.module.url", url.replace("x.git", "other.git"))
    run_git(work, "add", "-A")
    run_git(work, "commit", "--quiet", "-m", "module")
    with contexts.open_context(engine(tmp_path), url) as one:
        assert sorted(os.listdir(os.open("module", os.O_RDONLY, dir_fd=one.fd))) == ["Dockerfile", "sub"]


@pytest.mark.parametrize("module", ["ext::sh -c touch% {}", "file://{}", "-u./touch", "{}"])
def test_context_when_a_submodule_names_another_protocol_then_refused(
    tmp_path: Path, repository: tuple[str, Path], module: str
) -> None:
    url, work = repository
    mark = tmp_path / "mark"
    run_git(work, "submodule", "--quiet", "add", str(work), "module")
    run_git(work, "config", "-f", ".gitmodules", "submodule.module.url", module.format(mark))
    run_git(work, "add", "-A")
    run_git(work, "commit", "--quiet", "-m", "module")
    with pytest.raises(PodError, match="git submodule"):
        contexts.open_context(engine(tmp_path), url)
    assert not mark.exists()
    assert left(tmp_path) == []


BAD = [
    "git://-oProxyCommand=x/x.git",
    "ssh://-oProxyCommand=touch${IFS}x/x.git",
    "git@-oProxyCommand=x:x.git",
    "git://h/x.git#--upload-pack=x",
    "git://h/x.git#-c",
    "git://h/x.git#a..b",
    "git://h/x.git#+main:main",
    "git://h/x .git",
    "git://h/x\n.git",
    "git://h/x.git#a b",
    "git://h/x.git#^main",
]


@pytest.mark.parametrize("word", BAD)
def test_git_when_an_address_would_be_an_option_then_refused(word: str) -> None:
    with pytest.raises(PodError, match=r"not (an address|the name)"):
        git.parse(word)


def test_is_git_when_addresses_then_as_docker_tells_them(tmp_path: Path) -> None:
    for word in (
        "https://h/x.git",
        "https://h/x.git#ref:sub",
        "git@h:x",
        "github.com/a/b",
        "ssh://h/x",
        "git://h/x",
        "a@b:c",
    ):
        assert git.is_git(word), word
    for word in ("https://h/x.tar", "./git@h:x", "dir", "c:/x", "/a/b.git", "x.git", "http://h/x.git.tar"):
        assert not git.is_git(word), word
    assert git.parse("github.com/a/b#:c").url == "https://github.com/a/b"
    with pytest.raises(NotFound):
        contexts.open_context(engine(tmp_path), "ext::sh -c x")


# ---- ADD


def added(tmp_path: Path, sources: list[str], folder: Path | None = None, **more: object) -> remote.Added:
    origin = Host(copying.open_folder(str(folder or tmp_path)), Ignore(["ignored*"]))
    return remote.add(engine(tmp_path), origin, CopyWishes(sources, command="ADD"), **more)  # type: ignore[arg-type]


def test_add_when_an_address_then_a_file_of_600(tmp_path: Path, web: str) -> None:
    with added(tmp_path, [web + "/sub/name%20x.txt?query"]) as one:
        assert one.single
        digest = one.digest
        [folder] = [path for path in Path(tmp_path, "store/cache/contexts").glob("*/*") if path.is_dir()]
        file = folder / "name x.txt"
        assert (file.read_text(), file.stat().st_mode & 0o7777, file.stat().st_mtime) == ("text", 0o600, 1e9)
    assert left(tmp_path) == []
    _Web.asked.clear()
    checksum = "sha256:" + archives.sha(b"text")
    with added(tmp_path, [web + "/sub/name%20x.txt"], checksum=checksum) as one:
        assert one.digest == digest
        assert _Web.asked == []
    for wrong, words in (
        ("sha256:" + "0" * 64, "digest mismatch"),
        ("md5:1", "invalid checksum"),
        ("sha512:" + "0" * 128, "invalid"),
    ):
        with pytest.raises(PodError, match=words), added(tmp_path, [web + "/f.tar"], checksum=wrong) as one:
            _ = one.entries
    with pytest.raises(PodError, match="can't be specified"):
        added(tmp_path, ["local"], checksum=checksum)
    assert left(tmp_path) == []


@pytest.mark.slow
def test_add_when_a_repository_then_its_files_or_its_git_folder(tmp_path: Path, repository: tuple[str, Path]) -> None:
    url, work = repository
    commit = run_git(work, "rev-parse", "HEAD")
    with added(tmp_path, [url], checksum=commit[:12]) as one:
        assert one.digest
        assert one.entries == 3
    with added(tmp_path, [url], keep_git_dir=True) as one:
        assert one.digest
        assert one.entries > 10
    with added(tmp_path, [url + "#v1:sub"]) as one:
        assert one.digest
        assert one.entries == 1
    with pytest.raises(PodError, match="expected checksum"):
        added(tmp_path, [url], checksum="0" * 40)
    assert left(tmp_path) == []


FORMS = {"tar": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def test_is_archive_when_files_then_by_what_is_in_them(tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    for name, form in FORMS.items():
        (tmp_path / f"{name}.txt").write_bytes(form(CONTEXT))
        assert remote.is_archive_at(root, f"{name}.txt"), name
        (tmp_path / f"{name}.tar").write_bytes(form(b"no archive at all" * 1000))
        assert not remote.is_archive_at(root, f"{name}.tar"), name
        (tmp_path / f"{name}.cut").write_bytes(form(b"x" * 5000)[:20])
        assert not remote.is_archive_at(root, f"{name}.cut"), name
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("gz.txt")
    os.mkfifo(tmp_path / "fifo")
    assert [remote.is_archive_at(root, name) for name in ("empty", "link", "fifo", ".", "none")] == [
        False,
        True,
        False,
        False,
        False,
    ]
    os.close(root)


def test_add_when_archives_are_among_the_sources_then_parts_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    for name, content in (
        ("a.tar", CONTEXT),
        ("b.txt", b"b"),
        ("c.tar", CONTEXT),
        ("ignored.tar", CONTEXT),
        ("[x].txt", b"x"),
    ):
        (folder / name).write_bytes(content)
    with added(tmp_path, ["b.txt", "[!a].tar", "*.t*"], folder) as one:
        kinds = [type(part).__name__ for part in one._parts]
        assert kinds == ["Picked", "_Archive", "Picked", "_Archive", "Picked", "_Archive"]
        assert one.digest
    with added(tmp_path, ["a.tar"], folder, unpack=False) as plain, added(tmp_path, ["a.tar"], folder) as unpacked:
        assert [type(part).__name__ for part in plain._parts] == ["Picked"]
        assert plain.digest != unpacked.digest
    with pytest.raises(NotFound, match="ignored"), added(tmp_path, ["ignored.tar"], folder) as one:
        _ = one.digest
    assert not Path(tmp_path, "store/cache/contexts").exists()


def test_file_name_when_addresses_then_the_last_name() -> None:
    names = {
        "https://h/a/b.txt": "b.txt",
        "https://h/a/": "a",
        "https://h": "__unnamed__",
        "https://h/": "__unnamed__",
        "https://h/?a=b": "__unnamed__",
        "https://h/%2e%2e": "__unnamed__",
    }
    assert {url: download.file_name(url) for url in names} == names
    for url in ("https://h/a%2Fb", "https://h/%00", "https://u:p@h/x", "https://h/" + "a" * 300, "https:///x"):
        with pytest.raises(PodError):
            download.file_name(url)
