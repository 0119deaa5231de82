"""`--mount`, `--volumes-from`, `--volume-driver` of run and create: what is mounted, and how inspect tells of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_volume_commands import volumes as volumes
from tests.support import tools
from tests.support.podcli import Pod


@pytest.fixture
def shared(pod: Pod) -> Iterator[Path]:
    folder = pod.base / "shared-mounts"
    folder.mkdir()
    (folder / "file").write_text("from the host\n")
    (folder / "sub").mkdir()
    yield folder
    tools.remove_tree(folder)


def mount_of(pod: Pod, name: str, target: str) -> dict[str, Any]:
    (found,) = [mount for mount in pod.inspect(name)["Mounts"] if mount["Destination"] == target]
    return dict(found)


def test_mount_binds_as_v_does(pod: Pod, busybox: str, shared: Path) -> None:
    script = "cat /data/file; echo back > /data/written"
    text = pod("run", "--rm", "--mount", f"type=bind,source={shared},target=/data", busybox, "sh", "-c", script).ok()
    assert text == "from the host\n"
    assert (shared / "written").stat().st_uid == os.getuid()
    flags = f'type=bind,"src={shared}",dst=/data,readonly'
    result = pod("run", "--rm", "--mount", flags, busybox, "touch", "/data/never")
    assert (result.code, "Read-only file system" in result.err) == (1, True)


def test_mount_when_the_source_is_missing_then_error_unless_it_may_be_made(
    pod: Pod, busybox: str, shared: Path
) -> None:
    missing = f"type=bind,src={shared}/missing,dst=/data"
    pod("run", "--rm", "--mount", missing, busybox, "true").failed(
        125, f'invalid mount config for type "bind": bind source path does not exist: {shared}/missing'
    )
    assert not (shared / "missing").exists()
    pod("run", "--rm", "--mount", missing + ",bind-create-src", busybox, "touch", "/data/x").ok()
    assert (shared / "missing/x").exists()


def test_mount_volume_is_made_with_its_labels_and_found_in_inspect(volumes: Pod, busybox: str) -> None:
    pod = volumes
    words = "type=volume,source=mounted-volume,target=/data,volume-label=a=b,volume-label=c=d"
    pod("create", "--name", "it", "--mount", words, busybox, "true").ok()
    assert pod("volume", "inspect", "-f", "{{.Labels.a}}{{.Labels.c}}", "mounted-volume").ok() == "bd\n"
    assert mount_of(pod, "it", "/data") == {
        "Type": "volume",
        "Name": "mounted-volume",
        "Source": str(pod.root / "volumes/mounted-volume/_data"),
        "Destination": "/data",
        "Driver": "local",
        "Mode": "",
        "RW": True,
        "Propagation": "",
    }
    host = pod.inspect("it")["HostConfig"]
    assert host["Mounts"] == [
        {
            "Type": "volume",
            "Source": "mounted-volume",
            "Target": "/data",
            "VolumeOptions": {"Labels": {"a": "b", "c": "d"}},
        }
    ]
    assert host["Binds"] is None


def test_mount_tmpfs_has_its_size_and_mode(pod: Pod, busybox: str) -> None:
    words = "type=tmpfs,dst=/scratch,tmpfs-size=1m,tmpfs-mode=1770"
    script = "grep ' /scratch ' /proc/mounts; stat -c %a /scratch; touch /scratch/x"
    text = pod("run", "--name", "it", "--mount", words, busybox, "sh", "-c", script).ok()
    assert "size=1024k" in text
    assert text.endswith("1770\n")
    assert mount_of(pod, "it", "/scratch")["Type"] == "tmpfs"
    assert pod.inspect("it")["HostConfig"]["Mounts"][0]["TmpfsOptions"] == {"SizeBytes": 1 << 20, "Mode": 0o1770}
    result = pod("run", "--rm", "--mount", "type=tmpfs,dst=/scratch,ro", busybox, "touch", "/scratch/x")
    assert "Read-only file system" in result.err


def test_mount_volume_subpath_shows_that_folder_alone(volumes: Pod, busybox: str) -> None:
    pod = volumes
    script = "mkdir -p /data/a/b; echo inner > /data/a/b/file; echo outer > /data/file"
    pod("run", "--rm", "-v", "parts:/data", busybox, "sh", "-c", script).ok()
    folder = "type=volume,src=parts,dst=/data,volume-subpath=a/b"
    assert pod("run", "--rm", "--mount", folder, busybox, "cat", "/data/file").ok() == "inner\n"
    single = "type=volume,src=parts,dst=/one,volume-subpath=a/b/file"
    assert pod("run", "--rm", "--mount", single, busybox, "cat", "/one").ok() == "inner\n"
    missing = "type=volume,src=parts,dst=/data,volume-subpath=nosuch"
    pod("run", "--rm", "--mount", missing, busybox, "true").failed(125, "subpath nosuch", "no such file")


def test_mount_volume_subpath_gets_the_images_content(volumes: Pod) -> None:
    pod = volumes
    image = pod.image("configured:latest")
    pod("volume", "create", "filled-part").ok()
    (pod.root / "volumes/filled-part/_data/part").mkdir()
    words = "type=volume,src=filled-part,dst=/srv/volume,volume-subpath=part"
    pod("run", "--rm", "-u", "0", "--mount", words, image, "true").ok()
    assert (pod.root / "volumes/filled-part/_data/part/from-image").read_text() == "copied up\n"
    assert not [name for name in os.listdir(pod.root / "volumes/filled-part") if name.startswith("filling")]


def test_mount_image_shows_its_tree_read_only(pod: Pod, busybox: str) -> None:
    image = pod.image("configured:latest")
    words = f"type=image,source={image},target=/image"
    script = "cat /image/srv/volume/from-image; touch /image/x"
    result = pod("run", "--name", "it", "--mount", words, busybox, "sh", "-c", script)
    assert result.out == "copied up\n"
    assert "Read-only file system" in result.err
    found = mount_of(pod, "it", "/image")
    assert (found["Type"], found["Source"], found["RW"]) == ("image", image, False)
    part = words + ",image-subpath=srv/volume"
    assert pod("run", "--rm", "--mount", part, busybox, "ls", "/image").ok() == "from-image\n"
    owner = pod("run", "--rm", "--mount", part, busybox, "stat", "-c", "%u:%g", "/image/from-image").ok()
    assert owner == "1000:1000\n"
    pod("run", "--rm", "--mount", words + ",image-subpath=nosuch", busybox, "true").failed(125, "subpath nosuch")
    pod("run", "--rm", "--mount", "type=image,src=nosuch.local/no,dst=/x", busybox, "true").failed(125, "no such image")


def test_mount_image_of_one_layer(pod: Pod, busybox: str) -> None:
    words = f"type=image,source={busybox},target=/image"
    assert "busybox" in pod("run", "--rm", "--mount", words, busybox, "ls", "/image/bin").ok()


def test_rmi_of_an_image_that_is_mounted_is_refused(pod: Pod, busybox: str) -> None:
    image = pod.image("configured:latest")
    pod("create", "--name", "it", "--mount", f"type=image,source={image},target=/image", busybox, "true").ok()
    pod("rmi", image).failed(1, "conflict", "container")


def test_volumes_from_gives_the_same_mounts(volumes: Pod, busybox: str, shared: Path) -> None:
    pod = volumes
    flags = ("-v", f"{shared}:/bound:ro", "-v", "from-named:/named", "-v", "/anonymous")
    pod("run", "--name", "first", *flags, busybox, "sh", "-c", "echo a > /anonymous/x; echo b > /named/x").ok()
    script = "cat /bound/file /named/x /anonymous/x; touch /bound/y"
    result = pod("run", "--rm", "--volumes-from", "first", busybox, "sh", "-c", script)
    assert result.out == "from the host\nb\na\n"
    assert "Read-only" in result.err
    result = pod("run", "--name", "second", "--volumes-from", "first:ro", busybox, "touch", "/named/y", "/anonymous/y")
    assert result.err.count("Read-only") == 2
    assert pod.inspect("second")["HostConfig"]["VolumesFrom"] == ["first:ro"]
    assert not mount_of(pod, "second", "/named")["RW"]


def test_volumes_from_when_the_first_goes_then_the_volume_stays_for_the_second(volumes: Pod, busybox: str) -> None:
    pod = volumes
    pod("run", "--name", "first", "-v", "/anonymous", busybox, "sh", "-c", "echo a > /anonymous/x").ok()
    name = mount_of(pod, "first", "/anonymous")["Name"]
    pod("create", "--name", "second", "--volumes-from", "first", busybox, "cat", "/anonymous/x").ok()
    pod("rm", "-v", "first").ok()
    assert pod("start", "-a", "second").ok() == "a\n"
    pod("rm", "-v", "second").ok()
    assert not (pod.root / "volumes" / name).exists()


def test_volumes_from_when_the_first_is_run_with_rm_then_the_volume_goes_with_the_last(
    volumes: Pod, busybox: str
) -> None:
    pod = volumes
    pod("run", "--rm", "-d", "--name", "first", "-v", "/anonymous", busybox, "sleep", "1000").ok()
    name = mount_of(pod, "first", "/anonymous")["Name"]
    pod("create", "--name", "second", "--volumes-from", "first", busybox, "touch", "/anonymous/x").ok()
    pod("kill", "first").ok()
    pod("start", "-a", "second").ok()
    assert (pod.root / "volumes" / name / "_data/x").exists()
    pod("rm", "second").ok()  # without -v it would stay, but the first was to take it along
    pod("ps").ok()
    assert not (pod.root / "volumes" / name).exists()


def test_volumes_from_when_there_is_no_such_container_then_error(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--volumes-from", "nosuch", busybox, "true").failed(125, "no such container: nosuch")
    pod("run", "--rm", "--volumes-from", "x:bogus", busybox, "true").failed(125, "invalid mode")
    pod("run", "--rm", "--volumes-from", "", busybox, "true").failed(125, "empty string")


def test_volume_driver_local_is_fine_and_others_are_not(volumes: Pod, busybox: str) -> None:
    volumes("run", "--rm", "--volume-driver", "local", "-v", "driven:/data", busybox, "true").ok()
    result = volumes("run", "--rm", "--volume-driver", "rexray", "-v", "driven-2:/data", busybox, "true")
    result.failed(125, 'plugin "rexray" not found')
    assert not (volumes.root / "volumes/driven-2").exists()
    mount = "type=volume,src=driven-3,dst=/d,volume-driver=rexray"
    volumes("run", "--rm", "--mount", mount, busybox, "true").failed(125, 'plugin "rexray" not found')


def test_volume_bound_to_a_folder_of_the_host(volumes: Pod, busybox: str, shared: Path) -> None:
    pod = volumes
    pod("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={shared}", "bound").ok()
    assert pod("run", "--rm", "-v", "bound:/data", busybox, "cat", "/data/file").ok() == "from the host\n"
    pod("run", "--rm", "-v", "bound:/data", busybox, "touch", "/data/there").ok()
    assert (shared / "there").exists()
    words = f'type=volume,src=ro-bound,dst=/data,volume-opt=type=none,"volume-opt=o=bind,ro",volume-opt=device={shared}'
    result = pod("run", "--rm", "--mount", words, busybox, "touch", "/data/x")
    assert "Read-only file system" in result.err
    pod("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={shared}/gone", "unbound").ok()
    pod("run", "--rm", "-v", "unbound:/data", busybox, "true").failed(125, "failed to mount local volume")


def test_volume_of_memory_is_a_tmpfs_of_its_size(volumes: Pod, busybox: str) -> None:
    pod = volumes
    pod("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=2m,mode=700", "memory").ok()
    script = "grep ' /data ' /proc/mounts; stat -c %a /data"
    text = pod("run", "--rm", "-v", "memory:/data", busybox, "sh", "-c", script).ok()
    assert "size=2048k" in text
    assert text.endswith("700\n")
    assert os.listdir(pod.root / "volumes/memory/_data") == []


def test_mount_when_it_is_none_then_dockers_words(pod: Pod, busybox: str) -> None:
    """The rest of them: tests/unit/core/volume/test_mount_syntax.py."""
    words = "bogus=1,dst=/x"
    shown = f'invalid argument "{words}" for "--mount" flag: unexpected key \'bogus\' in \'bogus=1\''
    pod("create", "--mount", words, busybox, "true").failed(125, shown)
    reason = 'invalid mount config for type "volume": invalid mount path: \'x\' mount path must be absolute'
    pod("create", "--mount", "type=volume,src=name,dst=x", busybox, "true").failed(125, reason)


def test_mount_when_two_have_one_target_then_error(pod: Pod, busybox: str) -> None:
    for other in (("-v", "/x"), ("--tmpfs", "/x"), ("--mount", "type=tmpfs,dst=/x/")):
        pod("create", *other, "--mount", "type=tmpfs,dst=/x", busybox, "true").failed(125, "Duplicate mount point: /x")
