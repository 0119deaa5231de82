"""The commands that are disturbed, and what must be true after it."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support import leaks, podcli, tools
from tests.support.faulter import ARM, Call, Outcome
from tests.support.podcli import Pod

NAME = "subject"
VOLUME = "vol"
BEFORE_THE_REGISTRY_FORGETS = 100_000.0
"""Seconds by which what was left half made is aged: more than the day for which the beginning of a blob is kept."""
HIDDEN = (
    *("blobs/*/.*", "refs/.*", "images/.*", "layers/*/.*", "containers/.*", "volumes/.*", "names/*"),
    *(".index.json.*", "cache/seccomp/.*"),
)
"""What may be half made, and temporary files."""
_PROBLEM = re.compile(r"^pod: ", re.M)


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
_ID = r"[0-9a-f]{64}\n"

CASES = {
    "pull": Case(("pull", "-q", "IMAGE"), "absent", r"\S+\n", 1, 24),
    "run --rm": Case(("run", "--rm", *_RUN, "IMAGE", "echo", "works"), "image", r"works\n", 125, 24),
    "run -d": Case(("run", "-d", *_RUN, "IMAGE", "true"), "image", _ID, 125, 24),
    "create": Case(("create", *_RUN, "IMAGE", "sleep", "1000"), "image", _ID, 125, 8),
    "start": Case(("start", NAME), "created", f"{NAME}\n", 1, 18),
    "exec": Case(("exec", NAME, "echo", "works"), "running", r"works\n", 126, 18),
    "stop": Case(("stop", "-t", "0", NAME), "created", f"{NAME}\n{NAME}\n", 1, 12, ("start", NAME)),
    "rm": Case(("rm", "-v", NAME), "created", f"{NAME}\n", 1, 12),
    "rm -f": Case(("rm", "-f", "-v", NAME), "created", f"{NAME}\n{NAME}\n", 1, 8, ("start", NAME)),
    "rmi": Case(("rmi", "IMAGE"), "image", r"(Untagged|Deleted): .*\n", 1, 12),
    "volume create": Case(("volume", "create", VOLUME), "image", f"{VOLUME}\n", 1, 4),
    "volume rm": Case(("volume", "rm", VOLUME), "volume", f"{VOLUME}\n", 1, 4),
}


def tree(root: Path) -> dict[str, str]:
    """What a store holds: path → kind, mode, and the content of small files. Not the events, nor what caches note."""
    found = {}
    for path in _walk(root):
        name = str(path.relative_to(root))
        if name.startswith(("events", "cache/said-", "cache/unsynced", "cache/run/", "owners")):
            continue
        status = path.lstat()
        text = f"{stat.S_IFMT(status.st_mode):o} {stat.S_IMODE(status.st_mode):o}"
        if stat.S_ISREG(status.st_mode):
            text += f" {status.st_size}"
            if status.st_size < 65536 and os.access(path, os.R_OK):
                text += " " + hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        found[name] = text
    return found


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, onerror=lambda error: None):
        for name in [*folders, *files]:
            yield Path(folder) / name


class World:
    """A store with one image, and the way back to it after each disturbance."""

    def __init__(self, pod: Pod, image: str) -> None:
        self.pod = pod
        self.image = image
        self._fill()

    def _fill(self) -> None:
        self.pod("pull", "-q", self.image).ok()
        self.config = self.pod("images", "-q", "--no-trunc").ok().strip()
        self.pod("run", "--rm", "--network", "none", self.image, "true").ok()
        self.pod("volume", "create", VOLUME).ok()
        self.pod("volume", "rm", VOLUME).ok()
        self._settle(None)
        self.base = self._tree()

    def argv(self, case: Case) -> list[str]:
        """The command line that is traced."""
        own = self.pod.argv(*(self.image if word == "IMAGE" else word for word in case.command))
        if not case.first:
            return own
        first = shlex.join(self.pod.argv(*case.first))
        return ["/bin/dash", "-c", f"{first} || exit; [ -e {ARM} ]; exec {shlex.join(own)}"]

    def prepare(self, case: Case) -> None:
        """What there is before the command: "absent" (not even the image), "image", "created", "running", "volume"."""
        self._forget_prepared()
        if case.before == "absent":
            self.pod("rmi", self.image).ok()
        elif case.before == "volume":
            self.pod("volume", "create", VOLUME).ok()
        elif case.before in ("created", "running"):
            verb = ("create",) if case.before == "created" else ("run", "-d")
            self.pod(*verb, *_RUN, self.image, "sleep", "1000").ok()

    def _forget_prepared(self) -> None:
        """Each start takes the long way by Python, the first as the second."""
        for path in (podcli.shared_cache() / "pod").glob("*/starts/*"):
            path.unlink(missing_ok=True)

    def judge(self, case: Case, call: Call, fault: int, outcome: Outcome, starting: bool) -> str:
        """What the command said of it: "killed", "done" or "refused"; AssertionError where it was none of these."""
        told = f"[{outcome.code}]\n--- out\n{outcome.out}\n--- err\n{outcome.err}"
        if outcome.code == -9 and not fault and call.process in ("0", "0t"):
            return "killed"
        assert outcome.code >= 0, f"a signal ended it: {told}"
        if outcome.code == 0:
            assert re.fullmatch(f"({case.says})+", outcome.out), f"it succeeded without doing it: {told}"
            return "done"
        if starting:  # the interpreter's own words, where there is no pod yet
            assert outcome.err, f"it says nothing: {told}"
            return "refused"
        if not fault and outcome.code == 137:  # it looks as if the program had been killed
            return "refused"
        assert len(_PROBLEM.findall(outcome.err)) == 1, f"no clear line: {told}"
        assert "Traceback" not in outcome.err, f"a traceback: {told}"
        codes = {125, 126, 127} if case.command[0] in ("run", "exec") else {case.code}
        assert outcome.code in codes, f"the wrong code: {told}"
        return "refused"

    def heal(self, *, whole: bool) -> None:
        """The next commands succeed, and when they are done all is as it was: nothing half made, nothing left."""
        self._age()
        lines = self.pod("ps", "-a", "--format", "{{.Names}} {{.State}}").ok().splitlines()
        listed = dict(line.split() for line in lines)
        assert set(listed) <= {NAME}, listed
        if whole and NAME in listed:
            self._use(listed[NAME])
        if NAME in listed:
            self.pod("rm", "-f", "-v", NAME).ok()
        if VOLUME in os.listdir(self.pod.root / "volumes"):
            self.pod("volume", "rm", VOLUME).ok()
        if self._anonymous():
            self.pod("volume", "prune", "-f").ok()
        if whole or not self._has_image():
            assert set(self.pod("images", "-q", "--no-trunc").ok().split()) <= {self.config}
            self.pod("pull", "-q", self.image).ok()
        if whole:
            self._use_image()
        self._settle(self.base)

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
        """As if a day had gone by for what is hidden, so that the next command takes it for what it is."""
        then = time.time() - BEFORE_THE_REGISTRY_FORGETS
        for pattern in HIDDEN:
            for path in self.pod.root.glob(pattern):
                os.utime(path, (then, then), follow_symlinks=False)

    def _tree(self) -> dict[str, str]:
        return tree(self.pod.root)

    def _settle(self, base: dict[str, str] | None) -> None:
        """Waits for those who tidy up in the background; then there are no processes, and the tree is BASE."""
        deadline = time.monotonic() + 15
        again = time.monotonic() + 1
        while True:
            wrong = leaks.left(self.pod.root)
            if not wrong and base is not None:
                wrong = _difference(base, self._tree())
            if not wrong:
                return
            assert time.monotonic() < deadline, "left: " + "\n".join(wrong[:12])
            time.sleep(0.02)
            if time.monotonic() > again:
                self._age()
                self.pod("ps", "-a").ok()
                self.pod("pull", "-q", self.image).ok()
                again = deadline


def _difference(base: dict[str, str], now: dict[str, str]) -> list[str]:
    return [
        *(f"more: {name}" for name in sorted(set(now) - set(base))),
        *(f"missing: {name}" for name in sorted(set(base) - set(now))),
        *(f"changed: {name}: {was} → {now[name]}" for name, was in base.items() if now.get(name, was) != was),
    ]
