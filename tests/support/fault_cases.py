"""The commands that are disturbed, and what must be true after it."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shlex
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support import archives, leaks, podcli, tools
from tests.support.faulter import ARM, Call, Outcome
from tests.support.podcli import Pod

NAME = "subject"
VOLUME = "vol"
NETWORK = "net"
BEFORE_THE_REGISTRY_FORGETS = 100_000.0
"""Seconds by which what was left half made is aged: more than the day for which the beginning of a blob is kept."""
HIDDEN = (
    *("blobs/*/.*", "refs/.*", "images/.*", "layers/*/.*", "containers/.*", "volumes/.*", "names/*"),
    *(".index.json.*", "cache/seccomp/.*", "networks/*", "networks/names/*"),
    *("builder/cache/.*", "builder/work/*", "builder/holds/*"),
)
"""What may be half made, and temporary files."""
_PROBLEM = re.compile(r"^pod: ", re.M)
_STEP_SAID = re.compile(r"^------\n.*?^------\n", re.M | re.S)
"""The output of a step of a build that failed, which can be that of its start."""


class Case(NamedTuple):
    """One command. ``before``: what there is, besides the image: see World.prepare."""

    command: tuple[str, ...]
    before: str
    says: str
    """A pattern of what it prints when it succeeds."""
    code: int
    """Its exit code when it fails."""
    sample: int
    """How many calls `make test` disturbs."""
    first: tuple[str, ...] = ()
    """A command that runs before it, traced but not counted: whose processes are to be disturbed too."""


_RUN = ("--name", NAME, "--network", "none", "-v", "/anonymous")
_LIMITS = ("--cgroup-parent", "GROUP", "-m", "100m", "--pids-limit", "50")
_BRIDGE = b"bridge".hex()
"""How the id of the default network begins."""
_ID = r"[0-9a-f]{64}\n"
_IMAGES = r"Deleted Images:\n((untagged|deleted): .*\n)+\n"
_FREED = r"Total reclaimed space: .*\n"
_GONE = r"Deleted build cache objects:\n([0-9a-f]{25}\n)+\n"
_BUILD = ("build", "-q", "--network", "none", "-t", "built:1", "BASE/context")
_STEPS = 2
"""Of that build's: those that the cache keeps."""

CASES = {
    "pull": Case(("pull", "-q", "IMAGE"), "absent", r"\S+\n", 1, 16),
    "push": Case(("push", "-q", "TARGET"), "tagged", r"\S+\n", 1, 8),
    "run --rm": Case(("run", "--rm", *_RUN, "IMAGE", "echo", "works"), "image", r"works\n", 125, 18),
    "run -d": Case(("run", "-d", *_RUN, "IMAGE", "true"), "image", _ID, 125, 14),
    "create": Case(("create", *_RUN, "IMAGE", "sleep", "1000"), "image", _ID, 125, 6),
    "start": Case(("start", NAME), "created", f"{NAME}\n", 1, 10),
    "run limited": Case(("run", "--rm", *_LIMITS, *_RUN, "IMAGE", "echo", "works"), "image", r"works\n", 125, 8),
    "stop limited": Case(("stop", "-t", "0", NAME), "limited", f"{NAME}\n{NAME}\n", 1, 5, ("start", NAME)),
    "rm limited": Case(("rm", "-f", "-v", NAME), "limited", f"{NAME}\n{NAME}\n", 1, 5, ("start", NAME)),
    "update limited": Case(("update", "-m", "120m", "--pids-limit", "60", NAME), "running limited", f"{NAME}\n", 1, 4),
    "exec": Case(("exec", NAME, "echo", "works"), "running", r"works\n", 126, 12),
    "stop": Case(("stop", "-t", "0", NAME), "created", f"{NAME}\n{NAME}\n", 1, 10, ("start", NAME)),
    "rm": Case(("rm", "-v", NAME), "created", f"{NAME}\n", 1, 10),
    "rm -f": Case(("rm", "-f", "-v", NAME), "created", f"{NAME}\n{NAME}\n", 1, 8, ("start", NAME)),
    "rmi": Case(("rmi", "IMAGE"), "image", r"(Untagged|Deleted): .*\n", 1, 8),
    "save": Case(("save", "-o", "BASE/saved.tar", "IMAGE"), "image", "", 1, 4),
    "load": Case(("load", "-i", "BASE/image.tar.gz"), "absent", r"Loaded image: \S+\n", 1, 6),
    "import": Case(("import", "BASE/layer.tar", "imported:1"), "image", r"sha256:[0-9a-f]{64}\n", 1, 4),
    "commit": Case(("commit", NAME, "committed:1"), "written", r"sha256:[0-9a-f]{64}\n", 1, 6),
    "build": Case(_BUILD, "image", r"sha256:[0-9a-f]{64}\n", 1, 8),
    "builder prune": Case(("builder", "prune", "-f"), "steps", rf"{_GONE}{_FREED}", 1, 4),
    "image prune": Case(("image", "prune", "-af"), "image", f"{_IMAGES}{_FREED}", 1, 5),
    "system prune": Case(
        ("system", "prune", "-af", "--volumes"), "created",
        f"Deleted Containers:\n{_ID}\nDeleted Volumes:\n{_ID}\n{_IMAGES}{_FREED}", 1, 5,
    ),
    "system reset": Case(("system", "reset", "-f"), "created", "", 1, 6),
    "volume create": Case(("volume", "create", VOLUME), "image", f"{VOLUME}\n", 1, 4),
    "volume rm": Case(("volume", "rm", VOLUME), "volume", f"{VOLUME}\n", 1, 4),
    "network create": Case(("network", "create", NETWORK), "image", _ID, 1, 4),
    "network connect": Case(("network", "connect", NETWORK, NAME), "apart", "", 1, 4),
    "network rm": Case(("network", "rm", NETWORK), "network", f"{NETWORK}\n", 1, 4),
}


