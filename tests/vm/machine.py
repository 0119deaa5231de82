"""One boot of a suite: a second disk brings the job, the second serial line takes what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support import places
from tests.vm import image

_HERE = Path(__file__).parent
_QEMU = "qemu-system-x86_64"


class Died(Exception):
    """The machine did not come to its end; the message has what it said last."""


def run(suite: str, timeout: float) -> list[str]:
    """Boots the suite's machine and runs guest.sh in it; the lines that it wrote. Died after ``timeout`` seconds."""
    folder = image.ensure(suite)
    with tempfile.TemporaryDirectory(prefix="pod-vm-") as name:
        work = Path(name)
        job = work / "job"
        job.mkdir()
        shutil.copy(places.REPOSITORY / "pod.pyz", job / "pod.pyz")
        for file in ("guest.sh", "checks.sh"):
            shutil.copy(_HERE / file, job / file)
        with open(work / "job.disk", "wb") as disk:
            disk.truncate(64 << 20)
        mke2fs = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin") or "mke2fs"
        subprocess.run([mke2fs, "-q", "-t", "ext4", "-d", job, work / "job.disk"], check=True, timeout=60)
        argv = _argv(folder, work)
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise Died(f"{suite}: not ended in {timeout:.0f} s\n{_tail(work)}") from None
        lines = (work / "said").read_text("utf-8", "replace").replace("\r", "").splitlines()
        if done.returncode or "END" not in lines:
            raise Died(f"{suite}: {done.stderr[-500:]}\n{_tail(work)}")
        return lines


def _argv(folder: Path, work: Path) -> list[str]:
    """KVM only where the processor itself has it: other providers of /dev/kvm run no common kernel."""
    hardware = any(os.path.exists(f"/sys/module/{name}") for name in ("kvm_intel", "kvm_amd"))
    fast = hardware and os.access("/dev/kvm", os.R_OK | os.W_OK)
    return [
        _QEMU, "-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "kvm" if fast else "tcg",
        "-cpu", "host" if fast else "Nehalem", "-smp", "2", "-m", "1536", "-display", "none", "-no-reboot",
        "-serial", f"file:{work}/console", "-serial", f"file:{work}/said",
        "-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd.img"),
        "-append", "root=/dev/vda rw console=ttyS0 panic=-1 quiet mitigations=off net.ifnames=0",
        "-drive", f"file={folder}/disk,format=raw,if=virtio,cache=unsafe,snapshot=on",
        "-drive", f"file={work}/job.disk,format=raw,if=virtio,cache=unsafe,snapshot=on",
    ]  # fmt: skip


def _tail(work: Path) -> str:
    said = [path.read_text("utf-8", "replace")[-1500:] for path in (work / "console", work / "said") if path.exists()]
    return "\n".join(said)
