"""``commit``: what a container changed as a layer, the same whoever made it, and the image that has it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_run_plain_tree import MOUNT, on_overlay
from tests.support.podcli import Pod
from tests.support.registry import Registry

CHANGE = """
set -e
umask 022
echo more >>/etc/passwd; rm /etc/group; mkdir -p /made/in; echo x >/made/in/x; chmod 700 /home
rm -r /usr; mkdir /usr; touch /usr/new; ln /made/in/x /made/hard; ln -s x /made/in/link
mkfifo /made/fifo; chown -h 33:44 /made/in /made/in/link /made/fifo; echo v >/vol/v; echo t >/tmpfs/t
mknod /made/null c 1 3; mknod -m 600 /made/disk b 8 1; chown 7:8 /made/null
printf '#!/bin/sh\n' >/made/suid; chown 55:66 /made/suid; chmod 6755 /made/suid; touch /made/.wh.no
truncate -s 3000000 /made/holes; printf end >>/made/holes; touch "/made/a
b"
"""

LAYER = """
etc 5 755 0:0
etc/.wh.group 0 600 0:0 0
etc/passwd 0 644 0:0 P
home 5 700 0:0
made 5 755 0:0
made/a\\nb 0 644 0:0 0
made/disk 4 600 0:0 8,1
made/fifo 6 644 33:44
made/hard 0 644 0:0 2
made/holes 0 644 0:0 3000003
made/in 5 755 33:44
made/in/link 2 777 33:44 x
made/in/x 1 644 0:0 made/hard
made/null 3 644 7:8 1,3
made/suid 0 6755 55:66 10
usr 5 755 0:0
usr/.wh..wh..opq 0 600 0:0 0
usr/new 0 644 0:0 0
"""


def documents(store: Path, image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifest and configuration of the image of that id, whose digests are right."""
    record = json.loads((store / "images" / image.removeprefix("sha256:")).read_text())
    raw = [(store / "blobs/sha256" / record[key].removeprefix("sha256:")).read_bytes() for key in ("manifest", "id")]
    for data, key in zip(raw, ("manifest", "id")):
        assert "sha256:" + hashlib.sha256(data).hexdigest() == record[key]
    return json.loads(raw[0]), json.loads(raw[1])


def layer_of(store: Path, image: str, number: int = -1) -> Path:
    """The layer's blob, whose digests are held against its documents."""
    manifest, config = documents(store, image)
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"])
    told = manifest["layers"][number]
    path: Path = store / "blobs/sha256" / told["digest"].removeprefix("sha256:")
    assert told["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert (path.stat().st_size, "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()) == (
        told["size"], told["digest"],
    )  # fmt: skip
    plain = gzip.decompress(path.read_bytes())
    assert "sha256:" + hashlib.sha256(plain).hexdigest() == config["rootfs"]["diff_ids"][number]
    return path


def listed(path: Path) -> str:
    """Name, type, mode, owner, and what the type has, of each entry."""
    lines = []
    with tarfile.open(path) as tar:
        for one in tar:
            more = {"0": str(one.size), "1": one.linkname, "2": one.linkname}.get(one.type.decode(), "")
            if one.type in b"34":
                more = f"{one.devmajor},{one.devminor}"
            if one.name == "etc/passwd":
                more = "P"
            name = one.name.replace("\n", "\\n")
            lines.append(f"{name} {one.type.decode()} {one.mode:o} {one.uid}:{one.gid} {more}".rstrip())
    return "\n".join(lines) + "\n"


def tree(pod: Pod, name: str, path: Path) -> dict[str, tuple[object, ...]]:
    """What ``export`` tells of each path of a container."""
    pod("export", "-o", str(path), name).ok()
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(path) as tar:
        for one in tar:
            file = tar.extractfile(one) if one.isreg() or one.islnk() else None
            content = hashlib.sha256(file.read()).hexdigest() if file else one.linkname
            device = (one.devmajor, one.devminor) if one.type in b"34" else ()
            xattrs = sorted(key for key in one.pax_headers if "xattr" in key)
            kind = b"0" if one.islnk() else one.type
            found[one.name] = (kind, one.mode, one.uid, one.gid, one.mtime, content, device, xattrs)
    return found


