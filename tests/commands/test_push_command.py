"""`pod push` as it is typed: Docker's lines, what other tools see of it, crowds, and a push that is killed."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.image import store
from pod.core.oci import platform
from tests.support import tools
from tests.support.podcli import Pod, until
from tests.support.registry import Registry
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import MANIFEST, Built, archive, digest

pytestmark = [pytest.mark.alike, pytest.mark.pure]
HOST = platform.host().architecture


def noise(size: int, seed: int) -> bytes:
    return archive(noise=random.Random(seed).randbytes(size).decode("latin-1"))


def pulled(pod: Pod, server: Scripted, name: str, built: Built) -> str:
    reference = server.image(name, built.manifest, built.blobs, MANIFEST)
    pod("pull", "-q", reference).ok()
    return reference


def short(built: Built) -> list[str]:
    return [layer["digest"][7:19] for layer in built.manifest_document["layers"]]


def test_push_when_new_and_again_then_dockers_lines_to_the_letter(
    offline_pod: Pod, server: Scripted, writable_registry: Registry
) -> None:
    built = Built(archive(a="1"), archive(b="2"), architecture=HOST)
    bare = f"{writable_registry.host}/team/app"
    offline_pod("tag", pulled(offline_pod, server, "team/app:v1", built), bare).ok()
    head = ["Using default tag: latest", f"The push refers to repository [{bare}]"]
    last = f"latest: digest: {digest(built.manifest)} size: {len(built.manifest)}"
    for done in ("Pushed", "Layer already exists"):
        lines = offline_pod("push", bare).ok().splitlines()
        assert lines[:2] == head
        assert lines[2:4] == [f"{layer}: Preparing" for layer in short(built)]
        assert sorted(lines[4:-1]) == sorted(f"{layer}: {done}" for layer in short(built))
        assert lines[-1] == last
    assert offline_pod("image", "push", "-q", bare).ok() == f"{bare}:latest\n"
    digests = offline_pod("image", "inspect", "--format", "{{json .RepoDigests}}", bare).ok()
    assert f"{bare}@{digest(built.manifest)}" in json.loads(digests)
    assert "push" in offline_pod("events", "--since", "1h", "--until", "0s", "--filter", "event=push").ok()
    offline_pod("push", "-a", f"{bare}:x").failed(1, "tag can't be used with --all-tags/-a")
    assert offline_pod("push", "-aq", bare).ok() == bare + "\n"


def test_push_on_a_terminal_draws_a_line_for_each_layer(
    offline_pod: Pod, server: Scripted, writable_registry: Registry
) -> None:
    built = Built(archive(a="1"), noise(3 << 20, 1), architecture=HOST)
    target = f"{writable_registry.host}/team/app:v1"
    offline_pod("tag", pulled(offline_pod, server, "team/app:v1", built), target).ok()
    terminal = offline_pod.terminal("push", target, columns=120)
    terminal.expect(rb"(?s)Preparing.*Pushing.*Pushed.*v1: digest: sha256:")
    assert terminal.wait() == 0


@pytest.mark.docker_registry
def test_push_of_twenty_at_once_sends_each_shared_layer_once(
    offline_pod: Pod, server: Scripted, tmp_path: Path
) -> None:
    shared = [archive(a="1"), noise(1 << 20, 2), archive(c="3")]
    target = Scripted(tmp_path / "target")
    try:
        names = []
        tags = [f"v{number}" for number in range(20)]
        for tag in tags:
            built = Built(*shared, archive(own=tag), architecture=HOST)
            source = server.image(f"team/app:{tag}", built.manifest, built.blobs, MANIFEST)
        server.rules({"path": "/tags/list", "body": json.dumps({"name": "team/app", "tags": tags})})
        offline_pod("pull", "-aq", source.rpartition(":")[0]).ok()
        engine = Engine(offline_pod.environ(), root=str(offline_pod.root))
        for tag in tags:
            names.append(f"{target.host}/team/app:{tag}")
            store.tag(engine, f"{server.host}/team/app:{tag}", names[-1])
        pushes = [offline_pod.start("push", "-q", name) for name in names]
        for push in pushes:
            _, err = push.communicate(timeout=120)
            assert push.returncode == 0, err
        finished = [one["path"] for one in target.requests("digest=") if one["method"] == "PUT"]
        by_digest = [path.partition("digest=")[2] for path in finished]
        assert len(by_digest) == len(set(by_digest)) == 3 + 20 + 20  # shared, own, configurations
    finally:
        target.stop()


def test_push_that_was_killed_sends_only_what_is_not_there(offline_pod: Pod, server: Scripted, tmp_path: Path) -> None:
    built = Built(noise(1 << 20, 3), noise(6 << 20, 4), architecture=HOST)
    first, second = (layer["digest"] for layer in built.manifest_document["layers"])
    target = Scripted(tmp_path / "target")
    try:
        name = f"{target.host}/team/app:v1"
        offline_pod("tag", pulled(offline_pod, server, "team/app:v1", built), name).ok()
        target.rules({"method": "PUT", "path": "/manifests/", "status": 503}, {"method": "PATCH", "status": 503})
        push = offline_pod.start("push", name)
        until(lambda: bool(target.requests(first)) and (target.folder / "blobs/sha256" / first[7:]).exists(), 30, "it")
        until(lambda: any(one["method"] == "PATCH" for one in target.requests()), 30, "the large layer to be sent")
        push.send_signal(signal.SIGKILL)
        push.wait(10)
        target.forget()
        target.rules()
        lines = offline_pod("push", name).ok().splitlines()
        assert f"{first[7:19]}: Layer already exists" in lines
        assert f"{second[7:19]}: Pushed" in lines
        assert first not in "".join(one["path"] for one in target.requests() if one["method"] == "PUT")
        assert (target.folder / "blobs/sha256" / second[7:]).read_bytes() == built.blobs[second]
    finally:
        target.stop()


def test_push_when_a_stopped_push_holds_a_layer_then_goes_on_without_it(
    offline_pod: Pod, server: Scripted, tmp_path: Path
) -> None:
    built = Built(noise(1 << 20, 5), architecture=HOST)
    target = Scripted(tmp_path / "target")
    try:
        name = f"{target.host}/team/app:v1"
        offline_pod("tag", pulled(offline_pod, server, "team/app:v1", built), name).ok()
        target.rules({"method": "PUT", "path": "digest=", "status": 503, "headers": {"Retry-After": "50"}, "times": 1})
        push = offline_pod.start("push", name)
        until(lambda: bool(target.requests("digest=")), 30, "the layer to be sent")
        push.send_signal(signal.SIGSTOP)
        offline_pod("push", name).ok()
        push.send_signal(signal.SIGKILL)
    finally:
        target.stop()


def inspected(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skopeo
def test_push_is_read_by_skopeo_with_the_same_digests(
    fresh_pod: Pod, writable_registry: Registry, tmp_path: Path
) -> None:
    target = f"{writable_registry.host}/team/busybox:1"
    fresh_pod("tag", fresh_pod.image("busybox:latest"), target).ok()
    said = re.search(r"digest: (sha256:\S+)", fresh_pod("push", target).ok())
    skopeo = tools.find("skopeo") or "skopeo"
    plain = f"docker://{target}"
    assert said is not None
    told = inspected(skopeo, "inspect", "--tls-verify=false", "--format", "{{.Digest}}", plain)
    assert told.strip() == said.group(1)
    to = f"oci:{tmp_path}/copy:x"
    inspected(skopeo, "--insecure-policy", "copy", "--src-tls-verify=false", "--preserve-digests", "-q", plain, to)
    index = json.loads((tmp_path / "copy/index.json").read_text())
    assert index["manifests"][0]["digest"] == said.group(1)


def peak(process: subprocess.Popen[bytes]) -> int:
    """The largest resident size of a command until its end, in KiB."""
    most = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, IndexError, ValueError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            most = max(most, int(status.partition("VmHWM:")[2].split()[0]))
        time.sleep(0.01)
    assert process.returncode == 0
    return most


@pytest.mark.parametrize("size", [48 << 20, pytest.param(2 << 30, marks=pytest.mark.slow)])
def test_push_of_a_large_layer_takes_little_memory(
    offline_pod: Pod, server: Scripted, writable_registry: Registry, size: int
) -> None:
    built = Built(archive(a="1"), architecture=HOST)
    source = pulled(offline_pod, server, "team/app:v1", built)
    target = f"{writable_registry.host}/team/large:v1"
    large = grown(offline_pod, built, size)
    offline_pod("tag", source, target).ok()
    begin = time.monotonic()
    most = peak(offline_pod.start("push", "-q", target))
    sys.stderr.write(f"push of {size >> 20} MiB: peak {most >> 10} MiB, {time.monotonic() - begin:.1f} s\n")
    assert 0 < most < 64 << 10
    assert f"{large[7:]}" in str(list(Path(writable_registry.storage).glob("**/blobs/sha256/*/*")))


def grown(pod: Pod, built: Built, size: int) -> str:
    """Makes the image's layer a large one in the store; returns its digest. It is not unpacked by a push."""
    import hashlib

    from tests.support.scripted import generated

    path = pod.root / "blobs/sha256" / "large"
    made = hashlib.sha256()
    with path.open("wb") as file:
        for piece in generated(size, 1):
            made.update(piece)
            file.write(piece)
    name = "sha256:" + made.hexdigest()
    path.rename(path.with_name(made.hexdigest()))
    built.manifest_document["layers"][0].update(digest=name, size=size)
    (pod.root / "blobs/sha256" / digest(built.manifest)[7:]).write_bytes(built.manifest)
    record = pod.root / "images" / built.id[7:]
    document = json.loads(record.read_text())
    document["manifest"] = digest(built.manifest)
    document["layers"][0].update(digest=name, size=size)
    record.write_text(json.dumps(document))
    for ref in (pod.root / "refs").iterdir():
        ref.write_text(json.dumps({**json.loads(ref.read_text()), "digest": digest(built.manifest)}))
    return name


@pytest.mark.parametrize(
    "tool", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("podman", "buildah")]
)
def test_push_is_pulled_by_others_as_the_same_image(
    offline_pod: Pod, server: Scripted, writable_registry: Registry, tool: str
) -> None:
    built = Built(archive(a="1"), archive(b="2"), architecture=HOST)
    target = f"{writable_registry.host}/team/app:v1"
    offline_pod("tag", pulled(offline_pod, server, "team/app:v1", built), target).ok()
    offline_pod("push", target).ok()
    with tools.short_folder() as base:
        policy = base / ".config/containers/policy.json"
        policy.parent.mkdir(parents=True)
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        environ = {"PATH": tools.SEARCH, "HOME": str(base), "TMPDIR": str(base), "XDG_RUNTIME_DIR": str(base)}
        argv = [tools.find(tool) or tool, "--root", str(base / "root"), "--runroot", str(base / "run")]
        argv += ["--storage-driver", "vfs", "pull", "--quiet", "--tls-verify=false", target]
        done = subprocess.run(argv, env=environ, cwd=base, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[-1] == built.id.removeprefix("sha256:")
