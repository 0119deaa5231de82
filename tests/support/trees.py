"""Trees out of archives, read by Python's tarfile and carried out by the few lines here: no code of pod's takes part.

A tree is ``{path: Node}``, without the root itself. Owners and devices are in the archives, whoever reads them.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support import tools

_XATTR = "SCHILY.xattr."
_OPAQUE = ".wh..wh..opq"


class Node(NamedTuple):
    """``kind``: one of tarfile's types, hard links being files; ``said``: a digest of the content with its size, the
    target of a link, "major,minor"; ``xattrs``: (name, value in hex); ``names``: all of a file with several.
    """

    kind: str
    mode: int
    owner: tuple[int, int]
    seconds: int
    said: str
    xattrs: tuple[tuple[str, str], ...]
    names: tuple[str, ...] = ()


Tree = dict[str, Node]


class _Inode:
    """What hard links share."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node


def flatten(layers: Iterable[bytes]) -> Tree:
    """What the layers (archives, plain or gzip; base first) make together: image-spec layer.md, "Applying"."""
    found: dict[str, _Inode] = {}
    for data in layers:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = [(posixpath.normpath("/" + one.name)[1:], one) for one in tar]
            for path, _ in members:
                folder, name = posixpath.split(path)
                if name == _OPAQUE:
                    _remove_below(found, folder)
                elif name.startswith(".wh."):
                    gone = posixpath.join(folder, name[4:])
                    _remove_below(found, gone)
                    found.pop(gone, None)
            for path, one in members:
                if path and not posixpath.basename(path).startswith(".wh."):
                    _add(found, path, one, tar)
    names: dict[int, list[str]] = {}
    for path, inode in found.items():
        names.setdefault(id(inode), []).append(path)
    shared = {key: tuple(sorted(paths)) for key, paths in names.items() if len(paths) > 1}
    return {path: inode.node._replace(names=shared.get(id(inode), ())) for path, inode in found.items()}


def _remove_below(found: dict[str, _Inode], folder: str) -> None:
    for path in [path for path in found if path.startswith(f"{folder}/")]:
        del found[path]


def _add(found: dict[str, _Inode], path: str, one: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
    if one.islnk():
        found[path] = found[posixpath.normpath("/" + one.linkname)[1:]]
        return
    if not one.isdir():
        _remove_below(found, path)
    found[path] = _Inode(_node(one, tar))


def _node(one: tarfile.TarInfo, tar: tarfile.TarFile) -> Node:
    kind, mode = one.type.decode(), one.mode & 0o7777
    said = ""
    if one.isreg():
        file = tar.extractfile(one)
        assert file is not None
        data = file.read()
        kind, said = "0", f"{len(data)} {hashlib.sha256(data).hexdigest()[:16]}"
    elif one.issym():
        mode, said = 0o777, one.linkname
    elif one.ischr() or one.isblk():
        said = f"{one.devmajor},{one.devminor}"
    xattrs = {
        key[len(_XATTR) :]: value.encode("utf-8", "surrogateescape").hex()
        for key, value in one.pax_headers.items()
        if key.startswith(_XATTR)
    }
    return Node(kind, mode, (one.uid, one.gid), int(one.mtime), said, tuple(sorted(xattrs.items())))


# ---- images: a folder or an archive, as tools write them


class Stored:
    """An OCI layout, a docker-archive or a folder of skopeo's ``dir:``; as a folder or a tar of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        names = self._names()
        if "manifest.json" in names and "oci-layout" not in names:
            document = json.loads(self._read("manifest.json"))
            self.layers, self.config = self._of_docker(document) if isinstance(document, list) else self._of(document)
        else:
            (entry,) = json.loads(self._read("index.json"))["manifests"]
            manifest = json.loads(self._blob(entry["digest"]))
            if "manifests" in manifest:
                manifest = json.loads(self._blob(manifest["manifests"][0]["digest"]))
            self.layers, self.config = self._of(manifest)

    def tree(self) -> Tree:
        return flatten(self.layers)

    def diff_ids(self) -> list[str]:
        """As the configuration has them."""
        found: list[str] = self.config["rootfs"]["diff_ids"]
        return found

    def _of(self, manifest: Mapping[str, Any]) -> tuple[list[bytes], dict[str, Any]]:
        layers = [self._blob(entry["digest"]) for entry in manifest["layers"]]
        return layers, json.loads(self._blob(manifest["config"]["digest"]))

    def _of_docker(self, document: list[dict[str, Any]]) -> tuple[list[bytes], dict[str, Any]]:
        (item,) = document
        return [self._read(name) for name in item["Layers"]], json.loads(self._read(item["Config"]))

    def _names(self) -> set[str]:
        if self._path.is_dir():
            return {one.name for one in self._path.iterdir()}
        with tarfile.open(self._path) as tar:
            return {posixpath.normpath(name) for name in tar.getnames()}

    def _blob(self, digest: str) -> bytes:
        algorithm, _, value = digest.partition(":")
        flat = self._path.is_dir() and not (self._path / "blobs").exists()
        data = self._read(value if flat else f"blobs/{algorithm}/{value}")
        assert hashlib.sha256(data).hexdigest() == value
        return data

    def _read(self, name: str) -> bytes:
        if self._path.is_dir():
            return (self._path / name).read_bytes()
        with tarfile.open(self._path) as tar:
            one = next(one for one in tar if posixpath.normpath(one.name) == name)
            file = tar.extractfile(one)
            assert file is not None
            return file.read()


def different(ours: Tree, theirs: Tree, ignored: Iterable[str] = ()) -> dict[str, tuple[Node | None, Node | None]]:
    """Paths that are not the same in both, but for those ``ignored``."""
    paths = (ours.keys() | theirs.keys()) - set(ignored)
    return {path: (ours.get(path), theirs.get(path)) for path in sorted(paths) if ours.get(path) != theirs.get(path)}


def without_devices(tree: Tree) -> Tree:
    """The same, as tools have it that cannot make devices in a user namespace."""
    return {path: node for path, node in tree.items() if node.kind not in "34"}


class Others:
    """podman, buildah and skopeo with a storage (by the vfs driver) and settings of their own below ``place``."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.environ = {
            "PATH": tools.SEARCH, "HOME": str(place), "TMPDIR": str(place), "XDG_RUNTIME_DIR": str(place),
            "LANG": "C.UTF-8",
        }  # fmt: skip
        self._storage = ["--root", str(place / "root"), "--runroot", str(place / "run"), "--storage-driver", "vfs"]

    def podman(self, *arguments: str) -> str:
        return self._call("podman", *self._storage, "--log-level", "error", *arguments)

    def buildah(self, *arguments: str) -> str:
        return self._call("buildah", *self._storage, "--log-level", "error", *arguments)

    def skopeo(self, source: str, target: str, *options: str) -> None:
        self._call("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
                   *options, source, target)  # fmt: skip

    def umoci(self, *arguments: str) -> str:
        return self._call("umoci", *arguments)

    def _call(self, program: str, *arguments: str) -> str:
        return tools.call([program, *arguments], environ=self.environ, cwd=self.place)