@pytest.fixture(params=["running", "stopped"])
def changed(request: pytest.FixtureRequest, pod: Pod, busybox: str) -> str:
    pod("run", "-d", "--name", "changed", "--network", "none", "-v", "vol:/vol", "--tmpfs", "/tmpfs",
        "-v", "/a/b/c", busybox, "sh", "-c", CHANGE + "touch /tmpfs/done; sleep 1000").ok()  # fmt: skip
    pod("exec", "changed", "sh", "-c", "until [ -e /tmpfs/done ]; do sleep 0.1; done").ok()
    if request.param == "stopped":
        pod("stop", "-t", "0", "changed").ok()
    return "changed"


def test_commit_when_files_changed_then_one_layer_the_same_for_every_user(
    pod: Pod, changed: str, tmp_path: Path
) -> None:
    done = pod("commit", changed, "made/it")
    image = done.ok().strip()
    assert listed(layer_of(pod.root, image)) == LAYER.lstrip()
    assert "1 files with names that begin with \".wh.\" left out" in done.err
    pod("create", "--name", "again", "--network", "none", "-v", "vol:/vol", "--tmpfs", "/tmpfs", "made/it", "true").ok()
    pod("start", "-a", "again").ok()
    before, after = tree(pod, changed, tmp_path / "1"), tree(pod, "again", tmp_path / "2")
    for name in ("made/.wh.no", "vol", "tmpfs"):
        before.pop(name, None)
        after.pop(name, None)
    different = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    made_by_starts = {"a", "a/b", "a/b/c", "etc", "dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf"}
    assert different <= made_by_starts, {name: (before.get(name), after.get(name)) for name in different}


def test_commit_when_twice_then_same_layer_and_ran_it_sees_it(pod: Pod, changed: str, busybox: str) -> None:
    ids = [pod("commit", changed).ok().strip() for _ in range(2)]
    assert layer_of(pod.root, ids[0]) == layer_of(pod.root, ids[1])
    shown = pod("run", "--rm", "--network", "none", ids[0], "sh", "-c", "stat -c '%a %u:%g %h %n' /made/* /usr/*").ok()
    assert "6755 55:66 1 /made/suid" in shown.splitlines()
    assert "644 0:0 2 /made/hard" in shown.splitlines()
    assert "/usr/new" in shown
    assert "/usr/bin" not in shown
    base, _ = documents(pod.root, pod("image", "inspect", "-f", "{{.Id}}", busybox).ok().strip())
    mine, _ = documents(pod.root, ids[0])
    assert [layer["digest"] for layer in mine["layers"][:-1]] == [layer["digest"] for layer in base["layers"]]


def test_commit_without_overlay_then_same_layer(pod: Pod, busybox: str, tmp_path: Path) -> None:
    words = ["--name", "cc", "--network", "none", "-v", "/a/b/c", "--tmpfs", "/tmpfs", "-v", "vol:/vol"]
    done = on_overlay(
        pod, tmp_path, ["run", *words, busybox, "sh", "-c", CHANGE], ["commit", "cc", "plain"],
        ["run", "--rm", "plain", "stat", "-c", "%a %u:%g", "/made/suid"],
    )  # fmt: skip
    image, shown = done.ok().split(None, 1)
    assert shown == "6755 55:66\n"
    script = MOUNT + '; cp -r "$1/m/store/images" "$1/m/store/blobs" "$2"'
    store = tmp_path / "s"
    store.mkdir()
    subprocess.run(["unshare", "-r", "-m", "sh", "-c", script, "sh", tmp_path, store], check=True, timeout=60)
    wanted = LAYER.replace("usr/.wh..wh..opq 0 600 0:0 0", "usr/.wh.bin 0 600 0:0 0").lstrip()
    assert listed(layer_of(store, image)) == wanted


