"""What mounts do for a container: content of the image, events, propagation, read-only depth, rights of the caller."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from tests.commands.test_mount_flag import mount_of
from tests.commands.test_mount_flag import shared as shared
from tests.commands.test_run_plain_tree import on_overlay
from tests.commands.test_volume_commands import volumes as volumes
from tests.support.podcli import Pod, Result

PLAIN = ("--rm", "-u", "0", "--entrypoint", "")
"""For the image "configured", whose entrypoint says something and whose USER is none."""


def in_namespace(pod: Pod, script: str, *words: str) -> Result:
    """Runs a script as root of a user and mount namespace; $pod is the command, $1 … are ``words``."""
    command = f"pod() {{ {shlex.join(pod.argv())} \"$@\"; }}\n"
    argv = ["unshare", "-r", "-m", "sh", "-ec", command + script, "sh", *words]
    done = subprocess.run(argv, capture_output=True, text=True, env=pod.environ(), timeout=60, check=False)
    return Result(argv, done.returncode, done.stdout, done.stderr)


LATER = """
mount -t tmpfs source "$1"
mount --make-shared "$1"
mkdir "$1/later"
pod run -d --name slave -v "$1:/slave:rslave" -v "$1:/private" "$2" sleep 1000 > /dev/null
mount -t tmpfs late "$1/later"
touch "$1/later/mark"
pod exec slave ls /slave/later
echo private: $(pod exec slave ls /private/later)
pod exec slave grep -c /slave /proc/mounts
pod rm -f slave > /dev/null
"""


def test_rslave_shows_what_the_host_mounts_later_and_rprivate_does_not(
    pod: Pod, busybox: str, shared: Path
) -> None:
    assert in_namespace(pod, LATER, str(shared), busybox).ok() == "mark\nprivate:\n2\n"


def test_rslave_when_the_source_hands_nothing_on_then_error(pod: Pod, busybox: str, shared: Path) -> None:
    script = 'mount -t tmpfs source "$1"; mount --make-private "$1"; pod run --rm -v "$1:/a:rslave" "$2" true'
    result = in_namespace(pod, script, str(shared), busybox)
    result.failed(125, f"path {shared} is mounted on {shared} but it is not a shared or slave mount")


def test_v_rshared_is_refused_with_the_reason(pod: Pod, busybox: str, shared: Path) -> None:
    result = pod("run", "--rm", "-v", f"{shared}:/a:rshared", busybox, "true")
    result.failed(125, "cannot reach the host without root", "rslave")


DEPTH = """
mkdir -p "$1/below"
mount -t tmpfs below "$1/below"
for more in "" ,bind-recursive=writable ,bind-recursive=readonly,bind-propagation=rprivate; do
    pod run --rm --mount "type=bind,src=$1,dst=/a,ro$more" "$2" \
        sh -c 'touch /a/x 2> /dev/null || echo ro; touch /a/below/x 2> /dev/null && echo below rw || echo below ro'
