"""How each peer starts a container, enters one and pulls an image here; or why it cannot take part."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import pwd
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Subject
from tests.support import crafted, layers, places, podcli, tools
from tests.support.registry import Registry
from tests.support.scripted import Scripted

PYTHON = "/usr/bin/python3"
LOCALE = {"PATH": tools.SEARCH, "LANG": "C.UTF-8", "USER": pwd.getpwuid(os.getuid()).pw_name}


class Bench:
    """The scratch folder of one run, the registry, a busybox tree and bundle for those who take no images."""

    def __init__(self, scratch: Path, registry: Registry, *, leave: bool = False) -> None:
        self.scratch = scratch
        self.leave = leave
        self.registry = registry
        self.rootfs = scratch / "rootfs"
        self.runtime_dir = scratch / "xdg"
        self._short = Path(tempfile.mkdtemp(prefix="pb-", dir="/var/tmp"))  # podman: a runroot of 50 characters at most
        self.runtime_dir.mkdir(mode=0o700, parents=True)
        archive = scratch / "busybox.tar"
        layers.busybox(archive)
        self.rootfs.mkdir()
        subprocess.run(
            ["/bin/tar", "-x", "--no-same-owner", "-f", str(archive), "-C", str(self.rootfs)], check=True, timeout=60
        )
        self.environ = {**LOCALE, "HOME": str(scratch), "XDG_RUNTIME_DIR": str(self.runtime_dir)}
        self.pod = podcli.Pod(scratch / "pod", registry.name)
        self._policy()

    def _policy(self) -> None:
        folder = self.scratch / ".config" / "containers"
        folder.mkdir(parents=True)
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{self.registry.host}"\ninsecure = true\n')

    def program(self, name: str) -> str:
        """The full path; MissingPeer where it is not installed."""
        found = tools.find(name)
        if found is None:
            raise MissingPeer(f"{name}: not installed")
        return found

    def podman(self, store: str = "podman") -> list[str]:
        """podman with a store of its own, overlay as it can here, and a runtime that accepts this host's cgroups."""
        base = self.scratch / store
        argv = [
            *(self.program("podman"), "--root", str(base / "root"), "--runroot", str(self._short / store)),
            *("--storage-driver", "overlay", "--storage-opt", "overlay.ignore_chown_errors=true"),
            *("--runtime", "crun" if crun_works() else "runc"),
            *("--cgroup-manager", "cgroupfs", "--events-backend", "none"),
        ]
        return argv

    def bundle(self, name: str, words: list[str], *, one_id: bool = False) -> Path:
        """An OCI bundle of the busybox tree for runc and crun, rootless, with a network namespace of its own.

        It has the ids that pod's containers have, those of the user's range too; ``one_id``: the user's own alone.
        """
        folder = self.scratch / name
        folder.mkdir()
        spec = [self.program("runc"), "spec", "--rootless", "--bundle", str(folder)]
        subprocess.run(spec, check=True, env=self.environ, timeout=30)
        document = json.loads((folder / "config.json").read_text())
        document["process"]["terminal"] = False
        document["process"]["args"] = words
        document["root"] = {"path": str(self.rootfs), "readonly": True}
        found = None if one_id else tools.sub_ids()
        if found:
            further = {"containerID": 1, "hostID": found[0], "size": found[1]}
            document["linux"]["uidMappings"].append(further)
            document["linux"]["gidMappings"].append(further)
        namespaces = document["linux"]["namespaces"]
        if not any(entry["type"] == "network" for entry in namespaces):
            namespaces.append({"type": "network"})
        (folder / "config.json").write_text(json.dumps(document))
        return folder

    def close(self) -> None:
        """Ends what peers leave running and removes all files, unless they are to be left."""
        if self.leave:
            self.pod.destroy_processes()
        else:
            self.pod.destroy()
        for pidfile in self.runtime_dir.glob("libpod/tmp/pause.pid"):
            try:
                os.kill(int(pidfile.read_text()), signal.SIGKILL)
            except (OSError, ValueError):
                continue
        tools.remove_tree(self._short)
        if self.leave:
            return
        # One by one: together they are a million files.
        for pattern in ("unpacked/*", "old-*", "pod-*/old-*"):
            for tree in self.scratch.glob(pattern):
                tools.remove_tree(tree)
        tools.remove_tree(self.scratch)


class MissingPeer(Exception):
    """A peer that cannot take part on this host, and why."""


def crun_works() -> bool:
    """crun refuses a hybrid cgroup layout; where the version 2 mount is hidden it works."""
    return not Path("/sys/fs/cgroup/unified/cgroup.controllers").exists()


