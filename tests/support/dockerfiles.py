"""The corpus of Dockerfiles (tests/conformance/dockerfiles): its cases, the files they are built from, what came out.

A case is ``==== NAME`` and its Dockerfile; the lines before that say more:

    $ FLAGS     of the build; {context} {second} {secret} are paths, {url} the address of a server
    ! WORDS     the build fails, and pod says these; a line for each
    & IMAGE     the image of that name is built before (``==== &NAME``: its Dockerfile)
    - PATTERN   a line of the Dockerfile's ignore file
    @ reference REASON     what is expected is what Docker's reference says, read by people: buildah has no such syntax
    @ differs NAME         the same, where buildah knows the syntax and makes something else of it: one of DIFFERENCES

What is expected is in NAME.json beside NAME.txt: the image's configuration and the paths in which its tree differs from
that of the base, with type, mode, owners and content: what buildah made, unless the case says otherwise by ``@``.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import hashlib
import io
import json
import lzma
import os
import shlex
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support import places, tools, trees
from tests.support.trees import Stored, Tree

FOLDER = places.REPOSITORY / "tests" / "conformance" / "dockerfiles"
BASE = "busybox"
TIME = 1_600_000_000
"""Of every file of the context."""
_ENGINES = {"dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv"}
"""Where engines mount something for RUN, and leave an empty place or none."""
_RUN_FOLDER = "dir 755 0:0 /run"
_MOST_SHOWN = 60
SEARCH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Left out: BuildKit and pod give it to every image that has no PATH, buildah to none (DIFFERENCES)."""
UNDECIDED = {
    "path": "a stage FROM scratch has PATH in its environment; buildah's has none",
    "mount-places": "RUN leaves no folders where something was mounted; buildah leaves /run and those of mounts",
    "no-match": "a pattern that matches nothing copies nothing; buildah fails",
    "port-range": "EXPOSE of a range names each port; buildah writes the range",
    "volume-folder": "VOLUME makes no folder in the image; buildah makes it at once",
    "clean-workdir": "WORKDIR has no double slashes; buildah writes them",
    "exclude": "--exclude is held against the paths below the source; buildah holds it against those of the context",
}
"""From buildah, where Docker's reference says nothing: what BuildKit does, which is what Docker's users get.

PATH and /run, of the first two, are not compared."""
DECIDED = {
    "strict": "what an instruction's syntax does not have is refused (CMD without words, ports that are none, a flag "
    "twice, several sources and a destination that does not \"end with a slash\"); buildah takes it",
    "heredoc": "\"Regular here-doc rules apply\": a backslash escapes, without lines the file is empty; buildah keeps "
    "backslashes and writes a line",
    "shebang": "\"shebang header can be used to define an interpreter\": also with an argument; buildah fails",
    "cmd-shell": "\"RUN, CMD and ENTRYPOINT can be affected by SHELL\": buildah's CMD has /bin/sh",
    "escape": "\"escape sets the character used to escape\": a backslash is like others then; buildah drops it",
    "inherited-arg": "stages that stand on another inherit its ARGs; buildah's do not",
    "set-id": "\"File permissions are preserved\": buildah drops the set-id bits of what COPY takes",
    "target-link": "\"--link\" alone does not follow links in the destination; buildah replaces the link without it",
    "tar-chown": "\"--chown sets ownership of copied files\", for ADD too; with buildah an archive's files keep theirs",
    "git-folder": "\"excluding the .git directory by default\": buildah keeps it",
    "ignored-mount": "what .dockerignore names is not in the context; buildah's RUN --mount sees it",
}
"""From buildah, which does something else than Docker's reference says."""
DIFFERENCES = {**UNDECIDED, **DECIDED}


