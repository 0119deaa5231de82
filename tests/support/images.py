"""Which tool writes which image into the registry: never pod's own code, and several tools.

library/busybox:latest      umoci builds an OCI layout, skopeo pushes it (OCI media types)
library/debian:12           skopeo, Docker media types (v2 schema 2)
library/debian:13           buildah, OCI media types
library/debian:11           podman import and push
library/odd:latest          umoci: whiteouts, opaque folders, hard links, sparse files, xattrs, owners; five layers
library/configured:latest   umoci: USER by name, ENTRYPOINT, CMD, VOLUME, WORKDIR, ENV, LABEL, STOPSIGNAL, EXPOSE
library/nothing:latest      umoci: neither ENTRYPOINT nor CMD
library/zstd:latest         skopeo, layers recompressed by zstd
library/services:12         skopeo: nginx and postgres out of Debian packages
library/application:12      skopeo: gunicorn with clients of postgres and redis, and redis, out of Debian packages
library/multi:latest        buildah manifest: an index of amd64 and arm64
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from tests.support import layers, places, tools
from tests.support.registry import Registry

SUITES = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
PYTHONS = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
BUILDAH_SUITE = "trixie"


class Workshop:
    """A scratch folder, the registry that is being filled, and the storage of podman and buildah."""

    def __init__(self, scratch: Path, registry: Registry) -> None:
        self.scratch = scratch
        self.registry = registry
        self.layout = scratch / "layout"
        self.policy = scratch / "policy.json"
        self.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.short_names = scratch / "registries.conf"
        self.short_names.write_text("unqualified-search-registries = []\n")

    def environ(self) -> dict[str, str]:
        """What the container tools run with: their storage lies in the workshop, nothing of the host's is read."""
        return {
            "PATH": tools.SEARCH,
            "HOME": str(self.scratch),
            "TMPDIR": str(self.scratch),
            "XDG_RUNTIME_DIR": str(self.scratch),
            "CONTAINERS_REGISTRIES_CONF": str(self.short_names),
            "LANG": "C.UTF-8",
        }

    def storage(self) -> list[str]:
        return [
            *("--root", str(self.scratch / "storage"), "--runroot", str(self.scratch / "runroot")),
            *("--storage-driver", "vfs"),
        ]

    def run(self, *argv: str, timeout: float = 400) -> str:
        return tools.call(list(argv), timeout=timeout, environ=self.environ(), cwd=self.scratch)

    def target(self, name: str) -> str:
        return "docker://" + self.registry.name(name)

    def umoci(self, tag: str, archives: list[Path], *config: str) -> None:
        """One image of the layout out of plain layer archives. umoci tags are names without a colon."""
        if not self.layout.exists():
            self.run("umoci", "init", "--layout", str(self.layout))
        image = f"{self.layout}:{tag}"
        self.run("umoci", "new", "--image", image)
        for archive in archives:
            self.run("umoci", "raw", "add-layer", "--image", image, str(archive))
        self.run("umoci", "config", "--image", image, *(config or ("--config.cmd", "/bin/sh")))

    def skopeo_push(self, tag: str, name: str, *options: str) -> None:
        self.run(
            *("skopeo", "--policy", str(self.policy), "copy", "--quiet", "--dest-tls-verify=false", *options),
            *(f"oci:{self.layout}:{tag}", self.target(name)),
        )


def debian_archive(suite_number: str) -> Path:
    """The plain tar of a Debian, made once by mmdebstrap; about 15 s."""
    return _archive(f"debian-{suite_number}", SUITES[suite_number])


def _archive(name: str, suite: str, *packages: str) -> Path:
    path = places.archives() / f"{name}.tar"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.tar")
        mode = "root" if os.getuid() == 0 else "unshare"
        include = [f"--include={','.join(packages)}"] if packages else []
        try:
            command = ["mmdebstrap", "--variant=minbase", f"--mode={mode}", *include, suite, str(partial)]
            tools.call(command, timeout=900)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def debian_tree(suite: str) -> Path:
    """An unpacked Debian with its Python, readable by everyone; root only, since its files are root's."""
    return _tree(suite, suite, "python3-minimal,libpython3-stdlib")


