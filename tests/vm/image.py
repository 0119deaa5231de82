"""A Debian of another kernel on a disk: made once as root with mmdebstrap, kept, and booted read-only by machine.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SUITES = {"bullseye": "5.10", "bookworm": "6.1", "trixie": "6.12"}
"""Debian's releases and their kernels."""
PROGRAMS = ("mmdebstrap", "mke2fs", "qemu-system-x86_64")
USERS = ("one", "sub")
"""Without and with subordinate ids."""

_PACKAGES = (
    "linux-image-amd64,initramfs-tools,systemd-sysv,udev,kmod,dbus,dbus-user-session,libpam-systemd,login,passwd,procps,"
    "iproute2,python3,uidmap"
)
_SIZE = 2 << 30
_UNIT = """\
[Unit]
Description=What the machine was started for
After=systemd-user-sessions.service systemd-logind.service dbus.service
[Service]
ExecStart=/bin/sh -c 'mount -o ro /dev/vdb /mnt && exec sh /mnt/guest.sh'
ExecStopPost=/bin/systemctl poweroff --force --force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
[Install]
WantedBy=multi-user.target
"""
_MODULES = """\
#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk ext4
"""
_IDLE = ("apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "getty@tty1.service")


class Lacking(Exception):
    """A program, a right or a mirror that this host does not have."""


def folder(suite: str) -> Path:
    """Where the suite's disk, kernel and initrd are or will be."""
    chosen = os.environ.get("POD_VM_CACHE", "/var/tmp/pod-test-vm")
    return Path(chosen) / suite


def ensure(suite: str) -> Path:
    """The folder, made where it is missing (some minutes, as root). Lacking where that cannot be."""
    for name in PROGRAMS:
        if not shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise Lacking(f"{name}: apt-get install qemu-system-x86 qemu-utils mmdebstrap e2fsprogs")
    final = folder(suite)
    if (final / "disk").exists():
        return final
    if os.geteuid():
        raise Lacking(f"{final}: made by root alone: run it once as root")
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".build-") as name:
        work = Path(name)
        work.chmod(0o755)
        _bootstrap(suite, work)
        _configure(work / "tree")
        new = work / "new"
        new.mkdir()
        for kernel in ("vmlinuz", "initrd.img"):
            shutil.copy(next((work / "tree/boot").glob(f"{kernel}-*")), new / kernel)
        with open(new / "disk", "wb") as disk:
            disk.truncate(_SIZE)
        _call("mke2fs", "-q", "-t", "ext4", "-d", str(work / "tree"), str(new / "disk"))
        for file in new.iterdir():
            file.chmod(0o644)
        new.rename(final)
    return final


def _call(*argv: str) -> None:
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True, timeout=1800)


def _bootstrap(suite: str, work: Path) -> None:
    hook = work / "modules"
    hook.write_text(_MODULES)
    hook.chmod(0o755)
    etc = '"$1/etc/initramfs-tools'
    _call(
        "mmdebstrap", "--quiet", "--mode=root", "--variant=apt", f"--include={_PACKAGES}",
        '--aptopt=APT::Install-Recommends "false"', "--dpkgopt=path-exclude=/usr/share/doc/*",
        f'--essential-hook=mkdir -p {etc}/conf.d" {etc}/hooks"',
        f'--essential-hook=echo MODULES=list >{etc}/conf.d/pod-vm"',
        f'--essential-hook=cp {hook} {etc}/hooks/pod-vm"',
        *(f'--customize-hook=chroot "$1" useradd -m -s /bin/sh {user}' for user in USERS),
        suite, str(work / "tree"), *_sources(suite),
    )  # fmt: skip


def _sources(suite: str) -> list[str]:
    """Lines of sources.list with the mirror that this host's own apt uses."""
    asked = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    text = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    mirrors = dict(line.split(" ", 1) for line in reversed(text.splitlines()) if line.startswith("Debian"))
    if "Debian" not in mirrors:
        raise Lacking("a Debian mirror: apt knows none (apt-get update)")
    return [f"deb {mirrors['Debian']} {suite} main"]


def _configure(tree: Path) -> None:
    units = tree / "etc/systemd/system"
    (units / "pod-vm.service").write_text(_UNIT)
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    (units / "multi-user.target.wants/pod-vm.service").symlink_to("../pod-vm.service")
    for unit in _IDLE:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    (tree / "etc/hostname").write_text("vm\n")
    (tree / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")  # else a first boot's work each time
    for file in ("etc/subuid", "etc/subgid"):
        (tree / file).write_text("sub:100000:65536\n")