def tree(root: Path) -> dict[str, str]:
    """What a store holds: path → kind, mode, and the content of small files. Not the events, nor what caches note."""
    found = {}
    for path in _walk(root):
        name = str(path.relative_to(root))
        if name.startswith(("events", "cache/said-", "cache/unsynced", "cache/run", "cache/used", "owners")):
            continue
        if name.startswith("layers/") and name.endswith("/disk"):
            continue
        if name.startswith("cache/builds") or name in ("builder", "builder/cache", "builder/holds", "builder/work"):
            continue  # made by the first build after a reset
        status = path.lstat()
        text = f"{stat.S_IFMT(status.st_mode):o} {stat.S_IMODE(status.st_mode):o}"
        if stat.S_ISREG(status.st_mode):
            text += f" {status.st_size}"
            made_anew = name.startswith(f"networks/{_BRIDGE}")  # with its time, after a reset
            if status.st_size < 65536 and not made_anew and os.access(path, os.R_OK):
                text += " " + hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        found[name] = text
    return found


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, onerror=lambda error: None):
        for name in [*folders, *files]:
            yield Path(folder) / name


def age(root: Path) -> None:
    """As if a day had gone by for what is hidden, so that the next command takes it for what it is."""
    then = time.time() - BEFORE_THE_REGISTRY_FORGETS
    for pattern in HIDDEN:
        for path in root.glob(pattern):
            os.utime(path, (then, then), follow_symlinks=False)