def starts(bench: Bench) -> tuple[list[Subject], list[str]]:
    """Everyone who can run `true` in a busybox, and why others cannot."""
    makers = [_start_python, _start_bwrap, _start_charliecloud, _start_crun, _start_runc, _start_podman, _start_pod]
    makers += [_start_crun_one_id, _start_pod_anew, _start_pod_pinned]
    subjects, missing = [], []
    for make in makers:
        try:
            subjects.append(make(bench))
        except (MissingPeer, tools.CommandFailed, AssertionError, subprocess.SubprocessError, OSError) as error:
            missing.append(f"{make.__name__[7:]}: {error}")
    return subjects, missing


def _start_python(bench: Bench) -> Subject:
    return Subject("python3 -I -S -c pass", [PYTHON, "-I", "-S", "-c", "pass"], bench.environ)


def _start_bwrap(bench: Bench) -> Subject:
    argv = [bench.program("bwrap"), "--unshare-all", "--bind", str(bench.rootfs), "/", "--proc", "/proc"]
    return Subject("bubblewrap", [*argv, "--dev", "/dev", "/bin/true"], bench.environ)


def _start_charliecloud(bench: Bench) -> Subject:
    return Subject("charliecloud", [bench.program("ch-run"), str(bench.rootfs), "--", "/bin/true"], bench.environ)


def _start_crun(bench: Bench, *, one_id: bool = False) -> Subject:
    if not crun_works():
        raise MissingPeer("refuses hybrid cgroups (run `make bench` as root: it hides them)")
    bundle = bench.bundle("crun-one-id" if one_id else "crun", ["/bin/true"], one_id=one_id)
    argv = [bench.program("crun"), "--root", str(bench.scratch / "crun-state"), "--cgroup-manager=disabled"]
    name = "crun, one id" if one_id else "crun"
    return Subject(name, [*argv, "run", "--bundle", str(bundle), "bench"], bench.environ)


def _start_crun_one_id(bench: Bench) -> Subject:
    if not tools.sub_ids():
        raise MissingPeer("the same as crun")
    return _start_crun(bench, one_id=True)


def _start_runc(bench: Bench) -> Subject:
    bundle = bench.bundle("runc", ["/bin/true"])
    argv = [bench.program("runc"), "--root", str(bench.scratch / "runc-state")]
    return Subject("runc", [*argv, "run", "--bundle", str(bundle), "bench"], bench.environ)


def _start_podman(bench: Bench) -> Subject:
    podman = bench.podman()
    image = bench.registry.name("busybox:latest")
    ready([*podman, "pull", "--quiet", "--tls-verify=false", image], bench)
    options = ["run", "--rm", "--network", "none", "--pull", "never"]
    if crun_works():
        options.append("--cgroups=disabled")
    return Subject("podman", [*podman, *options, image, "true"], bench.environ)


def _start_pod(bench: Bench) -> Subject:
    image = bench.pod.image("busybox:latest")
    argv = bench.pod.argv("run", "--rm", "--network", "none", image, "true")
    return Subject("pod", argv, bench.pod.environ())


def limited(bench: Bench) -> Iterator[tuple[str, list[Subject]]]:
    """A start with limits beside one without: where no control group is ours; then in groups of version 1, if there are
    some. From then on this process is in them.
    """
    for title, groups in (("no control group", []), ("control groups of version 1", tools.split_cgroups())):
        if title != "no control group" and not groups:
            return
        for group in groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        plain, held = _start_pod(bench), _start_pod(bench)
        plain.name = "no limits"
        place = held.argv.index("--rm")
        held.argv[place:place] = ["-m", "100m", "--cpus", "1"]
        for subject in (plain, held):  # words of their own: a prepared start that is stale is recorded anew after 10 s
            subject.argv.insert(place, f"--label=limits={title}")
        yield title, [plain, held]


def _start_pod_anew(bench: Bench) -> Subject:
    """Words that never came before: Python plans the start and nothing was prepared."""
    subject = _start_pod(bench)
    subject.name = "pod, words anew"
    place = subject.argv.index("--rm")
    subject.argv.insert(place, "")
    numbers = itertools.count()

    def other_words() -> None:
        subject.argv[place] = f"--label=round={next(numbers)}"

    subject.before = other_words
    return subject


