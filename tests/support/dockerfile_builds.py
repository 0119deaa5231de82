"""The corpus of Dockerfiles built: by pod, and by the buildah of a newer Debian in a tree of its own, as real root.

    python3 -m tests.support.dockerfile_builds [GROUP…]                 root: writes anew what buildah says
    python3 -m tests.support.dockerfile_builds --reference [GROUP…]     writes what pod makes of the others: to be read!
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support import dockerfiles, images, places, podcli, tools
from tests.support.dockerfiles import BASE, Base, Case
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.trees import Stored

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
LIMITS = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1] for name in ("nofile", "nproc")}
"""Those that there are: buildah wants more, which not every root may have."""
REGISTRY = "docker.io/library/"


class Site:
    """Contexts and a server, and where Dockerfiles and images go."""

    def __init__(self, place: Path, url: str, layers: list[bytes]) -> None:
        self.place = place
        self.values = {**dockerfiles.context(place), "url": url}
        self.base = Base(layers)
        self.files, self.out = place / "files", place / "out"
        for folder in (self.files, self.out):
            folder.mkdir()


class Failed(Exception):
    """A build that did not succeed; the text is what was said."""


class ByPod:
    """pod with an image "busybox"."""

    def __init__(self, pod: Pod, site: Site, base: str) -> None:
        self.pod, self.site = pod, site
        self._bases: set[str] = set()
        pod("tag", base, BASE).ok()

    def build(self, case: Case, bases: Mapping[str, Case]) -> dict[str, Any]:
        """What came out. Failed, with all that pod said."""
        for name in case.bases:
            if name not in self._bases:
                self._call(bases[name], "-t", name)
                self._bases.add(name)
        archive = self.site.out / f"{case.name}.tar"
        try:
            self._call(case, "-o", f"type=docker,dest={archive}")
            return self.site.base.result(archive)
        finally:
            archive.unlink(missing_ok=True)

    def digest(self, case: Case, bases: Mapping[str, Case]) -> str:
        """The image's id, the times being given."""
        for name in case.bases:
            self._call(bases[name], "-t", name)
        return self._call(case, "-q", "-t", "result").strip()

    def _call(self, case: Case, *words: str) -> str:
        file = case.write(self.site.files, self.site.values)
        argv = ["build", "-f", str(file), *words, *case.argv(self.site.values), self.site.values["context"]]
        done = self.pod(*argv, env=EPOCH, timeout=120)
        if done.code != 0:
            assert "Traceback" not in done.err, repr(done)
            raise Failed(done.err)
        return done.out