class World:
    """A store with one image, and the way back to it after each disturbance."""

    def __init__(self, pod: Pod, image: str) -> None:
        self.pod = pod
        self.image = image
        self._pushes = 0
        self._fill()

    def _fill(self) -> None:
        self._make()
        self._case: Case | None = None
        self.config = self.pod("images", "-q", "--no-trunc").ok().strip()
        self.pod.variables["SOURCE_DATE_EPOCH"] = "0"  # The same image by each import, and each commit.
        self._write_archives()
        self._write_context()
        self._forget_built(whole=True)
        self._settle(None)
        self.base = self._tree()

    def _make(self) -> None:
        """All that the store has before each fault."""
        self.pod("pull", "-q", self.image).ok()
        self.pod("run", "--rm", "--network", "none", self.image, "true").ok()
        self.pod("volume", "create", VOLUME).ok()
        self.pod("volume", "rm", VOLUME).ok()
        self.pod("network", "create", NETWORK).ok()
        self.pod("network", "rm", NETWORK).ok()

    @property
    def _verb(self) -> str:
        """The first word of the command that is disturbed; "" before there is one."""
        return self._case.command[0] if self._case else ""

    @property
    def target(self) -> str:
        """Where to push: an empty repository of the same registry by another name, so that nothing is mounted."""
        port = self.image.partition("/")[0].rpartition(":")[2]
        return f"localhost:{port}/pushed/{1000 + self._pushes}:v1"  # of four digits: for the tracer all the same

    def _write_archives(self) -> None:
        """Of the image, compressed, so that it is spooled; and of one file, to import."""
        base = self.pod.base
        self.pod("save", "--format", "oci-archive", "-o", str(base / "image.tar"), self.image).ok()
        (base / "image.tar.gz").write_bytes(gzip.compress((base / "image.tar").read_bytes(), 1))
        (base / "image.tar").unlink()
        (base / "layer.tar").write_bytes(archives.layer({"hello": b"hello"}))

    def _write_context(self) -> None:
        """A short build: a file, a command, a label."""
        folder = self.pod.base / "context"
        folder.mkdir(exist_ok=True)
        (folder / "file").write_bytes(b"content\n" * 20_000)
        steps = ("COPY file /srv/new", "RUN busybox cat /srv/new /srv/new >/srv/twice", "LABEL made=true")
        (folder / "Dockerfile").write_text("\n".join([f"FROM {self.image}", *steps, ""]))

    def argv(self, case: Case) -> list[str]:
        """The command line that is traced."""
        places = {"IMAGE": self.image, "TARGET": self.target, "BASE": str(self.pod.base)}
        if "GROUP" in case.command:
            places["GROUP"] = self._group()
        parts = [word.partition("/") for word in case.command]
        own = self.pod.argv(*(places.get(first, first) + slash + rest for first, slash, rest in parts))
        if not case.first:
            return own
        first = shlex.join(self.pod.argv(*case.first))
        return ["/bin/dash", "-c", f"{first} || exit; [ -e {ARM} ]; exec {shlex.join(own)}"]

    def once(self, case: Case) -> None:
        """That command, as it is."""
        subprocess.run(
            self.argv(case), env=self.pod.environ(), cwd=self.pod.home, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=60, check=True,
        )  # fmt: skip

    def prepare(self, case: Case) -> None:
        """What there is before the command: "absent" (not even the image), "image", "tagged" (for a push), "created",
        "limited" (created, with limits), "written" (a container that ran, and made a file), "running", "running
        limited", "volume", "network", "apart" (a network, and a
        container that is not on it), "steps" (of a build, whose image is gone).
        """
        self._forget_prepared()
        self._case = case
        for path in self.pod.base.glob("saved.tar*"):
            path.unlink()
        if case.before == "absent":
            self.pod("rmi", self.image).ok()
        elif case.before == "tagged":
            self._pushes += 1
            self.pod("tag", self.image, self.target).ok()
        elif case.before == "volume":
            self.pod("volume", "create", VOLUME).ok()
        elif case.before in ("network", "apart"):
            self.pod("network", "create", NETWORK).ok()
            if case.before == "apart":
                self.pod("create", "--name", NAME, "--network", "bridge", self.image, "sleep", "1000").ok()
        elif case.before == "steps":
            self._build()
            self.pod("rmi", "built:1").ok()
        elif case.before == "written":
            words = "echo x >/written; touch -d '1970-01-02 00:00' /written"
            self.pod("run", *_RUN[:4], self.image, "sh", "-c", words).ok()  # without what starts make anew
        elif case.before in ("created", "running", "limited", "running limited"):
            verb = ("run", "-d") if case.before.startswith("running") else ("create",)
            limits = self._limits() if case.before.endswith("limited") else []
            self.pod(*verb, *limits, *_RUN, self.image, "sleep", "1000").ok()

    def _limits(self) -> list[str]:
        return [self._group() if word == "GROUP" else word for word in _LIMITS]

    def _group(self) -> str:
        """Control groups of version 1 that the suite has: for cases that want the capability split_cgroups."""
        return "/" + next(path.name for path in tools.split_cgroups())

    def _forget_prepared(self) -> None:
        """Each start takes the long way by Python, the first as the second, and makes its user namespace: who empties
        the trash may still be in one that could be joined.
        """
        prepared = (podcli.shared_cache() / "pod").glob("*/starts/*")
        for path in (*prepared, *self.pod.run_pointer().glob("pins/*/*")):
            path.unlink(missing_ok=True)

    def judge(self, case: Case, call: Call, fault: int, outcome: Outcome, starting: bool) -> str:
        """What the command said of it: "killed", "done" or "refused"; AssertionError where it was none of these."""
        told = f"[{outcome.code}]\n--- out\n{outcome.out}\n--- err\n{outcome.err}"
        if outcome.code == -9 and not fault and call.process in ("0", "0t"):
            return "killed"
        assert not list(self.pod.base.glob("saved.tar.*")), f"half an archive is left: {told}"
        assert outcome.code >= 0, f"a signal ended it: {told}"
        if outcome.code == 0:
            assert re.fullmatch(f"({case.says})+", outcome.out), f"it succeeded without doing it: {told}"
            return "done"
        if starting:  # the interpreter's own words, where there is no pod yet
            assert outcome.err, f"it says nothing: {told}"
            return "refused"
        if not fault and outcome.code == 137:  # it looks as if the program had been killed
            return "refused"
        said = _STEP_SAID.sub("", outcome.err)
        assert len(_PROBLEM.findall(said)) == 1, f"no clear line: {told}"
        assert "Traceback" not in outcome.err, f"a traceback: {told}"
        codes = {125, 126, 127} if case.command[0] in ("run", "exec") else {case.code}
        if case.command[0] == "exec":  # docs/commands.md: before there is a program, any other failure
            codes.add(1)
        assert outcome.code in codes, f"the wrong code: {told}"
        return "refused"

    def heal(self, *, whole: bool) -> None:
        """The next commands succeed, and when they are done all is as it was: nothing half made, nothing left."""
        self._age()
        lines = self.pod("ps", "-a", "--format", "{{.Names}} {{.State}}").ok().splitlines()
        listed = dict(line.split() for line in lines)
        assert set(listed) <= {NAME}, listed
        self._forget_committed(listed)
        if whole and NAME in listed:
            self._use(listed[NAME])
        if not all((self.pod.root / name).exists() for name in ("volumes", "networks/.lock", "cache/seccomp")):
            self._make()  # it was reset, as far as it came
            listed = {}
        if NAME in listed:
            self.pod("rm", "-f", "-v", NAME).ok()
        self._forget_pushed(whole=whole)
        self._forget_built(whole=whole)
        if VOLUME in os.listdir(self.pod.root / "volumes"):
            self.pod("volume", "rm", VOLUME).ok()
        if self.pod("network", "ls", "-q", "-f", f"name={NETWORK}").ok():
            self.pod("network", "rm", NETWORK).ok()
        if self._anonymous():
            self.pod("volume", "prune", "-f").ok()
        if self._verb == "import":  # Once more: what a kill has left is this image's blob.
            self.pod("import", str(self.pod.base / "layer.tar"), "imported:1").ok()
            self.pod("rmi", "imported:1").ok()
        if whole or not self._has_image():
            assert set(self.pod("images", "-q", "--no-trunc").ok().split()) <= {self.config}
            self.pod("pull", "-q", self.image).ok()
        if whole:
            self._use_image()
        self._settle(self.base)

    def _forget_committed(self, listed: dict[str, str]) -> None:
        """Once more: what a kill has left is this image's."""
        if self._verb == "commit" and NAME in listed:
            self.pod("commit", NAME, "committed:1").ok()
            self.pod("rmi", "committed:1").ok()

    def _build(self) -> int:
        """That build; how many of its steps were there."""
        done = self.pod("build", "--progress", "plain", *_BUILD[2:-1], str(self.pod.base / "context"))
        done.ok()
        return done.err.count(" CACHED\n")

    def _forget_built(self, *, whole: bool) -> None:
        """The image, if there is one, works; the next build goes on where that one ended; then both go."""
        if self._verb not in ("", "build", "builder"):
            return
        builder = self.pod.root / "builder"
        if self._made():
            self._use_built()
        known = [path for path in builder.glob("cache/*") if len(path.name) == 64]
        assert self._build() == len(known), f"of {len(known)} steps that are known others were taken"
        left = [str(path) for name in ("work", "holds") for path in builder.glob(f"{name}/*")]
        assert not left, f"builds at work are left: {left}"
        records = sorted(path.name for path in builder.glob("cache/*"))
        assert len(records) == _STEPS, f"records of {_STEPS} steps: {records}"
        if whole:
            self._use_built()
            assert self._build() == _STEPS, "its steps are not known"
        self.pod("rmi", "built:1").ok()
        self.pod("builder", "prune", "-af").ok()

    def _made(self) -> bool:
        return "built:1" in self.pod("images", "--format", "{{.Repository}}:{{.Tag}}").ok().split()

    def _use_built(self) -> None:
        words = ("run", "--rm", "--network", "none", "built:1", "sh", "-c", "busybox wc -c </srv/twice")
        assert self.pod(*words).ok().strip() == "320000"

    def _forget_pushed(self, *, whole: bool) -> None:
        """The name that was to be pushed goes; with ``whole`` it is pushed first."""
        if self._verb != "push":
            return
        if self.target in self.pod("images", "--format", "{{.Repository}}:{{.Tag}}").ok().split():
            if whole:
                self.pod("push", "-q", self.target).ok()
            self.pod("rmi", self.target).ok()

    def begin_again(self) -> None:
        """An empty store in place of one that a finding has spoilt."""
        leaks.end_processes(self.pod.root)
        tools.remove_tree(self.pod.root)
        self._fill()

    def _use(self, state: str) -> None:
        """The container starts, works and stops."""
        if state != "running":
            self.pod("start", NAME).ok()
        if self.pod.inspect(NAME)["Config"]["Cmd"] == ["sleep", "1000"]:
            assert self.pod("exec", NAME, "echo", "works").ok() == "works\n"
            self.pod("stop", "-t", "0", NAME).ok()

    def _use_image(self) -> None:
        assert self.pod("run", "--rm", "--network", "none", self.image, "echo", "works").ok() == "works\n"
        self.pod("rmi", self.image).ok()
        assert not self.pod("images", "-q").ok()
        self.pod("pull", "-q", self.image).ok()
        assert self.pod("images", "-q", "--no-trunc").ok().strip() == self.config

    def _anonymous(self) -> bool:
        return any(len(name) == 64 for name in os.listdir(self.pod.root / "volumes"))

    def _has_image(self) -> bool:
        names = {name for name in self.base if name.startswith(("refs/", "images/", "blobs/"))}
        layers = {name for name in self.base if name.startswith("layers/") and name.endswith("/done")}
        return all((self.pod.root / name).exists() for name in names | layers)

    def _age(self) -> None:
        age(self.pod.root)

    def _tree(self) -> dict[str, str]:
        return tree(self.pod.root)

    def _settle(self, base: dict[str, str] | None) -> None:
        """Waits for those who tidy up in the background; then there are no processes, and the tree is BASE."""
        deadline = time.monotonic() + 15
        again = time.monotonic() + 1
        while True:
            wrong = leaks.left(self.pod.root)
            wrong += [f"group: {path}" for folder in tools.split_cgroups() for path in folder.glob("pod-*")]
            if not wrong and base is not None:
                wrong = difference(base, self._tree())
            if not wrong:
                return
            assert time.monotonic() < deadline, "left: " + "\n".join(wrong[:12])
            time.sleep(0.02)
            if time.monotonic() > again:
                self._age()
                self.pod("ps", "-a").ok()
                self.pod("pull", "-q", self.image).ok()
                again = deadline


def difference(base: dict[str, str], now: dict[str, str]) -> list[str]:
    return [
        *(f"more: {name}" for name in sorted(set(now) - set(base))),
        *(f"missing: {name}" for name in sorted(set(base) - set(now))),
        *(f"changed: {name}: {was} → {now[name]}" for name, was in base.items() if now.get(name, was) != was),
    ]
