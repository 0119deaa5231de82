"""Images that mean harm: a layer above busybox's, a configuration written by hand, pushed by plain HTTP."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support import layers, tools
from tests.support.registry import Registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SEARCH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PROBE = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int result = -1;
    if (argc < 3)
        return 2;
    if (!strcmp(argv[1], "sti"))
        result = ioctl(0, TIOCSTI, "x");
    else if (!strcmp(argv[1], "umount"))
        result = umount2(argv[2], argc > 3 ? atoi(argv[3]) : 0);
    else if (!strcmp(argv[1], "remount-rw"))
        result = mount(NULL, argv[2], NULL, MS_REMOUNT | MS_BIND, NULL);
    else if (!strcmp(argv[1], "mount"))
        result = mount("probe", argv[2], argv[3], 0, NULL);
    else if (!strcmp(argv[1], "attach"))
        result = (int)ptrace(PTRACE_SEIZE, atoi(argv[2]), NULL, NULL);
    else if (!strcmp(argv[1], "write"))
        result = open(argv[2], O_WRONLY);
    else if (!strcmp(argv[1], "truncate"))
        result = open(argv[2], O_WRONLY | O_TRUNC);
    printf("%s\n", result < 0 ? strerror(errno) : "done");
    return 0;
}
"""


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def probe(scratch: Path) -> bytes:
    """A static program that tries one call and prints "done" or the reason why not."""
    source, program = scratch / "probe.c", scratch / "probe"
    source.write_text(_PROBE)
    compiler = tools.find("cc") or tools.find("gcc")
    if compiler is None:
        raise tools.CommandFailed("cc: not installed")
    subprocess.run([compiler, "-static", "-O1", "-o", str(program), str(source)], check=True, timeout=120)
    return program.read_bytes()


def _packed(part: bytes) -> bytes:
    return gzip.compress(part, 1, mtime=0)


class Craft:
    """Pushes images to a registry; ``make`` returns the reference for ``run``."""

    def __init__(
        self, registry: Registry, scratch: Path, write_base: Callable[[Path], None] = layers.busybox
    ) -> None:
        self._registry = registry
        self._scratch = scratch
        self._count = 0
        self._sent: set[str] = set()
        base = scratch / "base.tar"
        write_base(base)
        self._base = base.read_bytes()
        self._packed_base = _packed(self._base)

    @property
    def host(self) -> str:
        """Where it goes to: "127.0.0.1:PORT"."""
        return self._registry.host

    def make(
        self,
        fill: Callable[[layers.Layer], None] | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        base: bool = True,
        document: Mapping[str, Any] | None = None,
    ) -> str:
        """busybox (unless ``base`` is false), then what ``fill`` adds; ``config`` as the image says it."""
        parts = [self._base] if base else []
        if fill is not None:
            path = self._scratch / "layer.tar"
            with layers.Layer(path) as layer:
                fill(layer)
            parts.append(path.read_bytes())
        packed = [self._packed_base if part is self._base else _packed(part) for part in parts]
        configuration: dict[str, Any] = {
            "created": "2024-01-31T12:00:00Z",
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Cmd": ["sh"], "Env": [SEARCH]} if config is None else dict(config),
            "rootfs": {"type": "layers", "diff_ids": [digest(part) for part in parts]},
            **(document or {}),
        }
        raw = json.dumps(configuration).encode()
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(raw), "size": len(raw)},
            "layers": [{"mediaType": LAYER, "digest": digest(data), "size": len(data)} for data in packed],
            "annotations": {"run.oci.keep_original_groups": "1", "io.podman.annotations.privileged": "TRUE"},
        }
        for data in [*packed, raw]:
            self._blob(data)
        self._count += 1
        url = f"{self._url()}/manifests/{self._count}"
        self._send("PUT", url, json.dumps(manifest).encode(), MANIFEST)
        return f"{self._registry.host}/library/crafted:{self._count}"

    def _url(self) -> str:
        return f"http://{self._registry.host}/v2/library/crafted"

    def _blob(self, data: bytes) -> None:
        if digest(data) in self._sent:
            return
        location = self._send("POST", f"{self._url()}/blobs/uploads/", b"", "text/plain")["Location"]
        joint = "&" if "?" in location else "?"
        self._send("PUT", f"{location}{joint}digest={digest(data)}", data, "application/octet-stream")
        self._sent.add(digest(data))

    @staticmethod
    def _send(method: str, url: str, data: bytes, content_type: str) -> Mapping[str, str]:
        request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(answer.headers)


def _architecture() -> str:
    import os

    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def fifo(layer: layers.Layer, name: str) -> None:
    layer.add(name, kind=tarfile.FIFOTYPE, mode=0o666)


def text(lines: list[str]) -> bytes:
    return io.StringIO("\n".join(lines) + "\n").getvalue().encode()