class ByBuildah:
    """buildah in its tree, which sees the same /var/tmp; mounts go with each process."""

    MOUNTS = """
    set -e; tree=$1; shift; mount --bind "$tree" "$tree"
    for each in proc sys dev var/tmp; do mount --rbind /$each $tree/$each; done
    mount -t tmpfs none $tree/run
    exec chroot "$tree" "$@"
    """

    def __init__(self, site: Site, base: Path) -> None:
        """``base`` is an OCI layout."""
        self.site, self.tree = site, images.buildah_tree()
        storage = site.place / "buildah"
        storage.mkdir()
        self._storage = ["--root", f"{storage}/root", "--runroot", f"{storage}/run", "--storage-driver", "vfs",
                         "--log-level", "error"]  # fmt: skip
        (site.place / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self._policy = ["--signature-policy", f"{site.place}/policy.json"]
        pulled = self._buildah("pull", "-q", *self._policy, f"oci:{base}").strip()
        self._buildah("tag", pulled, f"{REGISTRY}{BASE}:latest")
        self._bases: set[str] = set()

    def build(self, case: Case, bases: Mapping[str, Case]) -> dict[str, Any]:
        """As ByPod.build."""
        try:
            for name in case.bases:
                if name not in self._bases:
                    self._call(bases[name], f"{REGISTRY}{name}:latest")
                    self._bases.add(name)
            self._call(case, "localhost/result:1")
            archive = self.site.out / "buildah.tar"
            archive.unlink(missing_ok=True)
            self._buildah("push", "-q", *self._policy, "localhost/result:1", f"docker-archive:{archive}:result:1")
            self._buildah("rmi", "localhost/result:1")
            return self.site.base.result(archive)
        except tools.CommandFailed as error:
            raise Failed(str(error)) from None

    def _call(self, case: Case, name: str) -> None:
        file = case.write(self.site.files, self.site.values)
        words = ["--isolation", "chroot", "--format", "docker", "--identity-label=false", "--pull=missing", "-t", name,
                 "--layers=false", "--cap-add", "CAP_MKNOD",
                 *(f"--ulimit={name}={limit}:{limit}" for name, limit in LIMITS.items())]  # fmt: skip
        if case.ignore:
            words += ["--ignorefile", f"{file}.dockerignore"]
        flags = case.argv(self.site.values)
        self._buildah("build", "-q", *self._policy, *words, "-f", str(file), *flags, self.site.values["context"])

    def _buildah(self, *words: str) -> str:
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", self.MOUNTS, "sh", str(self.tree)]
        environ = {"PATH": tools.SEARCH, "HOME": "/root", "LANG": "C.UTF-8", "TMPDIR": str(self.site.place)}
        return tools.call([*command, "buildah", *self._storage, *words], environ=environ, cwd=Path("/"))


@contextlib.contextmanager
def site() -> Iterator[tuple[Site, Path, Registry]]:
    """A Site, its base image as an OCI layout, and the registry it came from. Below /var/tmp, readable by all."""
    place = Path(tempfile.mkdtemp(prefix="pod-dockerfiles-", dir="/var/tmp"))
    place.chmod(0o755)
    umask = os.umask(0o022)
    try:
        with Registry(places.registry_storage(), place / "registry", readonly=True) as registry:
            layout = place / "base"
            source = f"docker://{registry.name('busybox:latest')}"
            tools.call(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", source, f"oci:{layout}"])
            with dockerfiles.serving(place) as url:
                yield Site(place, url, Stored(layout).layers), layout, registry
    finally:
        os.umask(umask)
        tools.remove_tree(place)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.support.dockerfile_builds")
    parser.add_argument("groups", nargs="*", default=[])
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("-k", default="", dest="word")
    parser.add_argument("--into", type=Path, default=dockerfiles.FOLDER, help="the folder that gets what is expected")
    options = parser.parse_args(argv)
    with site() as (made, layout, registry), contextlib.ExitStack() as stack:
        builder: ByPod | ByBuildah
        if options.reference:
            pod = Pod(podcli.new_base(), registry.name)
            stack.callback(shutil.rmtree, pod.base, ignore_errors=True)
            stack.callback(pod.destroy)
            builder = ByPod(pod, made, pod.image("busybox:latest"))
        else:
            builder = ByBuildah(made, layout)
        for group in options.groups or dockerfiles.groups():
            _write(builder, group, options)
    return 0


def _write(builder: ByPod | ByBuildah, group: str, options: argparse.Namespace) -> None:
    cases, bases = dockerfiles.read(group)
    known = dockerfiles.expected(group)
    for case in cases:
        if bool(case.reason) != options.reference or options.word not in case.name:
            continue
        try:
            found: dict[str, Any] | None = builder.build(case, bases)
        except Failed as error:
            found = None
            if not case.errors:
                sys.stdout.write(f"{case}: FAILED: {error}\n")
        if case.errors:
            if found:
                sys.stdout.write(f"{case}: should have failed: {found}\n")
            found = None
        if found is not None:
            known[case.name] = found
            shown = f"{found['config']} {found['tree']}" if options.reference else "built"
            sys.stdout.write(f"{case}: {shown}\n")
        sys.stdout.flush()
    names = {case.name for case in cases if not case.errors}
    dockerfiles.store(group, {name: value for name, value in known.items() if name in names}, options.into)


if __name__ == "__main__":
    raise SystemExit(main())
