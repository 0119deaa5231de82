"""The embedded image pod.local/busybox: Debian's busybox-static as an OCI layout, one for each architecture.

    packaging/pod/_images/<machine>/{oci-layout,index.json,blobs/sha256/<hex>}      image-spec image-layout.md

One gzip layer: /bin/busybox, a symbolic link for each of its applets, and the few files and folders that programs
expect. The bytes depend on the package and on this file only.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import sysroot

NAME = "pod.local/busybox:latest"
PACKAGE = "busybox-static"
GO_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

FOLDERS = (
    ("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("proc", 0o755), ("root", 0o700), ("sys", 0o755),
    ("tmp", 0o1777), ("usr", 0o755), ("usr/bin", 0o755), ("usr/sbin", 0o755), ("usr/share", 0o755),
    ("usr/share/doc", 0o755), ("usr/share/doc/busybox-static", 0o755), ("var", 0o755), ("var/spool", 0o755),
    ("var/spool/mail", 0o755), ("var/tmp", 0o1777), ("run", 0o755), ("sbin", 0o755),
)  # fmt: skip

FILES = (
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
                   "www-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n"),
    ("etc/group", "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
)  # fmt: skip


def build(packages: sysroot.Packages, host_machine: str, target: Path) -> None:
    """Writes the layouts of both machines below ``target``; the applet list is asked of the host's own binary."""
    trees = {machine: packages.unpack([PACKAGE], machine) for machine in sysroot.DEBIAN}
    if host_machine not in trees:
        raise sysroot.PackageError(f"build the embedded image: {host_machine}: only x86_64 and aarch64 can run busybox")
    listing = subprocess.run([binary(trees[host_machine]), "--list"], capture_output=True, text=True, check=True)
    applets = sorted(set(listing.stdout.split()) - {"busybox"})
    for machine, tree in trees.items():
        folder = target / machine
        shutil.rmtree(folder, ignore_errors=True)
        write_layout(folder, machine, tree, applets, packages.version(PACKAGE, machine))


def binary(tree: Path) -> Path:
    """busybox inside an unpacked package: /bin until Debian 12, /usr/bin since."""
    found = [path for path in (tree / "bin/busybox", tree / "usr/bin/busybox") if path.is_file()]
    return found[0]


def write_layout(folder: Path, machine: str, tree: Path, applets: list[str], version: str) -> None:
    """One OCI image layout."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    when = int(binary(tree).stat().st_mtime)
    plain = layer(tree, applets, when)
    packed = gzip.compress(plain, 9, mtime=0)
    layer_digest = put(blobs, packed)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
    config = {
        "created": created,
        "architecture": GO_ARCHITECTURE[machine],
        "os": "linux",
        "config": {
            "Env": [PATH],
            "Cmd": ["sh"],
            "Labels": {
                "org.opencontainers.image.title": "busybox",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "GPL-2.0-only",
                "org.opencontainers.image.description": "Debian's busybox-static; source package: busybox",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
        "history": [{"created": created, "created_by": f"Debian {PACKAGE} {version}"}],
    }
    config_data = document(config)
    config_digest = put(blobs, config_data)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config_digest, config_data),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer_digest, packed)],
    }
    manifest_data = document(manifest)
    entry = descriptor(manifest["mediaType"], put(blobs, manifest_data), manifest_data)
    entry["platform"] = {"architecture": GO_ARCHITECTURE[machine], "os": "linux"}
    entry["annotations"] = {"org.opencontainers.image.ref.name": NAME}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    (folder / "index.json").write_bytes(document(index))
    (folder / "oci-layout").write_bytes(document({"imageLayoutVersion": "1.0.0"}))


def layer(tree: Path, applets: list[str], when: int) -> bytes:
    """The uncompressed tar of the one layer, entries in a fixed order, all of root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:

        def add(name: str, kind: bytes, mode: int, *, data: bytes = b"", link: str = "") -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.mtime, entry.linkname = kind, mode, len(data), when, link
            entry.uname = entry.gname = "root"
            tar.addfile(entry, io.BytesIO(data))

        for name, mode in FOLDERS:
            add(name, tarfile.DIRTYPE, mode)
        add("bin/busybox", tarfile.REGTYPE, 0o755, data=binary(tree).read_bytes())
        for applet in applets:
            add(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
        for name, text in FILES:
            add(name, tarfile.REGTYPE, 0o644, data=text.encode())
        notice = (tree / "usr/share/doc/busybox-static/copyright").read_bytes()
        add("usr/share/doc/busybox-static/copyright", tarfile.REGTYPE, 0o644, data=notice)
    return buffer.getvalue()


def put(blobs: Path, data: bytes) -> str:
    """Stores a blob; returns its digest."""
    name = hashlib.sha256(data).hexdigest()
    (blobs / name).write_bytes(data)
    return "sha256:" + name


def descriptor(media_type: str, digest: str, data: bytes) -> dict[str, object]:
    """image-spec descriptor.md."""
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def document(value: object) -> bytes:
    """JSON with a fixed layout."""
    return json.dumps(value, indent=2).encode() + b"\n"
