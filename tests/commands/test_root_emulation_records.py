"""Full root emulation: owners stay with volumes, bind mounts and trees, whoever looks at them."""

from __future__ import annotations

import os
import shutil
import struct
import tarfile
from pathlib import Path

import pytest

from pod.core.oci import platform
from tests.commands.test_run_plain_tree import on_overlay
from tests.support import layers, tools
from tests.support.podcli import Pod, until
from tests.support.registry import Registry
from tests.unit.core.image.conftest import Built, Pusher

FULL = "--root-emulation=full"
HOST = platform.host().architecture
OWNED = "touch f; mkdir -p d; ln -s f l; mkfifo p; chown 1:2 f; chown 3:4 d; chown -h 5:6 l; chown 7:8 p"
SHOW = "stat -c '%n %u:%g' f d l p"
SHOWN = ["f 1:2", "d 3:4", "l 5:6", "p 7:8"]


def shell(pod: Pod, script: str, *options: str) -> list[str]:
    argv = ("run", "--rm", FULL, *options, pod.image("debian:12"), "sh", "-ec", script)
    return pod(*argv, timeout=120).ok().splitlines()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder of the caller's, to be bound."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def test_volume_when_another_container_has_it_then_the_same_owners(pod: Pod) -> None:
    assert shell(pod, f"cd /v; {OWNED}; {SHOW}", "-v", "kept:/v") == SHOWN
    assert shell(pod, f"cd /elsewhere; {SHOW}; mv l l2; stat -c %u:%g l2", "-v", "kept:/elsewhere") == [*SHOWN, "5:6"]
    assert shell(pod, "cd /ro; stat -c %u:%g l2; chown -h 1:1 l2 2>&1 | tail -c 22", "-v", "kept:/ro:ro") == [
        "5:6",
        "Read-only file system",
    ]


@pytest.mark.parametrize("kind", ["volume", "bind"])
def test_mount_when_two_containers_run_then_each_sees_what_the_other_gives_away(
    pod: Pod, shared: Path, kind: str
) -> None:
    source = str(shared) if kind == "bind" else "both"
    try:
        for name in ("one", "two"):
            pod("run", "-d", "--name", name, FULL, "-v", f"{source}:/v", pod.image("debian:12"), "sleep", "300").ok()
            pod("exec", name, "chown", "0:0", "/v").ok()  # its emulator is there
        pod("exec", "one", "sh", "-ec", f"cd /v; {OWNED}").ok()
        assert pod("exec", "two", "sh", "-ec", f"cd /v; {SHOW}").ok().splitlines() == SHOWN
        pod("exec", "two", "sh", "-ec", "cd /v; chown -h 9:9 l; chown 0:0 p").ok()
        assert pod("exec", "one", "sh", "-ec", f"cd /v; {SHOW}").ok().splitlines() == [*SHOWN[:2], "l 9:9", "p 0:0"]
        pod("exec", "one", "sh", "-ec", "cd /v; chown -h 10:10 l").ok()
        assert pod("exec", "two", "stat", "-c", "%u", "/v/l").ok() == "10\n"
    finally:
        pod("rm", "-f", "one", "two").ok()


def test_volume_when_it_gets_the_images_content_then_its_owners_too(pod: Pod) -> None:
    script = "cd {}; stat -c '%n %u:%g %a' . mail local"
    image_says = shell(pod, script.format("/var"))
    assert "mail 0:8 2775" in image_says
    assert shell(pod, script.format("/var"), "-v", "filled:/var") == image_says
    assert shell(pod, script.format("/v"), "-v", "filled:/v") == image_says
    assert shell(pod, "stat -c '%u:%g %a' /var/mail", "-v", "mail:/var/mail") == ["0:8 2775"]


@pytest.mark.no_sub_ids
def test_bind_when_files_are_somebody_elses_then_roots_and_nothing_is_recorded(pod: Pod, shared: Path) -> None:
    """/usr of the host: real root's; an attribute on a file of somebody else is not believed."""
    (shared / "own").write_text("")
    os.setxattr(shared / "own", "user.pod.owner", b"11:12")
    script = """
        cd /host; stat -c '%n %u:%g' . bin/env; chown 5:6 bin/env 2>&1 || stat -c %u:%g bin/env
        stat -c %u:%g /own/own
    """
    assert shell(pod, script, "-v", "/usr:/host", "-v", f"{shared}:/own") == [
        ". 0:0",
        "bin/env 0:0",
        "chown: changing ownership of 'bin/env': Operation not permitted",
        "0:0",
        "11:12",
    ]