def buildah_tree() -> Path:
    """An unpacked Debian with the buildah that the corpus of Dockerfiles is held against; root only."""
    return _tree("buildah", BUILDAH_SUITE, "buildah,ca-certificates,git,netavark")


def _tree(name: str, suite: str, packages: str) -> Path:
    path = places.trees() / name
    if not path.exists():
        if os.getuid() != 0:
            raise tools.CommandFailed("only root makes trees")
        partial = path.with_name(f".{name}.{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(mode=0o755)
        include = f"--include={packages}"
        tools.call(["mmdebstrap", "--variant=minbase", "--mode=root", include, suite, str(partial)], timeout=900)
        partial.chmod(0o755)
        partial.rename(path)
    return path


def _busybox_layer(shop: Workshop) -> Path:
    path = shop.scratch / "busybox.tar"
    if not path.exists():
        layers.busybox(path)
    return path


def busybox(shop: Workshop) -> None:
    search = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    shop.umoci("busybox", [_busybox_layer(shop)], "--config.cmd", "sh", "--config.env", search)
    shop.skopeo_push("busybox", "busybox:latest")


def debian_12(shop: Workshop) -> None:
    shop.umoci("debian-12", [debian_archive("12")], "--config.cmd", "bash")
    shop.skopeo_push("debian-12", "debian:12", "--format", "v2s2")


def debian_13(shop: Workshop) -> None:
    buildah = ["buildah", *shop.storage()]
    container = shop.run(*buildah, "from", "--name", "debian-13", "scratch").strip()
    try:
        shop.run(*buildah, "add", "--quiet", container, str(debian_archive("13")), "/")
        shop.run(*buildah, "config", "--cmd", "bash", container)
        shop.run(*buildah, "commit", "--quiet", "--format", "oci", container, "debian-13")
        _push(shop, buildah, "debian-13", "debian:13")
    finally:
        shop.run(*buildah, "rm", container)


def _push(shop: Workshop, tool: list[str], image: str, name: str) -> None:
    policy = ["--signature-policy", str(shop.policy)]
    shop.run(*tool, "push", "--quiet", "--tls-verify=false", *policy, image, shop.target(name))


def debian_11(shop: Workshop) -> None:
    podman = ["podman", *shop.storage()]
    shop.run(*podman, "import", "--quiet", "--change", "CMD bash", str(debian_archive("11")), "localhost/debian:11")
    _push(shop, podman, "localhost/debian:11", "debian:11")


def odd(shop: Workshop) -> None:
    names = ("odd-base", "odd-changes", "many", "sparse")
    base, changes, many, sparse = (shop.scratch / f"{name}.tar" for name in names)
    layers.odd_base(base)
    layers.odd_changes(changes)
    layers.many_small(many)
    layers.sparse(sparse, shop.scratch)
    shop.umoci("odd", [_busybox_layer(shop), base, many, sparse, changes])
    shop.skopeo_push("odd", "odd:latest")


def configured(shop: Workshop) -> None:
    content = shop.scratch / "configured.tar"
    with layers.Layer(content) as layer:
        layer.folder("srv/work", owner=(1000, 1000))
        layer.folder("srv/volume", owner=(1000, 1000))
        layer.add("srv/volume/from-image", b"copied up\n", owner=(1000, 1000))
        script = b'#!/bin/sh\necho "entry $# $*"\nexec "$@"\n'
        layer.add("srv/entry", script, mode=0o755)
    shop.umoci(
        "configured",
        [_busybox_layer(shop), content],
        *("--config.user", "web", "--config.entrypoint", "/srv/entry"),
        *("--config.cmd", "echo", "--config.cmd", "default"),
        *("--config.volume", "/srv/volume", "--config.workingdir", "/srv/work"),
        *("--config.env", "COLOUR=blue", "--config.env", "PATH=/bin:/usr/bin"),
        *("--config.label", "org.example.purpose=test", "--config.stopsignal", "SIGUSR1"),
        *("--config.exposedports", "8080/tcp"),
    )
    shop.skopeo_push("configured", "configured:latest")


def nothing(shop: Workshop) -> None:
    shop.umoci("nothing", [_busybox_layer(shop)], "--config.env", "A=b")
    shop.skopeo_push("nothing", "nothing:latest")


def zstd(shop: Workshop) -> None:
    content = shop.scratch / "zstd.tar"
    layers.marker(content, "compressed-by", b"zstd\n")
    shop.umoci("zstd", [_busybox_layer(shop), content])
    shop.skopeo_push("zstd", "zstd:latest", "--dest-compress-format", "zstd")


def multi(shop: Workshop) -> None:
    """Two platforms; the arm64 one has a busybox of this machine and is there to be chosen, not to be run."""
    buildah = ["buildah", *shop.storage()]
    shop.run(*buildah, "manifest", "create", "multi")
    for machine in ("amd64", "arm64"):
        content = shop.scratch / f"multi-{machine}.tar"
        layers.marker(content, "machine", machine.encode() + b"\n")
        tag = f"multi-{machine}"
        shop.umoci(tag, [_busybox_layer(shop), content], "--architecture", machine, "--config.cmd", "sh")
        shop.run(*buildah, "manifest", "add", "--arch", machine, "multi", f"oci:{shop.layout}:{tag}")
    shop.run(
        *buildah, "manifest", "push", "--all", "--quiet", "--tls-verify=false", "multi", shop.target("multi:latest")
    )


def services(shop: Workshop) -> None:
    """Two that people really run, with entries as their usual images have: nginx in front, postgres as its own user."""
    entries = shop.scratch / "entries.tar"
    with layers.Layer(entries) as layer:
        for name in ("nginx", "postgres"):
            script = Path(__file__).with_name(f"service_{name}.sh")
            layer.add(f"usr/local/bin/serve-{name}", script.read_bytes(), mode=0o755)
    debian = _archive("services-12", SUITES["12"], "nginx-light", "postgresql")
    shop.umoci("services", [debian, entries], "--config.cmd", "serve-nginx", "--config.stopsignal", "SIGINT")
    shop.skopeo_push("services", "services:12")


def application(shop: Workshop) -> None:
    """What applications in Python are built on, and the cache that they ask."""
    packages = ("gunicorn", "python3-psycopg2", "python3-redis", "redis-server")
    shop.umoci("application", [_archive("application-12", SUITES["12"], *packages)], "--config.cmd", "python3")
    shop.skopeo_push("application", "application:12")


RECIPES: dict[str, Callable[[Workshop], None]] = {
    "busybox:latest": busybox,
    "configured:latest": configured,
    "nothing:latest": nothing,
    "odd:latest": odd,
    "zstd:latest": zstd,
    "multi:latest": multi,
    "debian:12": debian_12,
    "debian:13": debian_13,
    "debian:11": debian_11,
    "services:12": services,
    "application:12": application,
}


def _tag(name: str) -> Path:
    """Where the registry of the cache has what that name means."""
    repository, _, tag = name.partition(":")
    base = places.registry_storage() / "docker" / "registry" / "v2" / "repositories" / "library"
    return base / repository / "_manifests" / "tags" / (tag or "latest")


def built(name: str) -> bool:
    """Whether the registry of the cache has that image ("debian:12")."""
    return _tag(name).is_dir()


def first_layer(name: str) -> Path:
    """The blob of the lowest layer of an image that is built, for one machine."""

    def blob(digest: str) -> Path:
        digits = digest.partition(":")[2]
        return places.registry_storage() / "docker/registry/v2/blobs/sha256" / digits[:2] / digits / "data"

    manifest = json.loads(blob((_tag(name) / "current/link").read_text().strip()).read_bytes())
    return blob(manifest["layers"][0]["digest"])


def clear(scratch: Path) -> None:
    """Removes a workshop with what podman and buildah left in it, their process that holds a user namespace too."""
    for pidfile in scratch.glob("libpod/tmp/pause.pid"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(pidfile.read_text()), signal.SIGKILL)
    tools.remove_tree(scratch)
    shutil.rmtree(scratch, ignore_errors=True)