done
pod run --rm --mount "type=bind,src=$1,dst=/a,bind-recursive=disabled" "$2" true || true
"""


def test_ro_reaches_as_deep_as_asked(pod: Pod, busybox: str, shared: Path) -> None:
    result = in_namespace(pod, DEPTH, str(shared), busybox)
    assert result.out.splitlines() == ["ro", "below ro", "ro", "below rw", "ro", "below ro"], result
    assert "bind-recursive=enabled" in result.err


def test_nonrecursive_bind_of_a_folder_without_mounts(pod: Pod, busybox: str, shared: Path) -> None:
    words = f"type=bind,src={shared},dst=/a,bind-recursive=disabled"
    assert pod("run", "--rm", "--mount", words, busybox, "cat", "/a/file").ok() == "from the host\n"


def test_start_when_a_source_has_gone_then_v_makes_it_again_and_mount_does_not(
    pod: Pod, busybox: str, shared: Path
) -> None:
    (shared / "one").mkdir()
    pod("create", "--name", "by-v", "-v", f"{shared}/one:/data", busybox, "touch", "/data/x").ok()
    pod("create", "--name", "by-mount", "--mount", f"type=bind,src={shared}/one,dst=/data", busybox, "true").ok()
    (shared / "one").rmdir()
    pod("start", "-a", "by-mount").failed(1, f"bind source path does not exist: {shared}/one")
    pod("start", "-a", "by-v").ok()
    assert (shared / "one/x").exists()
    pod("start", "-a", "by-mount").ok()


def test_v_binds_a_socket_and_a_link(pod: Pod, busybox: str, shared: Path) -> None:
    (shared / "link").symlink_to("file")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(shared)  # sun_path is short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        flags = ("-v", f"{shared}/socket:/run/it.sock", "-v", f"{shared}/link:/linked")
        script = "test -S /run/it.sock && cat /linked"
        assert pod("run", "--rm", *flags, busybox, "sh", "-c", script).ok() == "from the host\n"


def test_v_of_a_folder_on_a_file_says_what_is_wrong(pod: Pod, busybox: str, shared: Path) -> None:
    pod("run", "--rm", "-v", f"{shared}/file:/etc", busybox, "true").failed(125, "nor a file on a folder")
    pod("run", "--rm", "-v", f"{shared}:/etc/group", busybox, "true").failed(125, "/etc/group", "not a directory")


def test_volume_events_are_dockers_and_keep_umlauts(volumes: Pod, busybox: str) -> None:
    pod = volumes
    pod("run", "--name", "it", "-v", "told-events:/größe:ro", busybox, "true").ok()
    pod("rm", "it").ok()
    pod("volume", "rm", "told-events").ok()
    lines = pod("events", "--since", "10m", "--until", "0s", "-f", "volume=told-events", "--format", "json").ok()
    found = [json.loads(line) for line in lines.splitlines()]
    assert [event["Action"] for event in found] == ["create", "mount", "unmount", "destroy"]
    assert {event["Type"] for event in found} == {"volume"}
    attributes = found[1]["Actor"]["Attributes"]
    assert len(attributes.pop("container")) == 64
    assert attributes == {"destination": "/größe", "driver": "local", "propagation": "", "read/write": "false"}


def test_copy_up_keeps_modes_and_owners_and_is_done_once(volumes: Pod) -> None:
    pod = volumes
    image = pod.image("configured:latest")
    script = "cd /srv/volume; stat -c '%u:%g %a' . from-image; rm from-image; touch mine"
    first = pod("run", *PLAIN, "-v", "filled-once:/srv/volume", image, "sh", "-c", script).ok()
    assert first == "1000:1000 755\n1000:1000 644\n"
    assert pod("run", *PLAIN, "-v", "filled-once:/srv/volume", image, "ls", "/srv/volume").ok() == "mine\n"
    done = pod("run", *PLAIN, "-v", "bare:/srv/volume:nocopy", image, "ls", "/srv/volume")
    assert done.ok() == ""


def test_copy_up_does_not_come_back_when_the_container_starts_again(volumes: Pod) -> None:
    pod = volumes
    image = pod.image("configured:latest")
    script = "ls /srv/volume; rm -f /srv/volume/*"
    flags = ("--name", "it", *PLAIN[1:], "-v", "emptied:/srv/volume")
    assert pod("run", *flags, image, "sh", "-c", script).ok() == "from-image\n"
    assert pod("start", "-a", "it").ok() == ""
    pod("rm", "it").ok()
    assert pod("run", "--rm", *flags, image, "sh", "-c", script).ok() == "from-image\n"


def test_copy_up_that_was_killed_is_finished_by_the_next_start(volumes: Pod) -> None:
    pod = volumes
    image = pod.image("configured:latest")
    pod("volume", "create", "half").ok()
    folder = pod.root / "volumes/half"
    (folder / "_data/of-another").write_text("kept")
    (folder / "filling").write_text("1")
    listing = pod("run", *PLAIN, "-v", "half:/srv/volume", image, "ls", "/srv/volume").ok()
    assert listing.split() == ["from-image", "of-another"]
    assert not (folder / "filling").exists()


def test_copy_up_takes_the_images_content_and_no_other_volumes(volumes: Pod, tmp_path: Path) -> None:
    """On a plain tree both lie on one file system."""
    pod = volumes
    image = pod.image("configured:latest")
    flags = ["-v", "outer:/outer", "-v", "inner:/outer/sub", "-v", "real:/srv/volume"]
    done = on_overlay(
        pod,
        tmp_path,
        ["run", *PLAIN, "-v", "outer:/outer", image, "sh", "-c", "mkdir /outer/sub; touch /outer/sub/of-outer"],
        ["run", *PLAIN, *flags, image, "sh", "-c", "ls /outer/sub; ls /srv/volume"],
        ["run", *PLAIN, "--mount", f"type=image,src={image},dst=/image", image, "ls", "/image/srv/volume"],
        ["volume", "rm", "outer", "inner", "real"],
    )
    assert done.ok().split() == ["from-image", "from-image", "outer", "inner", "real"], done


@pytest.mark.sub_ids
def test_user_that_cannot_write_to_a_bind_mount_gets_a_hint(pod: Pod, busybox: str, shared: Path) -> None:
    words = ("-u", "1000", "-v", f"{shared}:/data", busybox, "true")
    hint = f"WARNING: bind mount {shared}: user 1000 of the container cannot write there; --userns keep-id"
    assert hint in pod("run", "--rm", *words).err
    assert pod("run", "--rm", "--userns", "keep-id", *words[2:]).err == ""
    assert pod("run", "--rm", "-u", "0", *words[2:]).err == ""
    shared.chmod(0o777)
    assert pod("run", "--rm", *words).err == ""
    assert pod("run", "--rm", "-u", "web", "-v", f"{shared}:/data:ro", pod.image("configured:latest"), "true").err == ""


def test_keep_id_binds_below_a_folder_that_is_the_callers_alone(pod: Pod, busybox: str, shared: Path) -> None:
    shared.chmod(0o700)
    (shared / "sub").chmod(0o700)
    flags = ("--userns", "keep-id", "-v", f"{shared}/sub:/data", "-v", f"{shared}/file:/one:ro")
    assert pod("run", "--rm", *flags, busybox, "sh", "-c", "touch /data/x; cat /one").ok() == "from the host\n"
    assert (shared / "sub/x").stat().st_uid == os.getuid()


def test_rm_v_takes_anonymous_volumes_and_leaves_named_ones(volumes: Pod, busybox: str) -> None:
    pod = volumes
    flags = ("-v", "/anonymous", "-v", "stays:/named", "--mount", "type=volume,dst=/mounted")
    pod("create", "--name", "it", *flags, busybox, "true").ok()
    names = [mount_of(pod, "it", target)["Name"] for target in ("/anonymous", "/mounted")]
    assert pod.inspect("it")["Config"]["Volumes"] == {"/anonymous": {}}
    pod("rm", "-v", "it").ok()
    assert [name for name in (*names, "stays") if (pod.root / "volumes" / name).exists()] == ["stays"]


def test_rm_leaves_an_anonymous_volume_that_another_has_by_its_name(volumes: Pod, busybox: str) -> None:
    pod = volumes
    pod("create", "--name", "it", "-v", "/anonymous", busybox, "true").ok()
    name = mount_of(pod, "it", "/anonymous")["Name"]
    pod("create", "--name", "other", "-v", f"{name}:/data", busybox, "touch", "/data/x").ok()
    pod("rm", "-v", "it").ok()
    pod("start", "-a", "other").ok()
    pod("rm", "-v", "other").ok()
    assert (pod.root / "volumes" / name / "_data/x").exists()
