"""One home, many nodes: two hosts, of namespaces (tests/support/nodes.py), on one store."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path

import pytest

from pod.core.runtime import seccomp
from tests.support.nodes import Node

pytestmark = [pytest.mark.alike, pytest.mark.nodes]

FILTERED = str(Path(__file__).resolve().parents[1] / "support/filtered.py")


@pytest.fixture
def pod(fresh_pod):
    """With a store of its own: a node, which has no sub-ids, cannot remove what others unpacked with theirs."""
    return fresh_pod


@pytest.fixture
def node(pod):
    """Makes nodes: ``node("alpha", 1)``."""
    made = []

    def make(name, number, boot=1):
        made.append(Node(pod, name, number, boot))
        return made[-1]

    yield make
    for one in made:
        for name in one("ps", "-aq").out.split() if one.lives else ():
            one("rm", "-f", name)
        one.close()


@pytest.fixture
def two(node, busybox):
    return node("alpha", 1), node("beta", 2)


def status(node, name):
    return node("ps", "-a", "--filter", f"name={name}", "--format", "{{.Status}}").ok().strip()


def starts(pod, container_id):
    """How often it was started, by the events of the store."""
    lines = [json.loads(line) for line in (pod.root / "events").read_text().splitlines()]
    return sum((one["Action"], one["Actor"]["ID"]) == ("start", container_id) for one in lines)


def look(pod, name):
    folder = pod.root / "containers" / pod("inspect", "--format", "{{.Id}}", name).ok().strip()
    return {path: (folder / path).read_bytes() for path in ("config.json", "state.json")}


REFUSED = (
    "stop", "kill", "restart", "start", "rm", "rm -f", "pause", "unpause", "top", "attach", "exec {} true", "diff"
)  # fmt: skip


def test_node_when_a_container_runs_on_another_then_it_is_shown_and_nothing_touches_it(pod, two, busybox):
    alpha, beta = two
    alpha("run", "-d", "--name", "theirs", "--network", "none", busybox, "sleep", "1000").ok()
    before = look(pod, "theirs")
    assert status(beta, "theirs") == "Elsewhere (alpha)"
    for command in REFUSED:
        words = command.format("theirs").split()
        done = beta(*words, *([] if "{}" in command else ["theirs"]))
        done.failed(1, "elsewhere", "alpha")
    beta("cp", "theirs:/etc/passwd", "/tmp/there").failed(1, "elsewhere", "alpha")
    beta("container", "prune", "-f").ok()
    beta("image", "prune", "-af").ok()
    beta("rmi", busybox).failed(1, "container")
    assert beta("run", "--rm", "--network", "none", busybox, "echo", "ours").ok() == "ours\n"
    assert look(pod, "theirs") == before
    assert alpha("exec", "theirs", "echo", "here").ok() == "here\n"
    waiting = beta.start("wait", "theirs")
    alpha("kill", "theirs").ok()
    assert beta.finish(waiting).ok() == "137\n"
    assert status(beta, "theirs").startswith("Exited (137)")
    beta("start", "theirs").ok()
    assert status(alpha, "theirs") == "Elsewhere (beta)"
    beta("rm", "-f", "theirs").ok()


def test_node_when_two_start_a_container_at_once_then_it_starts_once(pod, two, busybox):
    rounds = 4
    alpha = two[0]
    made = alpha("create", "--name", "wanted", "--network", "none", busybox, "sleep", "1000").ok().strip()
    for number in range(rounds):
        begun = [(one, one.start("start", "wanted")) for one in (two if number % 2 else two[::-1])]
        done = [(one, one.finish(process)) for one, process in begun]
        started = [one for one, result in done if result.code == 0]
        assert len(started) == 1, done
        [other] = [result for _, result in done if result.code]
        other.failed(1, "elsewhere", started[0].name)
        assert starts(pod, made) == number + 1
        assert started[0]("exec", "wanted", "echo", "one").ok() == "one\n"
        started[0]("stop", "-t", "0", "wanted").ok()
    assert not list(pod.root.glob("containers/*/*starting*"))
    alpha("rm", "wanted").ok()


def test_node_when_one_starts_and_the_other_removes_then_it_runs_or_it_is_gone(pod, two, busybox):
    alpha, beta = two
    for _ in range(4):
        alpha("create", "--name", "fought", "--network", "none", busybox, "sleep", "1000").ok()
        starting, removing = alpha.start("start", "fought"), beta.start("rm", "fought")
        started, removed = alpha.finish(starting), beta.finish(removing)
        assert (started.code, removed.code) in ((0, 1), (1, 0)), (started, removed)
        if started.code == 0:
            removed.failed(1, "elsewhere", "alpha")
            assert alpha("exec", "fought", "echo", "whole").ok() == "whole\n"
            alpha("rm", "-f", "fought").ok()
        assert alpha("ps", "-aq").ok() == ""


def test_node_when_it_crashed_then_the_next_boot_settles_and_others_do_not(pod, node, busybox):
    alpha, beta = node("alpha", 1), node("beta", 2)
    alpha("run", "-d", "--name", "lost", "--network", "none", busybox, "sleep", "1000").ok()
    alpha("run", "-d", "--rm", "--name", "rest", "--network", "none", busybox, "sleep", "1000").ok()
    alpha.crash()
    assert (status(beta, "lost"), status(beta, "rest")) == ("Elsewhere (alpha)",) * 2
    again = node("alpha", 1, boot=2)
    assert status(again, "lost").startswith("Exited (255)")
    assert status(again, "rest") == ""
    beta("start", "lost").ok()
    beta("rm", "-f", "lost").ok()


def test_node_when_one_removes_and_the_other_lists_then_neither_fails(two, busybox):
    alpha, beta = two
    for _ in range(3):
        ids = [alpha("create", "--network", "none", "-v", "/v", busybox, "true").ok().strip() for _ in range(4)]
        removing = alpha.start("rm", "-v", *ids)
        for _ in range(4):
            assert beta("ps", "-a").ok()
            assert beta("volume", "ls").ok()
        alpha.finish(removing).ok()
        assert beta("ps", "-aq").ok() == ""


def test_node_when_both_pull_one_image_then_both_have_it(pod, node, registry):
    """Each has locks of its own: what one half made is not the other's to use, or to take away."""
    alpha, beta = node("alpha", 1), node("beta", 2)
    image = registry.name("odd:latest")
    pod("rmi", "-f", image)
    pulls = [(one, one.start("pull", image)) for one in (alpha, beta)]
    for one, process in pulls:
        one.finish(process, timeout=120).ok()
    for one in (alpha, beta):
        assert one("run", "--rm", "--network", "none", image, "true").code in (0, 127)
    assert not list(pod.root.glob("blobs/sha256/.*"))
    pod("rmi", "-f", image).ok()


