"""Layer archives made for tests, written by Python's tarfile and GNU tar (so not by the code that reads them)."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests.support import tools

EPOCH = 1_700_000_000
"""mtime of every entry: archives of one recipe are the same bytes each time."""

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nweb:x:1000:1000:web:/srv:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\nweb:x:1000:\nstaff:x:50:web\naudio:x:29:\n"
CAP_NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")
"""vfs_cap_data of revision 2, effective and permitted cap_net_raw: linux/capability.h"""


class Layer:
    """Writes one layer. Owners are 0:0 unless told."""

    def __init__(self, path: Path, *, format: int = tarfile.PAX_FORMAT) -> None:
        self._tar = tarfile.open(path, "w", format=format)  # noqa: SIM115

    def __enter__(self) -> Layer:
        return self

    def __exit__(self, *ignored: object) -> None:
        self._tar.close()

    def add(
        self,
        name: str,
        content: bytes | None = None,
        *,
        kind: bytes = tarfile.REGTYPE,
        mode: int = 0o644,
        link: str = "",
        owner: tuple[int, int] = (0, 0),
        device: tuple[int, int] = (0, 0),
        pax: dict[str, str] | None = None,
    ) -> None:
        """Appends one entry; ``kind`` is one of tarfile's types."""
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.linkname, entry.mtime = kind, mode, link, EPOCH
        entry.uid, entry.gid = owner
        entry.devmajor, entry.devminor = device
        entry.pax_headers = pax or {}
        if content is not None:
            entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content) if content is not None else None)

    def folder(self, name: str, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> None:
        self.add(name, kind=tarfile.DIRTYPE, mode=mode, owner=owner)

    def symlink(self, name: str, target: str) -> None:
        self.add(name, kind=tarfile.SYMTYPE, mode=0o777, link=target)

    def hardlink(self, name: str, target: str) -> None:
        self.add(name, kind=tarfile.LNKTYPE, link=target)

    def whiteout(self, folder: str, name: str) -> None:
        self.add(f"{folder}/.wh.{name}", b"", mode=0)

    def opaque(self, folder: str) -> None:
        self.add(f"{folder}/.wh..wh..opq", b"", mode=0)


def busybox(path: Path, only: tuple[str, ...] = ()) -> None:
    """The root file system of a small image: static busybox, its applets (or ONLY these) as links, some users."""
    program = tools.find("busybox")
    if program is None:
        raise tools.CommandFailed("busybox: not installed (Debian: busybox-static)")
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True, timeout=20)
    applets = set(only or listed.stdout.split()) - {"busybox"}
    with Layer(path) as layer:
        for folder in ("bin", "etc", "home", "var", "var/log", "usr", "usr/bin", "srv", "dev", "proc", "sys"):
            layer.folder(folder)
        layer.folder("root", 0o700)
        layer.folder("tmp", 0o1777)
        layer.folder("home/web", 0o755, (1000, 1000))
        layer.add("bin/busybox", Path(program).read_bytes(), mode=0o755)
        for applet in sorted(applets):
            layer.symlink(f"bin/{applet}", "busybox")
        layer.symlink("usr/bin/env", "../../bin/busybox")
        layer.add("etc/passwd", PASSWD.encode())
        layer.add("etc/group", GROUP.encode())
        layer.add("etc/not-executable", b"#!/bin/sh\necho never\n", mode=0o644)
        layer.add("etc/bad-format", b"\x00\x01\x02 neither a program nor a script", mode=0o755)


def odd_base(path: Path) -> None:
    """One layer of :func:`odd_entries`."""
    with Layer(path) as layer:
        odd_entries(layer)


def odd_entries(layer: Layer) -> None:
    """What layers above change, and what tar formats find hard."""
    layer.folder("data")
    for name in ("a", "b", "c"):
        layer.add(f"data/{name}", name.encode() * 10)
    layer.hardlink("data/a-again", "data/a")
    layer.folder("data/dir")
    layer.add("data/dir/x", b"x")
    layer.add("data/dir/y", b"y")
    layer.folder("data/becomes-file")
    layer.add("data/becomes-file/inner", b"inner")
    layer.add("data/becomes-folder", b"a file below")
    layer.folder("opaque")
    layer.add("opaque/old-1", b"1")
    layer.add("opaque/old-2", b"2")
    layer.add("data/owned", b"web's", mode=0o640, owner=(1000, 50))
    layer.add("data/setuid", b"#!/bin/sh\n", mode=0o4755)
    layer.add("data/xattr", b"x", pax={"SCHILY.xattr.user.colour": "blue"})
    capability = CAP_NET_RAW.decode("utf-8", "surrogateescape")
    layer.add("data/capable", b"x", mode=0o755, pax={"SCHILY.xattr.security.capability": capability})
    layer.add("data/fifo", kind=tarfile.FIFOTYPE, mode=0o600)
    layer.add("data/device", kind=tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    layer.folder("data/read-only", 0o555)
    layer.add("data/read-only/kept", b"kept", mode=0o444)
    layer.add("data/" + "n" * 200, b"long name")
    layer.add("data/" + "/".join(["deep"] * 40) + "/end", b"deep")
    layer.add("data/grüße-☃", b"utf-8")
    layer.symlink("data/absolute", "/data/a")
    layer.symlink("data/up", "../../../../data/b")
    layer.symlink("data/dangling", "nowhere")


def odd_changes(path: Path) -> None:
    """Whiteouts, an opaque folder, changes of kind, a hard link made twice; in GNU format."""
    with Layer(path, format=tarfile.GNU_FORMAT) as layer:
        layer.whiteout("data", "b")
        layer.whiteout("data", "dir")
        layer.add("data/c", b"changed")
        layer.whiteout("data", "becomes-file")
        layer.add("data/becomes-file", b"now a file")
        layer.whiteout("data", "becomes-folder")
        layer.folder("data/becomes-folder")
        layer.add("data/becomes-folder/inner", b"now a folder")
        layer.folder("opaque")
        layer.opaque("opaque")
        layer.add("opaque/new", b"new")
        layer.add("data/one", b"one file, three names")
        layer.hardlink("data/two", "data/one")
        layer.hardlink("data/three", "data/two")


def many_small(path: Path, files: int = 3000) -> None:
    """Many files of few bytes in folders of fifty."""
    with Layer(path, format=tarfile.USTAR_FORMAT) as layer:
        layer.folder("many")
        for number in range(files):
            if number % 50 == 0:
                layer.folder(f"many/{number // 50:04}")
            layer.add(f"many/{number // 50:04}/{number:06}", b"%d\n" % number)


def sparse(path: Path, scratch: Path) -> None:
    """A file of 8 MiB with two islands of data, as GNU tar writes it (PAX sparse 1.0)."""
    folder = scratch / "sparse"
    folder.mkdir()
    with (folder / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"first island")
        file.seek(5 << 20)
        file.write(b"second island")
        file.truncate(8 << 20)
    options = ["--owner=0", "--group=0", "--numeric-owner", f"--mtime=@{EPOCH}", "--sort=name"]
    tools.call(["tar", "--create", "--sparse", "--format=pax", *options, "--file", str(path), "-C", str(folder), "."])


def marker(path: Path, name: str, content: bytes) -> None:
    """One file, to tell images apart."""
    with Layer(path) as layer:
        layer.add(name, content)