def _start_pod_pinned(bench: Bench) -> Subject:
    """Beside a container that runs: with sub-ids its mapped namespace is joined instead of a new one made."""
    if not tools.sub_ids():
        raise MissingPeer("nothing to share with a single id")
    subject = _start_pod(bench)
    subject.name = "pod, beside another"
    image = bench.pod.image("busybox:latest")

    def begin() -> None:
        bench.pod("run", "-d", "--name", "beside", "--network", "none", image, "sleep", "100").ok()

    def end() -> None:
        bench.pod("rm", "-f", "beside").ok()

    subject.before, subject.after = begin, end
    return subject


def ready(argv: list[str], bench: Bench) -> None:
    """An unmeasured step of the preparation; what stays behind of it must not hold our pipes."""
    log = bench.scratch / "ready.log"
    with log.open("wb") as file:
        done = subprocess.run(
            argv, env=bench.environ, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=300, check=False
        )
    if done.returncode != 0:
        raise MissingPeer(f"{argv[0]}: {log.read_text(errors='replace').strip()[-300:]}")


def execs(bench: Bench) -> tuple[list[Subject], list[str]]:
    """Everyone who can run `true` in a container that sleeps."""
    makers = [_exec_crun, _exec_runc, _exec_podman, _exec_pod]
    subjects, missing = [], []
    for make in makers:
        try:
            subjects.append(make(bench))
        except (MissingPeer, tools.CommandFailed, AssertionError, subprocess.SubprocessError, OSError) as error:
            missing.append(f"{make.__name__[6:]}: {error}")
    return subjects, missing


def _exec_runtime(bench: Bench, name: str, options: list[str]) -> Subject:
    bundle = bench.bundle(f"{name}-exec", ["/bin/sleep", "600"])
    argv = [bench.program(name), "--root", str(bench.scratch / f"{name}-exec-state"), *options]
    ready([*argv, "run", "--detach", "--bundle", str(bundle), "sleeper"], bench)
    return Subject(name, [*argv, "exec", "sleeper", "/bin/true"], bench.environ)


def _exec_crun(bench: Bench) -> Subject:
    if not crun_works():
        raise MissingPeer("refuses hybrid cgroups")
    return _exec_runtime(bench, "crun", ["--cgroup-manager=disabled"])


def _exec_runc(bench: Bench) -> Subject:
    return _exec_runtime(bench, "runc", [])


def _exec_podman(bench: Bench) -> Subject:
    podman = bench.podman()
    image = bench.registry.name("busybox:latest")
    ready([*podman, "pull", "--quiet", "--tls-verify=false", image], bench)
    options = ["run", "--detach", "--name", "sleeper", "--network", "none", "--pull", "never"]
    if crun_works():
        options.append("--cgroups=disabled")
    ready([*podman, *options, image, "sleep", "600"], bench)
    return Subject("podman", [*podman, "exec", "sleeper", "true"], bench.environ)


def _exec_pod(bench: Bench) -> Subject:
    image = bench.pod.image("busybox:latest")
    bench.pod("run", "-d", "--name", "sleeper", "--network", "none", image, "sleep", "600").ok()
    return Subject("pod", bench.pod.argv("exec", "sleeper", "true"), bench.pod.environ())


def end_sleepers(bench: Bench) -> None:
    """Ends the containers that the exec case entered."""
    for name, options in (("crun", ["--cgroup-manager=disabled"]), ("runc", [])):
        program = tools.find(name)
        state = bench.scratch / f"{name}-exec-state"
        if program and state.exists():
            _quiet([program, "--root", str(state), *options, "delete", "--force", "sleeper"], bench)
    if tools.find("podman"):
        _quiet([*bench.podman(), "rm", "--force", "--time", "0", "sleeper"], bench)