class Case:
    """One Dockerfile. ``reason`` is empty where buildah says what is expected; ``differs`` names one of DIFFERENCES."""

    __slots__ = ("bases", "differs", "errors", "flags", "group", "ignore", "name", "reason", "text")

    def __init__(self, group: str, name: str) -> None:
        self.group, self.name = group, name
        self.flags: list[str] = []
        self.errors: list[str] = []
        self.bases: list[str] = []
        self.ignore: list[str] = []
        self.reason = ""
        self.differs = ""
        self.text = ""

    def __repr__(self) -> str:
        return f"{self.group}/{self.name}"

    def argv(self, values: dict[str, str]) -> list[str]:
        return [_filled(word, values) for word in self.flags]

    def write(self, folder: Path, values: dict[str, str]) -> Path:
        """The Dockerfile below ``folder``, with its ignore file."""
        path = folder / self.name
        path.write_text(_filled(self.text, values))
        if self.ignore:
            path.with_name(f"{self.name}.dockerignore").write_text("\n".join(self.ignore) + "\n")
        return path


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def groups() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read(group: str) -> tuple[list[Case], dict[str, Case]]:
    """The cases of a group and the images that they stand on."""
    cases: list[Case] = []
    bases: dict[str, Case] = {}
    with open(FOLDER / f"{group}.txt", newline="") as file:
        parts = file.read().split("==== ")
    for part in parts[1:]:
        head, _, rest = part.partition("\n")
        case = Case(group, head.strip().lstrip("&"))
        while rest[:2] in ("$ ", "! ", "& ", "- ", "@ "):
            line, _, rest = rest.partition("\n")
            _note(case, line[0], line[2:])
        case.text = rest
        if head.startswith("&"):
            bases[case.name] = case
        else:
            cases.append(case)
    return cases, bases


def _note(case: Case, kind: str, text: str) -> None:
    if kind == "$":
        case.flags += shlex.split(text)
    elif kind == "!":
        case.errors.append(text)
    elif kind == "&":
        case.bases.append(text)
    elif kind == "-":
        case.ignore.append(text)
    else:
        word, _, case.reason = text.partition(" ")
        assert word in ("reference", "differs"), text
        assert case.reason, text
        case.differs = case.reason if word == "differs" else ""