def test_commit_when_flags_then_documents_as_docker_has_them(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "cc", "--network", "none", "-e", "A=1", "-t", "-l", "x=y", "-w", "/etc", "-u", "1000",
        "--expose", "80", "-v", "/data", busybox, "true").ok()  # fmt: skip
    image = pod(
        "commit", "-a", "Me <me@example.com>", "-m", "why", "-c", 'CMD ["/bin/sh", "-c", "echo $A $B"]',
        "-c", "env B='2 3'",
        "-c", "LABEL p=q", "-c", "EXPOSE 90/udp", "-c", "ONBUILD RUN x", "-c", "WORKDIR sub", "-c",
        "HEALTHCHECK --interval=5s CMD true", "-c", "STOPSIGNAL SIGINT", "-c", "VOLUME /v", "-c", "USER web",
        "-c", "ENTRYPOINT []", "-c", 'SHELL ["/bin/ash", "-c"]', "cc", "some/name:tag",
        env={"SOURCE_DATE_EPOCH": "1000000000"},
    ).ok().strip()  # fmt: skip
    _, config = documents(pod.root, image)
    assert (config["created"], config["author"]) == ("2001-09-09T01:46:40Z", "Me <me@example.com>")
    made = config["config"]
    assert [entry for entry in made["Env"] if not entry.startswith("PATH=")] == ["A=1", "B=2 3"]
    assert made["Cmd"] == ["/bin/sh", "-c", "echo $A $B"]
    assert made["ExposedPorts"] == {"80/tcp": {}, "90/udp": {}}
    assert {made["Labels"]["x"], made["Labels"]["p"]} == {"y", "q"}
    assert (made["OnBuild"], made["WorkingDir"], made["User"]) == (["RUN x"], "/etc/sub", "web")
    assert made["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000}
    assert (made["StopSignal"], made["Volumes"]) == ("SIGINT", {"/data": {}, "/v": {}})
    assert made["Shell"] == ["/bin/ash", "-c"]
    step = config["history"][-1]
    assert (step["created_by"], step["comment"], step["author"]) == ("true", "why", "Me <me@example.com>")
    assert pod("run", "--rm", "--network", "none", "-u", "0", "-w", "/", "some/name:tag").ok() == "1 2 3\n"


def test_commit_when_nothing_changed_then_no_layer_and_a_name_moves(pod: Pod, busybox: str) -> None:
    container = pod("run", "-d", "--name", "cc", "--network", "none", busybox, "sleep", "1000").ok().strip()
    first = pod("commit", "cc", "name").ok().strip()
    manifest, config = documents(pod.root, first)
    assert config["history"][-1]["empty_layer"] is True
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"])
    pod("exec", "cc", "touch", "/new").ok()
    second = pod("container", "commit", "--no-pause", "cc", "name").ok().strip()
    assert len(documents(pod.root, second)[0]["layers"]) == len(manifest["layers"]) + 1
    assert pod("images", "-q", "--no-trunc", "name").ok().strip() == second
    assert first in pod("images", "-q", "--no-trunc", "-f", "dangling=true").ok()
    words = ("--since", "0", "--until", "0s", "-f", f"container={container}", "--format", "{{.Action}}")
    shown = [one for one in pod("events", *words).ok().split() if "paus" in one or one == "commit"]
    assert shown == ["pause", "unpause", "commit", "commit"]
    assert pod("rmi", "name").ok()
    assert not list((pod.root / "blobs/sha256").glob(".*"))


@pytest.mark.image("configured:latest")
def test_commit_when_only_a_volume_lies_below_a_users_folder_then_no_layer(pod: Pod) -> None:
    """Its VOLUME is in a folder that is not root's: a start's mount point there is nobody's change, a new owner is."""
    pod("run", "--name", "cc", "--network", "none", pod.image("configured:latest"), "true").ok()
    base = documents(pod.root, pod("image", "inspect", "-f", "{{.Id}}", pod.image("configured:latest")).ok().strip())[0]
    assert documents(pod.root, pod("commit", "cc").ok().strip())[0]["layers"] == base["layers"]
    pod("run", "--name", "dd", "--network", "none", "-u", "0", pod.image("configured:latest"),
        "chown", "0:7", "/srv/volume/..").ok()  # fmt: skip
    image = pod("commit", "dd").ok().strip()
    assert "srv 5 755 0:7" in listed(layer_of(pod.root, image))


def test_commit_when_the_image_tells_of_too_few_steps_then_one_for_each_layer(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "cc", busybox, "true").ok()
    manifest, config = documents(pod.root, pod("commit", "cc").ok().strip())
    assert sum(not step.get("empty_layer") for step in config["history"]) == len(manifest["layers"])


def test_commit_when_asked_badly_then_one_line_and_nothing_made(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "cc", busybox, "true").ok()
    before = sorted(os.listdir(pod.root / "blobs/sha256"))
    pod("commit", "nope").failed(1, "No such container: nope")
    pod("commit", "cc", "Bad").failed(1, "Error parsing reference", "must be lowercase")
    pod("commit", "cc", "x@sha256:" + "0" * 64).failed(1, "refusing to create a tag with a digest reference")
    for change, words in (
        ("FROM x", "from is not a valid change command"), ("ENV", "ENV requires at least one argument"),
        ("EXPOSE x", "invalid containerPort"), ("SHELL sh", "JSON form"),
    ):  # fmt: skip
        pod("commit", "-c", change, "cc").failed(1, words)
    pod("commit", "cc", env={"SOURCE_DATE_EPOCH": "soon"}).failed(125, "SOURCE_DATE_EPOCH")
    assert sorted(os.listdir(pod.root / "blobs/sha256")) == before


def test_commit_when_killed_then_nothing_seen_and_the_container_goes_on(pod: Pod, busybox: str) -> None:
    script = "head -c 40000000 /dev/urandom >/big; touch /done; sleep 1000"
    pod("run", "-d", "--name", "cc", "--network", "none", busybox, "sh", "-c", script).ok()
    pod("exec", "cc", "sh", "-c", "until [ -e /done ]; do sleep 0.1; done").ok()
    images = pod("images", "-aq").ok()
    blobs, end = pod.root / "blobs/sha256", time.monotonic() + 30
    with subprocess.Popen(pod.argv("commit", "cc", "never"), env=pod.environ(), stdout=subprocess.PIPE) as process:
        while not any(path.stat().st_size > 1 << 20 for path in blobs.glob(".new-*")) and time.monotonic() < end:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
    assert pod("images", "-aq").ok() == images
    for _ in range(100):
        if pod("inspect", "-f", "{{.State.Paused}}", "cc").ok() == "false\n":
            break
        time.sleep(0.05)
    assert pod("exec", "cc", "echo", "works").ok() == "works\n"
    for path in blobs.glob(".new-*"):
        os.utime(path, (1, 1))
    pod("commit", "cc", "now").ok()
    assert not list(blobs.glob(".new-*"))


NET_RAW = "0100000200200000000000000000000000000000"
"""security.capability, version 2, as setcap cap_net_raw=ep writes it (linux/capability.h)."""
_SETXATTR = {"x86_64": 188, "aarch64": 5}


@pytest.mark.image("debian:12")
def test_commit_when_programs_have_capabilities_then_the_layer_has_them(pod: Pod, registry: Registry) -> None:
    """The same bytes for whoever is root in the container; those of a base layer go with what is changed there."""
    setxattr = _SETXATTR[os.uname().machine]
    script = (
        f"cp /bin/true /raw; cp -a /bin/true /later; perl -e '$v = pack(\"H*\", \"{NET_RAW}\");"
        f' $n = "security.capability"; for (@ARGV) {{ syscall({setxattr}, $_, $n, $v, 20, 0) and die "$_: $!" }}\''
        " /raw /bin/true"
    )
    pod("run", "--name", "cc", "--network", "none", registry.name("debian:12"), "sh", "-ec", script).ok()
    image = pod("commit", "cc", "caps").ok().strip()
    assert _capabilities(layer_of(pod.root, image)) == {"raw": NET_RAW, "usr/bin/true": NET_RAW, "later": ""}
    pod("run", "--name", "dd", "--network", "none", "caps", "sh", "-ec", "cp -a /raw /copy; chmod 711 /raw").ok()
    pod("commit", "dd", "more").ok()
    image = pod("image", "inspect", "-f", "{{.Id}}", "more").ok().strip()
    assert _capabilities(layer_of(pod.root, image)) == {"raw": NET_RAW, "copy": NET_RAW}


def _capabilities(path: Path) -> dict[str, str]:
    """security.capability of each file, in hex."""
    found = {}
    with tarfile.open(path) as tar:
        for one in tar:
            if one.isreg() and not one.name.startswith("etc/"):
                value = one.pax_headers.get("SCHILY.xattr.security.capability", "")
                found[one.name] = value.encode("utf-8", "surrogateescape").hex()
    return found