@pytest.mark.no_sub_ids
def test_bind_when_given_away_then_only_attributes_are_written_there(pod: Pod, shared: Path) -> None:
    assert shell(pod, f"cd /v; {OWNED}", "-v", f"{shared}:/v") == []
    assert sorted(os.listdir(shared)) == ["d", "f", "l", "p"]
    assert os.getxattr(shared / "f", "user.pod.owner") == b"1:2"
    assert os.getxattr(shared / "d", "user.pod.owner") == b"3:4"
    assert {(shared / name).lstat().st_uid for name in ("f", "d", "l", "p")} == {os.getuid()}
    assert shell(pod, f"cd /v; {SHOW}", "-v", f"{shared.parent}:/above", "-v", f"{shared}:/v") == SHOWN
    assert shell(pod, f"cd /above/shared; {SHOW}", "-v", f"{shared.parent}:/above") == SHOWN


@pytest.fixture
def linked(writable_registry: Registry, tmp_path: Path) -> str:
    """An image with links, FIFOs, a file and a folder that are not root's, all of the same second."""
    with layers.Layer(tmp_path / "links.tar") as layer:
        layer.folder("l")
        for number, name in enumerate(("moved", "stays", "changed")):
            layer.add(f"l/{name}", kind=tarfile.SYMTYPE, mode=0o777, link=name, owner=(5, number))
        for number, name in enumerate(("pipe", "other")):
            layer.add(f"l/{name}", kind=tarfile.FIFOTYPE, mode=0o600, owner=(6, number))
        layer.folder("o", 0o2775, owner=(0, 8))
        layer.add("o/secret", b"", mode=0o640, owner=(0, 42))
    layers.busybox(tmp_path / "busybox.tar")
    parts = [(tmp_path / name).read_bytes() for name in ("busybox.tar", "links.tar")]
    return Pusher(writable_registry).image("team/linked", "v1", Built(*parts, architecture=HOST))


def test_container_when_links_of_its_image_were_moved_then_owners_are_kept(fresh_pod: Pod, linked: str) -> None:
    script = """
        cd /l; if [ -e done ]; then stat -c '%n %u:%g' * further/*; exit; fi
        mv moved here; mkdir further; mv stays further; chmod 644 pipe; chown -h 1:1 changed; touch done
        rm other; mkfifo other
    """
    fresh_pod("create", "--name", "links", FULL, linked, "sh", "-ec", script).ok()
    fresh_pod("start", "-a", "links").ok()
    for _ in range(2):
        assert fresh_pod("start", "-a", "links").ok().splitlines() == [
            *("changed 1:1", "done 0:0", "further 0:0", "here 5:0", "other 0:0", "pipe 6:0", "further/stays 5:1"),
        ]


@pytest.mark.image("debian:12")
def test_container_when_files_of_its_image_were_changed_then_owners_are_kept(pod: Pod) -> None:
    """The first run writes to files, the second moves some."""
    script = """
        if [ ! -s /var/log/wtmp ]; then echo x >/var/log/wtmp; echo >>/etc/shadow; exit; fi
        stat -c '%n %U:%G %a' /etc/shadow /var/log/wtmp /var/mail
        [ -e /root/chage ] || exec mv /usr/bin/chage /etc/gshadow /root
        stat -c '%n %U:%G %a' /root/chage /root/gshadow
    """
    stay = ["/etc/shadow root:shadow 640", "/var/log/wtmp root:utmp 664", "/var/mail root:mail 2775"]
    moved = ["/root/chage root:shadow 2755", "/root/gshadow root:shadow 640"]
    pod("create", "--name", "changed", FULL, pod.image("debian:12"), "sh", "-ec", script).ok()
    for expected in ([], stay, stay + moved, stay + moved):
        assert pod("start", "-a", "changed").ok().splitlines() == expected
    pod("commit", "changed", "changed:1").ok()
    shown = pod("run", "--rm", FULL, "changed:1", "stat", "-c", "%U:%G", "/etc/shadow", "/root/chage").ok()
    assert shown.split() == ["root:shadow"] * 2


@pytest.mark.image("debian:12")
def test_container_when_no_emulator_saw_a_change_then_programs_are_told_of_the_owner(pod: Pod, tmp_path: Path) -> None:
    """A static program touches the file and asks for nothing; the next run's stat asks the emulator but once."""
    program = tmp_path / "touch"
    shutil.copy(tools.find("busybox") or "", program)
    names = ("/etc/shadow", "/etc/passwd", "/etc/shadow")
    pod("create", "--name", "touched", FULL, "-v", f"{tmp_path}:/v", pod.image("debian:12"),
        "/v/touch", "-c", "%U:%G", *names).ok()  # fmt: skip
    assert pod("start", "-a", "touched").ok() == ""
    program.unlink()
    program.symlink_to("/usr/bin/stat")
    assert pod("start", "-a", "touched").ok().split() == ["root:shadow", "root:root", "root:shadow"]


def test_volume_when_it_gets_links_then_their_owners_too(fresh_pod: Pod, linked: str) -> None:
    for _ in range(2):
        argv = ("run", "--rm", FULL, "-v", "links:/l", linked, "sh", "-ec", "cd /l; stat -c '%n %u:%g' *")
        shown = fresh_pod(*argv).ok().splitlines()
        assert shown == ["changed 5:2", "moved 5:0", "other 6:1", "pipe 6:0", "stays 5:1"]