def expected(group: str) -> dict[str, Any]:
    path = FOLDER / f"{group}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def store(group: str, found: dict[str, Any], folder: Path) -> None:
    """Writes what is expected: a line for each path."""
    (folder / f"{group}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


# ---- what came out


class Base:
    """The image that most cases stand on: its tree is left out of what is written down."""

    def __init__(self, layers: Iterable[bytes]) -> None:
        self.tree = _without_time(trees.flatten(layers))

    def result(self, path: Path) -> dict[str, Any]:
        """What an archive of an image has, as the expectations are written."""
        stored = Stored(path)
        return {"tree": self._listing(stored), "config": _config(stored.config)}

    def _listing(self, stored: Stored) -> list[str]:
        tree = _without_time(stored.tree())
        known = _short_contents(stored.layers)
        found = [
            _line(name, node, known)
            for name, node in sorted(tree.items())
            if name not in _ENGINES and self.tree.get(name) != node
        ]
        found = [line for line in found if line != _RUN_FOLDER]
        if "bin/busybox" in tree or "bin/sh" in tree:
            return [*(f"gone {name}" for name in sorted(self.tree.keys() - tree.keys() - _ENGINES)), *found]
        return found


def _without_time(tree: Tree) -> Tree:
    return {name: node._replace(seconds=0) for name, node in tree.items()}


def _short_contents(layers: Iterable[bytes]) -> dict[str, str]:
    known = {}
    for data in layers:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for one in tar:
                file = tar.extractfile(one) if one.isreg() and one.size <= _MOST_SHOWN else None
                if file is not None:
                    content = file.read()
                    said = f"{len(content)} {hashlib.sha256(content).hexdigest()[:16]}"
                    known[said] = repr(content)[1:]
    return known


_KINDS = {"0": "file", "1": "file", "2": "link", "3": "char", "4": "block", "5": "dir", "6": "fifo"}


def _line(name: str, node: trees.Node, known: dict[str, str]) -> str:
    parts = [_KINDS[node.kind], f"{node.mode:o}", f"{node.owner[0]}:{node.owner[1]}", "/" + name]
    if node.said:
        parts.append(known.get(node.said, node.said))
    parts += [f"{key}={value}" for key, value in node.xattrs]
    parts += [f"= /{other}" for other in node.names if other != name]
    return " ".join(parts)


def _config(document: dict[str, Any]) -> dict[str, Any]:
    """Members that mean something; what differs by machine as words."""
    config = document.get("config") or {}
    found = {name: value for name, value in config.items() if value not in (None, "", [], {}, False)}
    for name in ("Hostname", "Image", "Domainname", "Container"):
        found.pop(name, None)
    env = [entry for entry in config.get("Env") or [] if entry != SEARCH]
    found.pop("Env", None)
    if env:
        found["Env"] = env
    if found.get("WorkingDir") == "/":
        del found["WorkingDir"]
    if document.get("author"):
        found["author"] = document["author"]
    if document.get("architecture") != machine():
        found["architecture"] = document.get("architecture")
    return found


def machine() -> str:
    """As images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


# ---- what goes in


def context(place: Path) -> dict[str, str]:
    """Two contexts, a secret and the values for a case's placeholders; modes and times are the same everywhere."""
    first, second, served = place / "context", place / "second", place / "served"
    for folder in (first, second, served):
        folder.mkdir()
    _fill(first)
    _write(second / "a", "second a\n")
    _write(second / "only", "only\n")
    _write(second / "dir/x", "second x\n", 0o600)
    _write(place / "secret", "hidden\n", 0o644)
    _archives(first / "tars", served)
    _write(served / "plain.txt", "from the web\n")
    _repository(place / "work", served / "repo.git")
    for folder in (first, second, served):
        for parent, _, files in os.walk(folder, topdown=False):
            for name in (*files, "."):
                os.utime(os.path.join(parent, name), (TIME, TIME), follow_symlinks=False)
    return {"context": str(first), "second": str(second), "secret": str(place / "secret"), "machine": machine(),
            "platform": f"linux/{machine()}"}  # fmt: skip


def _fill(top: Path) -> None:
    for name, text, mode in (
        ("a", "a\n", 0o644), ("b", "b\n", 0o600), ("run.sh", "#!/bin/sh\necho run\n", 0o755), ("suid", "s\n", 0o4755),
        ("empty", "", 0o644), (".hidden", "h\n", 0o644), ("with blank", "blank\n", 0o644), ("a[b", "bracket\n", 0o644),
        ("a*b", "star\n", 0o644), ("a.txt", "at\n", 0o644), ("b.txt", "bt\n", 0o640), ("c.md", "cm\n", 0o644),
        ("dir/x", "x\n", 0o644), ("dir/y.txt", "y\n", 0o664), ("dir/sub/z", "z\n", 0o600),
        ("dir/sub/z.txt", "zt\n", 0o644), ("dir/sub/deep/w", "w\n", 0o644), ("dir2/x", "x2\n", 0o644),
        ("dir2/sub/v.txt", "v\n", 0o644), ("$dollar", "dollar\n", 0o644), ("ü", "umlaut\n", 0o644),
        ("node_modules/m/i.js", "js\n", 0o644),
        ("src/main.c", "main\n", 0o644), ("src/main.o", "obj\n", 0o644), ("src/lib/l.c", "l\n", 0o644),
        ("src/lib/l.o", "lo\n", 0o644), ("README.md", "readme\n", 0o644), ("docs/README.md", "docs\n", 0o644),
        ("docs/keep.md", "keep\n", 0o644),
    ):  # fmt: skip
        _write(top / name, text, mode)
    (top / "emptydir").mkdir()
    (top / "dir" / "sticky").mkdir()
    os.symlink("a", top / "link")
    os.symlink("dir", top / "dirlink")
    os.symlink("nowhere", top / "broken")
    os.symlink("sub/z", top / "dir" / "inner")
    os.link(top / "dir" / "x", top / "dir" / "hard")
    for folder, mode in (("emptydir", 0o755), ("dir/sticky", 0o1777), ("dir/sub", 0o750)):
        (top / folder).chmod(mode)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    missing = [one for one in path.parents if not one.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for one in missing:
        one.chmod(0o755)
    path.write_text(text)
    path.chmod(mode)


def _archives(folder: Path, served: Path) -> None:
    """One archive with everything, as each compression has it."""
    folder.mkdir(mode=0o755)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, mode, owner, said in (
            ("t", tarfile.DIRTYPE, 0o750, (3, 4), ""), ("t/file", tarfile.REGTYPE, 0o640, (5, 6), "in tar\n"),
            ("t/suid", tarfile.REGTYPE, 0o4711, (0, 0), "suid\n"), ("t/link", tarfile.SYMTYPE, 0o777, (7, 8), "file"),
            ("t/hard", tarfile.LNKTYPE, 0o640, (5, 6), "t/file"), ("t/fifo", tarfile.FIFOTYPE, 0o600, (0, 9), ""),
        ):  # fmt: skip
            one = tarfile.TarInfo(name)
            one.type, one.mode, (one.uid, one.gid), one.mtime = kind, mode, owner, TIME
            data = said.encode() if kind == tarfile.REGTYPE else b""
            one.size, one.linkname = len(data), said if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            if name == "t/file":
                one.pax_headers = {"SCHILY.xattr.user.colour": "blue"}
            tar.addfile(one, io.BytesIO(data))
    plain = out.getvalue()
    packed = {"tar": plain, "tar.gz": gzip.compress(plain, mtime=0), "tar.bz2": bz2.compress(plain),
              "tar.xz": lzma.compress(plain)}  # fmt: skip
    for ending, data in packed.items():
        (folder / f"t.{ending}").write_bytes(data)
    (folder / "t.tar.zst").write_bytes(_zstd(plain))
    (folder / "no-ending").write_bytes(packed["tar.gz"])
    (folder / "just.gz").write_bytes(gzip.compress(b"not a tar\n", mtime=0))
    (served / "t.tar.gz").write_bytes(packed["tar.gz"])
    for path in (*folder.iterdir(), *served.iterdir()):
        path.chmod(0o644)


def _zstd(data: bytes) -> bytes:
    """A frame of one block that is not compressed (RFC 8878)."""
    assert len(data) < 1 << 17
    return bytes.fromhex("28b52ffd0058") + (len(data) << 3 | 1).to_bytes(3, "little") + data


def _repository(work: Path, bare: Path) -> None:
    """A repository with a branch, a tag and a folder."""
    stamp = f"{TIME} +0000"
    environ = {
        "HOME": str(work), "PATH": tools.SEARCH, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp,
    }  # fmt: skip
    names = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]

    def git(*words: str, cwd: Path = work) -> None:
        tools.call(["git", *names, *words], cwd=cwd, environ=environ)

    _write(work / "f", "in git\n")
    _write(work / "sub/g", "g\n", 0o755)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "first")
    git("tag", "v1")
    _write(work / "f", "later\n")
    git("commit", "-qam", "second")
    tools.call(["git", "clone", "-q", "--bare", str(work), str(bare)], environ=environ)


class _Web(SimpleHTTPRequestHandler):
    """Files, and the repository by git's own program."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said."""

    def do_GET(self) -> None:
        if self.path.startswith("/repo.git"):
            self._git(b"")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self._git(self.rfile.read(int(self.headers["Content-Length"])))

    def _git(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environ = {
            "PATH": tools.SEARCH, "GIT_PROJECT_ROOT": self.directory, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_ADDR": "127.0.0.1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "HOME": self.directory,
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def serving(place: Path) -> Iterator[str]:
    """The address of a server of what is in ``place``/served."""
    handler: Callable[..., Any] = functools.partial(_Web, directory=str(place / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