def refusing():
    """A filter's profile of what network file systems may refuse: attributes, locks of both kinds, hard links."""
    kinds = {"setxattr lsetxattr fsetxattr": 95, "flock": 37, "link linkat": 1}
    rules = [{"names": words.split(), "action": "SCMP_ACT_ERRNO", "errnoRet": errno} for words, errno in kinds.items()]
    set_lock = [{"index": 1, "value": 37, "op": "SCMP_CMP_EQ"}]
    rules.append({"names": ["fcntl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 37, "args": set_lock})
    return json.dumps({**seccomp.UNCONFINED, "syscalls": rules})


class Poor(Node):
    """A node whose commands cannot set attributes, lock or link."""

    def argv(self, *arguments):
        return self.words(sys.executable, FILTERED, refusing(), *self.pod.argv(*arguments))


def test_node_on_a_store_without_attributes_locks_and_links_then_two_work_on_it(fresh_pod, registry):
    """Hard links of layers are copies there; of two that pull, start or remove neither disturbs the other."""
    alpha, beta = Poor(fresh_pod, "alpha", 1), Poor(fresh_pod, "beta", 2)
    image = registry.name("odd:latest")
    try:
        for one, process in [(one, one.start("pull", image)) for one in (alpha, beta)]:
            one.finish(process, timeout=120).ok()
        owners = [path.read_bytes() for path in fresh_pod.root.glob("layers/*/*/owners")]
        assert sum(struct.unpack_from("<Q", one, 40)[0] for one in owners) > 0
        busybox = registry.name("busybox:latest")
        alpha("pull", busybox, timeout=120).ok()
        both = [(one, one.start("run", "--rm", "-v", "kept:/kept", busybox, "touch", f"/kept/{one.name}"))
                for one in (alpha, beta)]  # fmt: skip
        for one, process in both:
            one.finish(process).ok()
        assert sorted(os.listdir(fresh_pod.root / "volumes/kept/_data")) == ["alpha", "beta"]
        alpha("create", "--name", "wanted", busybox, "sleep", "1000").ok()
        begun = [(one, one.start("start", "wanted")) for one in (alpha, beta)]
        done = [one.finish(process) for one, process in begun]
        assert sorted(result.code for result in done) == [0, 1], done
        winner = (alpha, beta)[[result.code for result in done].index(0)]
        assert winner("exec", "wanted", "echo", "here").ok() == "here\n"
        winner("stop", "-t", "0", "wanted").ok()
        for words in (("rm", "wanted"), ("volume", "rm", "kept"), ("rmi", busybox, image), ("ps", "-a")):
            beta(*words).ok()
        assert beta("images", "-q").ok() == ""
    finally:
        alpha.close()
        beta.close()
