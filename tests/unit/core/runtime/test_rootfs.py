"""The mount plan: order, flags, what depends on which namespace."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.errors import UsageError
from pod.core.runtime import defaults, plan, rootfs

HOST: dict[str, Any] = {
    "NetworkMode": "none", "PidMode": "", "IpcMode": "private", "CgroupnsMode": "private",
    "Privileged": False, "ShmSize": 64 << 20,
    "MaskedPaths": list(defaults.MASKED_PATHS), "ReadonlyPaths": list(defaults.READONLY_PATHS),
}  # fmt: skip
HARD = plan.MS_NOSUID | plan.MS_NODEV | plan.MS_NOEXEC


def base(*, single: bool = False, fresh_proc: bool = True, **host: Any) -> dict[str, plan.Mount]:
    mounts = rootfs.base_mounts({**HOST, **host}, single=single, fresh_proc=fresh_proc)
    found = {mount.target: mount for mount in mounts}
    assert len(found) == len(mounts)
    return found


def test_base_mounts_order_is_runcs() -> None:
    wanted = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/sys", "/sys/fs/cgroup"]
    assert [target for target in base() if target in wanted] == wanted


def test_base_mounts_follow_no_link_of_the_image() -> None:
    mounts = base()
    for target in ("/proc", "/dev", "/sys", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys/fs/cgroup"):
        assert mounts[target].bits & plan.NOFOLLOW, target


def test_base_mounts_proc_when_fresh_then_mounted_else_bound_read_only() -> None:
    assert (base()["/proc"].kind, base()["/proc"].flags) == (plan.FS, HARD)
    bound = base(fresh_proc=False)["/proc"]
    assert (bound.kind, bound.flags) == (plan.BIND, HARD | plan.MS_REC | plan.MS_RDONLY)
    assert bound.bits == plan.NOFOLLOW | plan.REC_RDONLY
    hosts = base(PidMode="host")["/proc"]
    assert (hosts.kind, hosts.flags & plan.MS_RDONLY) == (plan.BIND, 0)


def test_base_mounts_sys_is_read_only_unless_privileged() -> None:
    assert base()["/sys"].flags & plan.MS_RDONLY
    assert not base(Privileged=True)["/sys"].flags & plan.MS_RDONLY
    bound = base(NetworkMode="host", Privileged=True)["/sys"]
    assert (bound.kind, bound.flags & plan.MS_RDONLY) == (plan.BIND, plan.MS_RDONLY)
    assert "/sys/fs/cgroup" not in base(NetworkMode="host")


def test_base_mounts_devpts_has_the_tty_group_only_with_sub_ids() -> None:
    assert base()["/dev/pts"].data.endswith(",gid=5")
    assert "gid" not in base(single=True)["/dev/pts"].data


def test_base_mounts_shm_has_its_size_or_is_the_hosts() -> None:
    assert base(ShmSize=4096)["/dev/shm"].data == "mode=1777,size=4096"
    assert base(IpcMode="host")["/dev/shm"].kind == plan.BIND


def test_covers_come_as_masks_then_read_only_and_proc_is_checked() -> None:
    mounts = rootfs.covers(HOST, fresh_proc=True)
    assert [mount.target for mount in mounts] == [*defaults.MASKED_PATHS, *defaults.READONLY_PATHS]
    assert all(bool(mount.bits & plan.ON_PROC) == mount.target.startswith("/proc/") for mount in mounts)
    assert rootfs.covers({"MaskedPaths": [], "ReadonlyPaths": []}, fresh_proc=False) == []


@pytest.mark.parametrize(
    ("options", "flags", "data"),
    [
        ("", HARD, "mode=1777"),
        ("size=1g,mode=0700", HARD, "mode=0700,size=1g"),
        ("exec,suid,dev", 0, "mode=1777"),
        ("ro,noatime", HARD | plan.MS_RDONLY | 1024, "mode=1777"),
        ("ro,rw", HARD, "mode=1777"),
        ("size=1,size=2", HARD, "mode=1777,size=2"),
    ],
)
def test_tmpfs_options(options: str, flags: int, data: str) -> None:
    mount = rootfs.tmpfs("/t", options)
    assert (mount.flags, mount.data, mount.fstype) == (flags, data, "tmpfs")


@pytest.mark.parametrize("options", ["bogus", "size", "bind", "lowerdir=/etc", ",", "size=1,,ro", "remount"])
def test_tmpfs_when_an_option_is_unknown_then_usage_error(options: str) -> None:
    with pytest.raises(UsageError, match="invalid tmpfs option"):
        rootfs.tmpfs("/t", options)


def test_bind_and_device() -> None:
    assert rootfs.bind("/a", "/b", read_only=True).flags == plan.MS_REC | plan.MS_RDONLY
    assert rootfs.bind("/a", "/b", read_only=False, volume=True).kind == plan.VOLUME
    assert rootfs.device("/dev/fuse", "/dev/fuse").flags == plan.MS_NOSUID | plan.MS_NOEXEC
