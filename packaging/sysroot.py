"""Debian packages without root: downloaded for any architecture and unpacked side by side.

``apt-get download`` under a private APT_CONFIG (own lists, own empty dpkg status, the host's Debian sources and keys)
and ``dpkg -x``. Nothing is installed, and ``dpkg --add-architecture`` is not needed. apt.conf(5), apt-get(8).
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
"""Machine, as uname(2) names it, to Debian's architecture."""


_Method = TypeVar("_Method", bound="Callable[..., Any]")


class PackageError(Exception):
    """apt or dpkg could not give what the build needs; the text is one line for people."""


def _one_at_a_time(method: _Method) -> _Method:
    """A method of Packages that one thread is in: the others wait."""

    @functools.wraps(method)
    def alone(packages: Packages, *arguments: Any) -> Any:
        with packages.lock:
            return method(packages, *arguments)

    return cast("_Method", alone)


class Packages:
    """A private apt below ``folder``: lists, downloaded files and unpacked trees; one thread at a time gets some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "apt.conf"
        self._updated = False
        self._fresh = False
        self.lock = threading.RLock()

    @_one_at_a_time
    def unpack(self, names: list[str], machine: str) -> Path:
        """A tree with the content of the named packages for ``machine``; those of an earlier call stay in it."""
        tree = self.folder / "root" / machine
        tree.mkdir(parents=True, exist_ok=True)
        for name in names:
            stamp = self.folder / "done" / machine / name
            if stamp.exists():
                continue
            package = self._download(name, machine)
            self._run(["dpkg", "-x", str(package), str(tree)])
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.write_text(package.name + "\n", "utf-8")
        return tree

    @_one_at_a_time
    def source(self, name: str) -> Path:
        """The upstream tree of the Debian source package ``name``, without Debian's patches; apt has checked it."""
        tree = self.folder / "source" / name
        if (tree / ".complete").exists():
            return tree
        self._update()
        downloads = self.folder / "sources"
        downloads.mkdir(parents=True, exist_ok=True)
        self._get(["apt-get", "--quiet=2", "source", "--download-only", name], downloads)
        upstream = sorted(downloads.glob(f"{name}_*.orig.tar.*"))
        if not upstream:
            raise PackageError(f"apt-get source {name}: brought no upstream archive")
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        unpack_upstream(upstream[-1], tree)
        (tree / ".complete").touch()
        return tree

    def version(self, name: str, machine: str) -> str:
        """Version of an unpacked package, from its file's name (name_version_architecture.deb)."""
        stamp = self.folder / "done" / machine / name
        return stamp.read_text("utf-8").split("_")[1].replace("%3a", ":")

    @_one_at_a_time
    def python_headers(self) -> str:
        """The versioned package behind libpython3-dev, for example libpython3.11-dev."""
        remembered = self.folder / "python-headers"
        if not remembered.exists():
            self._update()
            text = self._run(["apt-cache", "show", "--no-all-versions", "libpython3-dev"])
            depends = next((line for line in text.splitlines() if line.startswith("Depends:")), "")
            names = [one.split()[0] for one in depends.removeprefix("Depends:").split(",")]
            found = [name for name in names if name.startswith("libpython3.") and name.endswith("-dev")]
            if not found:
                raise PackageError("find Python's headers: libpython3-dev: depends on no libpython3.X-dev")
            remembered.write_text(found[0], "utf-8")
        return remembered.read_text("utf-8")

    def _download(self, name: str, machine: str) -> Path:
        self._update()
        target = self.folder / "debs" / machine
        target.mkdir(parents=True, exist_ok=True)
        for old in target.glob(f"{name}_*.deb"):
            old.unlink()
        self._get(["apt-get", "--quiet=2", "download", f"{name}:{DEBIAN[machine]}"], target)
        return next(target.glob(f"{name}_*.deb"))

    def _get(self, command: list[str], target: Path) -> None:
        """Runs apt-get in the folder ``target``; once more with new lists where those are of another day."""
        try:
            self._run(command, cwd=target)
        except PackageError:
            if self._fresh:
                raise
            self._run(["apt-get", "--quiet=2", "update"])
            self._fresh = True
            self._run(command, cwd=target)

    def _update(self) -> None:
        if self._updated:
            return
        for program in ("apt-get", "apt-cache", "dpkg"):
            if shutil.which(program) is None:
                raise PackageError(f"get Debian packages: {program}: not found; pod.pyz is built on Debian and its kin")
        self._configure()
        if not (self.folder / "state/lists/.done").exists():
            self._run(["apt-get", "--quiet=2", "update"])
            (self.folder / "state/lists/.done").touch()
            self._fresh = True
        self._updated = True

    def _configure(self) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "sources.d", "preferences.d"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        write_sources(self.folder / "sources.list", self.folder / "sources.d")
        architectures = " ".join(f'"{name}";' for name in DEBIAN.values())
        native = DEBIAN.get(os.uname().machine, "amd64")
        lines = [
            f'APT::Architecture "{native}";',
            f"APT::Architectures {{ {architectures} }};",
            'APT::Sandbox::User "";',
            "APT::Update::Post-Invoke { };",
            f'Dir::State "{self.folder}/state";',
            f'Dir::State::status "{self.folder}/status";',
            f'Dir::Cache "{self.folder}/cache";',
            f'Dir::Etc::sourcelist "{self.folder}/sources.list";',
            f'Dir::Etc::sourceparts "{self.folder}/sources.d";',
            f'Dir::Etc::preferencesparts "{self.folder}/preferences.d";',
            'Acquire::Languages "none";',
            'Acquire::Retries "3";',
        ]
        self.config.write_text("\n".join(lines) + "\n", "utf-8")

    def _run(self, command: list[str], cwd: Path | None = None) -> str:
        environ = {**os.environ, "APT_CONFIG": str(self.config), "LC_ALL": "C"}
        done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise PackageError(f"{' '.join(command[:3])}: {words[-1] if words else f'status {done.returncode}'}")
        return done.stdout


def unpack_upstream(archive: Path, tree: Path) -> None:
    """Regular files of a source archive, without its first folder. By Python: a bare machine has no xz for tar."""
    with tarfile.open(archive) as source:
        for member in source:
            parts = Path(member.name).parts[1:]
            content = source.extractfile(member) if member.isfile() and parts and ".." not in parts else None
            if content is not None:
                target = tree.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


def write_sources(one_line: Path, parts: Path) -> None:
    """The host's sources that are Debian's (an URI with "/debian"), so that no third party's server is asked.

    Of packages and of their sources, whichever of them the host names itself.
    """
    etc = Path("/etc/apt")
    listed = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    lines = [line for path in listed if path.is_file() for line in path.read_text("utf-8").splitlines()]
    chosen = [line for line in lines if line.startswith("deb ") and "/debian" in line]
    sources = [line.replace("deb ", "deb-src ", 1) for line in chosen]
    one_line.write_text("".join(f"{line}\n" for line in chosen + sources), "utf-8")
    stanzas = []
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in path.read_text("utf-8").split("\n\n"):
            if "/debian" in stanza:
                lines = stanza.strip().splitlines()
                stanzas.append("\n".join("Types: deb deb-src" if line.startswith("Types:") else line for line in lines))
    (parts / "debian.sources").write_text("\n\n".join(stanza.strip() for stanza in stanzas) + "\n", "utf-8")
    if not chosen and not stanzas:
        raise PackageError("get Debian packages: /etc/apt: names no Debian archive")
