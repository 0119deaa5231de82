"""A store on a small disk that fills up while a container runs."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.support.nodes import Node
from tests.support.podcli import until

pytestmark = [pytest.mark.alike, pytest.mark.nodes]

SPEAKS = "trap 'exit 7' TERM; n=0; while :; do n=$((n+1)); echo line $n; sleep 0.01; done"


@pytest.fixture
def small(fresh_pod, registry):
    node = Node(fresh_pod, "small", 1, small="24m")
    node("pull", registry.name("busybox:latest"), timeout=120).ok()
    yield node
    node.close()


def sh(node, script):
    subprocess.run(node.words("sh", "-c", script), env=node.pod.environ(), cwd="/", check=False, timeout=60)


def fill(node):
    sh(node, f"cat /dev/zero > {node.pod.root}/filler 2>/dev/null")


def test_disk_when_it_fills_up_then_lost_lines_are_told_and_the_exit_code_is_kept(small, registry):
    image = registry.name("busybox:latest")
    small("run", "-d", "--name", "speaks", "--network", "none", image, "sh", "-c", SPEAKS).ok()
    until(lambda: "line 5" in small("logs", "speaks").ok(), 20, "it to speak")
    fill(small)
    full = len(small("logs", "speaks").out)
    sh(small, "sleep 1")
    sh(small, f"rm {small.pod.root}/filler")
    until(lambda: "were lost" in small("logs", "speaks").err, 20, "the log to say what it lost")
    logs = small("logs", "speaks")
    assert "bytes of this log were lost: no space left on device\n" in logs.err
    assert logs.err.count("were lost") == 1
    lines = logs.out.splitlines()
    until(lambda: len(small("logs", "speaks").out) > full + 100, 20, "it to go on")
    assert all(line.startswith("line ") for line in lines), lines
    fill(small)
    assert small("ps", "-a").ok()
    small("stop", "speaks")
    state = json.loads(small("inspect", "--format", "{{json .State}}", "speaks").ok())
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    assert state["FinishedAt"] > state["StartedAt"]
    small("rm", "speaks").ok()
    sh(small, f"rm {small.pod.root}/filler")
    assert small("run", "--rm", "--network", "none", image, "echo", "again").ok() == "again\n"


@pytest.mark.parametrize("full", ["RUN", "layer", "COPY"])
def test_build_when_the_disk_is_full_then_it_says_so_and_the_next_goes_on(small, registry, full):
    """By what a RUN writes; by the layer of what it has written; by a COPY."""
    base = small.pod.base  # not below /tmp: a node has one of its own
    context = base / "context"
    context.mkdir()
    begin = f"FROM {registry.name('busybox:latest')}\nRUN echo first >/first\n"
    (context / "large").write_bytes(os.urandom(14 << 20 if full == "COPY" else 0))
    steps = {
        "RUN": "RUN dd if=/dev/urandom of=/large bs=1M count=40",
        "layer": "RUN dd if=/dev/urandom of=/large bs=1M count=14",
        "COPY": "COPY large /one\nCOPY large /two",
    }
    (context / "Dockerfile").write_text(f"{begin}{steps[full]}\n")
    build = ("build", "--progress", "plain", "--network", "none", "-t", "made:1", str(context))
    failed = small(*build)
    assert failed.code == 1, failed
    assert "no space left on device" in failed.err.lower(), failed
    assert "Traceback" not in failed.err, failed
    (context / "Dockerfile").write_text(f"{begin}RUN cat /first >/second\n")
    done = small(*build)
    done.ok()
    assert done.err.count(" CACHED\n") == 1, done
    assert small("run", "--rm", "--network", "none", "made:1", "cat", "/second").ok() == "first\n"
    root = small.pod.root
    sh(small, f"ls -A {root}/builder/work {root}/blobs/sha256 >{base}/left")
    left = (base / "left").read_text().splitlines()
    assert not [name for name in left if name.startswith(".") or name.count(".") == 2], left


@pytest.mark.slow  # that nothing happens takes its time
def test_volume_when_who_fills_it_is_stopped_then_another_start_ends_in_one_line(small, registry):
    image = registry.name("busybox:latest")
    small("volume", "create", "kept").ok()
    mark = f"{small.pod.root}/volumes/kept/filling"
    words = small.words("flock", "-x", mark, "sh", "-c", "echo held; read x")
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    run = ("run", "--rm", "--network", "none", "-v", "kept:/bin", image, "echo", "ok")
    small(*run, timeout=60).failed(125, "filling", "another container")
    holder.communicate(b"\n", timeout=20)
    assert small(*run).ok() == "ok\n"
    assert small("ps", "-aq").ok() == ""