def _quiet(argv: list[str], bench: Bench) -> None:
    subprocess.run(
        argv,
        env=bench.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def serve_small_files(bench: Bench) -> tuple[Scripted, str]:
    """A registry that has an image of the layer of 60 000 small files, and the image's reference."""
    blob = small_files_layer(bench).read_bytes()
    server = Scripted(bench.scratch / "served")
    layer = {"mediaType": crafted.LAYER, "digest": server.add(blob), "size": len(blob)}
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    rootfs = {"type": "layers", "diff_ids": [crafted.digest(gzip.decompress(blob))]}
    config = json.dumps({"architecture": machine, "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    about = {"mediaType": crafted.CONFIG, "digest": server.add(config), "size": len(config)}
    document = {"schemaVersion": 2, "mediaType": crafted.MANIFEST, "config": about, "layers": [layer]}
    return server, server.image("many/small:latest", json.dumps(document).encode(), {}, crafted.MANIFEST)


def put_aside(path: Path) -> None:
    """Out of the way by rename: ext4 looks long for inodes while many were removed just now, whoever creates files.

    What comes next begins when the disk has what was written before.
    """
    if path.exists():
        path.rename(tempfile.mkdtemp(prefix="old-", dir=path.parent) + "/old")
    os.sync()


def pulls(bench: Bench, image: str) -> tuple[list[Subject], list[str]]:
    """Everyone who can pull and unpack an image into an empty store."""
    fresh = podcli.Pod(Path(tempfile.mkdtemp(prefix="pod-pull-", dir=bench.scratch)), bench.registry.name)
    subjects, missing = [], []
    argv = fresh.argv("pull", "-q", image)
    subjects.append(Subject("pod", argv, fresh.environ(), before=lambda: put_aside(fresh.root)))
    try:
        podman = bench.podman("podman-pull")
        argv = [*podman, "pull", "--quiet", "--tls-verify=false", image]
        store = bench.scratch / "podman-pull"
        subjects.append(Subject("podman", argv, bench.environ, before=lambda: put_aside(store)))
    except MissingPeer as error:
        missing.append(str(error))
    try:
        target = bench.scratch / "skopeo-copy"
        flags = ["copy", "--quiet", "--src-tls-verify=false"]
        argv = [bench.program("skopeo"), *flags, f"docker://{image}", f"dir:{target}"]
        subjects.append(Subject("skopeo (no unpacking)", argv, bench.environ, before=lambda: tools.remove_tree(target)))
    except MissingPeer as error:
        missing.append(str(error))
    return subjects, missing


def extractions(bench: Bench, blob: Path, label: str, *, keep: bool) -> tuple[list[Subject], list[str]]:
    """Unpacking of one gzip layer into an empty folder: pod's engine and GNU tar.

    ``keep``: trees are put aside and stay to the end of the run. ext4 does not use an inode again for minutes after it
    was freed, and looks for others one by one: after a removal of thousands of files that search would be measured.
    Each begins when the disk has what the one before it wrote.
    """
    bench.scratch.joinpath("unpacked").mkdir(exist_ok=True)

    def subject(name: str, argv: list[str]) -> Subject:
        target = bench.scratch / f"unpacked/{label}-{name.split()[0]}"
        rounds = itertools.count()

        def before() -> None:
            os.sync()
            target.mkdir()

        def after() -> None:
            if keep:
                target.rename(target.with_name(f"{target.name}-{next(rounds)}"))
            else:
                tools.remove_tree(target)

        words = [word.replace("TARGET", str(target)) for word in argv]
        return Subject(name, words, bench.environ, before=before, after=after)

    script = str(Path(__file__).with_name("extract.py"))
    tar = ["/bin/tar", "-xzpf", str(blob), "--no-same-owner", "--delay-directory-restore", "--exclude=./dev/*"]
    subjects = [
        subject("tar -xzp", [*tar, "-C", "TARGET"]),
        subject("pod", [PYTHON, "-I", "-S", script, str(blob), "TARGET"]),
    ]
    return subjects, []


def small_files_layer(bench: Bench) -> Path:
    """A gzip layer of 60 000 files of few bytes, made once."""
    plain = bench.scratch / "many.tar"
    if plain.with_name("many.tar.gz").exists():
        return plain.with_name("many.tar.gz")
    layers.many_small(plain, files=60000)
    subprocess.run(["/bin/gzip", "-1", str(plain)], check=True, timeout=60)
    return plain.with_name("many.tar.gz")


def big_files_layer(bench: Bench) -> Path:
    """A gzip layer of eight files of 128 MiB each, all with the first bytes of a Debian's archive.

    One is compressed and put eight times behind one another (RFC 1952: members), so that it is made in seconds.
    """
    size = 128 << 20
    made = bench.scratch / "big.tar.gz"
    with (places.archives() / "debian-12.tar").open("rb") as source:
        body = gzip.compress(source.read(size).ljust(size, b"\0"), 6)
    with made.open("wb") as blob:
        for number in range(8):
            entry = tarfile.TarInfo(f"big-{number}")
            entry.size, entry.mtime = size, layers.EPOCH
            blob.write(gzip.compress(entry.tobuf(tarfile.USTAR_FORMAT)) + body)
        blob.write(gzip.compress(bytes(2 * tarfile.BLOCKSIZE)))
    return made


def settle() -> None:
    """Lets the disk catch up between cases."""
    os.sync()
    time.sleep(0.2)
