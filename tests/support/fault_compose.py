"""Applications that are brought up and taken down, killed on the way; what must be true after it."""

from __future__ import annotations

import json
import re
import time
from typing import NamedTuple

from tests.support import leaks, tools
from tests.support.compose import App
from tests.support.fault_cases import age, difference, tree
from tests.support.faulter import Call, Outcome
from tests.support.podcli import Pod

NAME = "shop"
SHAPE = """
services:
  db:
    image: %IMAGE%
    command: [sleep, "1000"]
    environment: {RELEASE: "${RELEASE:-1}"}
    volumes: [rows:/rows, /scratch]
    networks: [back]
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, "true"], interval: 500ms, timeout: 30s, retries: 3}
  web:
    image: %IMAGE%
    command: [sleep, "1000"]
    depends_on: {db: {condition: service_healthy}}
    networks: [front, back]
    secrets: [word]
    configs: [{source: text, target: /text, uid: "7"}]
    stop_signal: SIGKILL
networks: {front: {}, back: {internal: true}}
volumes: {rows: {}}
secrets: {word: {environment: WORD}}
configs: {text: {content: "to be read"}}
"""


class Case(NamedTuple):
    """One command. ``release``: which is up before it, 0: none; ``wanted``: which it is about."""

    command: tuple[str, ...]
    release: int
    wanted: int
    sample: int
    """How many kills `make test` tries."""
    whole: int
    """How many of the 200 `make test-faults` tries."""


CASES = {
    "compose up": Case(("up", "-d"), 0, 1, 2, 80),
    "compose up, changed": Case(("up", "-d"), 1, 2, 1, 60),
    "compose down": Case(("down", "-v"), 1, 1, 2, 60),
}


class Applications:
    """A store with one image, and the way back to it after each kill."""

    def __init__(self, pod: Pod, image: str) -> None:
        self.pod = pod
        self.image = image
        folder = pod.base / "application"
        folder.mkdir(exist_ok=True)
        self.app = App(pod, image, folder, NAME).write(SHAPE)
        self._fill()

    def _fill(self) -> None:
        self.pod("pull", "-q", self.image).ok()
        self._up(1)
        self.app("down", "-v").ok()
        self._settle(None)
        self.base = tree(self.pod.root)

    def begin_again(self) -> None:
        """An empty store in place of one that a finding has spoilt."""
        leaks.end_processes(self.pod.root)
        tools.remove_tree(self.pod.root)
        self._fill()

    def environ(self, release: int) -> dict[str, str]:
        return {"RELEASE": str(release), "WORD": f"word {release}"}

    def argv(self, case: Case) -> list[str]:
        return self.pod.argv(*self.app.argv(*case.command))

    def prepare(self, case: Case) -> None:
        if case.release:
            self._up(case.release)
        if case.release != case.wanted and case.release:
            self.pod("exec", "shop-db-1", "sh", "-c", "echo kept >/rows/file; echo kept >/scratch/file").ok()

    def judge(self, call: Call, outcome: Outcome) -> str:
        """What the command said of it: "killed", "done" or "refused"; AssertionError where it was none of these."""
        told = f"[{outcome.code}]\n--- out\n{outcome.out}\n--- err\n{outcome.err}"
        if outcome.code == -9 and call.process in ("0", "0t"):
            return "killed"
        assert outcome.code >= 0, f"a signal ended it: {told}"
        assert "Traceback" not in outcome.err, f"a traceback: {told}"
        if outcome.code == 0:
            return "done"
        assert outcome.code == 1, f"the wrong code: {told}"
        assert re.search(r"^pod: ", outcome.err, re.M), f"no clear line: {told}"
        return "refused"

    def heal(self, case: Case, verdict: str, *, other: bool, sure: bool = True) -> None:
        """The same command completes, or with ``other`` the other one; after ``down -v`` nothing is left.

        Without the process that emulates root a container runs on and tells everybody to start it again: so after its
        end it is ``down``. ``sure``: what it says is done is looked at before that; where a process of the container
        was killed, its first one or its supervisor, that may have been afterwards.
        """
        up = case.command[0] == "up"
        if verdict == "done" and sure and not other:
            self._works(case) if up else self._settle(self.base)
        if up is not other:
            self._up(case.wanted)
            self._works(case)
        self.app("down", "-v", env=self.environ(case.wanted)).ok()
        self._settle(self.base)

    def _up(self, release: int) -> None:
        self.app("up", "-d", env=self.environ(release)).ok()

    def _works(self, case: Case) -> None:
        """Both run, as they are wanted; what the volumes of a former release had is there."""
        found = json.loads(self.pod("inspect", "shop-db-1", "shop-web-1").ok())
        states = [one["State"]["Status"] for one in found]
        assert states == ["running", "running"], f"db and web: {states}"
        assert f"RELEASE={case.wanted}" in found[0]["Config"]["Env"], "the former release"
        words = "read a </run/secrets/word; read b </text; echo $a, $b"
        said = self.pod("exec", "shop-web-1", "sh", "-c", words)
        assert said.ok() == f"word {case.wanted}, to be read\n", repr(said)
        if case.release != case.wanted and case.release:
            words = "read a </rows/file; read b </scratch/file; echo $a $b"
            said = self.pod("exec", "shop-db-1", "sh", "-c", words)
            assert said.ok() == "kept kept\n", repr(said)

    def _settle(self, base: dict[str, str] | None) -> None:
        """Waits for those who tidy up in the background; then there are no processes, and the store is BASE."""
        begin = time.monotonic()
        looks = 1.0
        while True:
            wrong = leaks.left(self.pod.root)
            if not wrong and base is not None:
                wrong = difference(base, tree(self.pod.root))
            if not wrong:
                return
            now = time.monotonic()
            assert now < begin + 15, "left: " + "\n".join(wrong[:12])
            time.sleep(0.02)
            if now > begin + looks:
                age(self.pod.root)
                self.pod("ps", "-a").ok()
                looks += 5