def test_plain_tree_when_there_is_no_overlay_then_the_images_owners(pod: Pod, linked: str, tmp_path: Path) -> None:
    script = """
        stat -c '%n %u:%g %a' /o/secret /o /l/moved /l/pipe; if [ -e /s ]; then stat -c %u:%g /s /n; exit; fi
        mv /o/secret /s; touch /o/secret; chown 9:9 /o; ln -s x /n; chown -h 4:5 /n; stat -c %u:%g /s
    """
    done = on_overlay(
        pod,
        tmp_path,
        ["run", FULL, "--name", "plain", "-v", "some:/o", linked, "sh", "-ec", script],
        ["start", "-a", "plain"],
        ["run", FULL, "--rm", "-v", "some:/v", linked, "stat", "-c", "%n %u:%g", "/o", "/v"],
        ["rm", "plain"],
    )
    links = ["/l/moved 5:0 777", "/l/pipe 6:0 600"]
    assert done.ok().splitlines() == [
        *("/o/secret 0:42 640", "/o 0:8 2775", *links, "0:42"),
        *("/o/secret 0:8 644", "/o 9:9 2775", *links, "0:42", "4:5"),
        *("/o 0:8", "/v 9:9", "plain"),
    ]


ROW = 24
"""Bytes of memory that a record takes at least (struct pod_table_slot)."""


def resident(pids: list[str]) -> int:
    """KiB that processes have in memory; pages that they share count each time, so that this is never too little."""
    fields = ("RssAnon:", "RssFile:", "RssShmem:")
    lines = [line.split() for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line[1]) for line in lines if line and line[0] in fields)


def memory_of(pod: Pod, name: str) -> int:
    """KiB of a container's supervisor and its one emulator."""
    init = str(pod.inspect(name)["State"]["Pid"])
    supervisor = Path(f"/proc/{init}/status").read_text().split("PPid:")[1].split()[0]
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    (emulator,) = [pid for pid in children if pid != init]
    return resident([supervisor, emulator])


def row(number: int) -> bytes:
    """struct pod_record of a file that is not there (ext/src/emulator/sidecar.h)."""
    data = struct.pack("<QQqIIIII", 0, 10**12 + number, number, number, number, 0, 0, 0)
    check = 2166136261
    for word in struct.unpack("<11I", data):
        check = (check ^ word) * 16777619 & 0xFFFFFFFF
    return data + struct.pack("<I", (check ^ check >> 15) | 1)


@pytest.mark.parametrize(("rows", "limit"), [(0, 640), (100000, 4096)])
def test_memory_of_supervisor_and_emulator_is_bounded(pod: Pod, busybox: str, rows: int, limit: int) -> None:
    """At most 400 kB idle and 4 MB counting shared pages once: here the pages of the program count twice."""
    pod("create", "--name", "memory", FULL, busybox, "sleep", "300").ok()
    try:
        folder = pod.root / "containers" / pod.inspect("memory")["Id"]
        (folder / "owners").write_bytes(b"".join(row(number) for number in range(rows)))
        pod("start", "memory").ok()
        pod("exec", "memory", "mknod", "/null", "c", "1", "3").ok()
        assert pod("exec", "memory", "stat", "-c", "%F", "/null").ok() == "character special file\n"
        assert rows * ROW // 1024 <= memory_of(pod, "memory")
        # What only a start needs is given back a tenth of a second later.
        until(lambda: memory_of(pod, "memory") <= limit, 5, f"at most {limit} KiB")
    finally:
        pod("rm", "-f", "memory").ok()


@pytest.mark.slow
@pytest.mark.no_sub_ids
def test_memory_of_an_image_with_100000_owners_is_bounded(
    fresh_pod: Pod, writable_registry: Registry, tmp_path: Path
) -> None:
    with layers.Layer(tmp_path / "many.tar") as layer:
        for number in range(100_000):
            if number % 1000 == 0:
                layer.folder(f"d{number // 1000}")
            layer.add(f"d{number // 1000}/{number}", b"", owner=(number, 6))
    layers.busybox(tmp_path / "busybox.tar")
    parts = [(tmp_path / name).read_bytes() for name in ("busybox.tar", "many.tar")]
    image = Pusher(writable_registry).image("team/many", "v1", Built(*parts, architecture=HOST))
    fresh_pod("run", "-d", "--name", "memory", FULL, image, "sleep", "300", timeout=300).ok()
    try:
        assert fresh_pod("exec", "memory", "stat", "-c", "%u:%g", "/d77/77123").ok() == "77123:6\n"
        assert 100_000 * ROW // 1024 <= memory_of(fresh_pod, "memory") <= 4096
    finally:
        fresh_pod("rm", "-f", "memory").ok()
