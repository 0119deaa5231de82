"""Debian's programs and what this host offers. Every reason for a skip is a capability named here."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import places

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES = places.REPOSITORY / "tests" / "support" / "packages.txt"


class CommandFailed(Exception):
    """A program that prepares the tests ended badly; the text has its last words."""


def find(name: str) -> str | None:
    """Full path of a program, also from the sbin folders that a user's PATH lacks, and of what fetch.py unpacked."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SEARCH}:{places.fetched()}")


def packages() -> list[str]:
    """The Debian packages of packages.txt."""
    lines = PACKAGES.read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def call(
    argv: list[str], *, timeout: float = 300, cwd: Path | None = None, environ: dict[str, str] | None = None
) -> str:
    """Runs a program of the preparation and returns its standard output. CommandFailed with its last words."""
    program = find(argv[0])
    if program is None:
        raise CommandFailed(f"{argv[0]}: not installed")
    done = subprocess.run(
        [program, *argv[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        cwd=cwd,
        env=environ,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise CommandFailed(f"{' '.join(argv[:3])}: status {done.returncode}: {' | '.join(words)}")
    return done.stdout


def cgroup_root() -> Path | None:
    """Where cgroups of version 2 are."""
    for place in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(f"{place}/cgroup.procs") and os.path.exists(f"{place}/cgroup.controllers"):
            return Path(place)
    return None


def own_cgroup() -> Path | None:
    """This process's cgroup of version 2."""
    root = cgroup_root()
    lines = Path("/proc/self/cgroup").read_text().splitlines() if root else []
    return next((root / line[len("0::/") :] for line in lines if line.startswith("0::/") and root), None)


def delegated_cgroup() -> Path | None:
    """The cgroup above this process's own, where this user may make others and move processes to them."""
    own = own_cgroup()
    if own is None or own == cgroup_root():
        return None
    above = own.parent
    return above if os.access(above, os.W_OK) and os.access(above / "cgroup.procs", os.W_OK) else None


SPLIT = ("blkio", "cpu", "cpuset", "memory", "pids")
"""Controllers of version 1 that limits are tried with."""


def split_cgroups() -> list[Path]:
    """A group of version 1 of this user's for each of SPLIT, [] where one is missing: those made for this run of the
    suite (users.divided_cgroup), the newest where version 2 does not tell which these are.
    """
    own = own_cgroup()
    wanted = own.parent.name if own and own.parent.name.startswith("pod-suite-") else "pod-suite-*"
    found = []
    for controller in SPLIT:
        places = [path for path in Path("/sys/fs/cgroup", controller).glob(wanted) if os.access(path, os.W_OK)]
        found += sorted(places, key=lambda path: path.stat().st_mtime)[-1:]
    return found if len({path.name for path in found}) == 1 and len(found) == len(SPLIT) else []


def make_split_cgroup(path: Path) -> None:
    """A group of version 1 that takes processes; it may be there already."""
    path.mkdir(exist_ok=True)
    for file in ("cpuset.cpus", "cpuset.mems"):  # a new one has none, and takes nobody then
        if (path / file).exists():
            (path / file).write_text((path.parent / file).read_text())


def disk_below(folder: Path) -> Path | None:
    """The node of the whole disk that the folder's file system is on, whose throughput groups may limit; None where it
    is none of the kernel's (memory, overlay, btrfs' own numbers), or has no node.
    """
    number = folder.stat().st_dev
    try:
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve(strict=True)
    except OSError:
        return None
    if (device / "partition").exists():
        device = device.parent
    node = Path("/dev", device.name)
    return node if node.is_block_device() else None


def makes_devices() -> bool:
    """Whether the kernel lets this process make the node of a device on the disk."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        try:
            os.mknod(f"{folder}/null", 0o20600, os.makedev(1, 3))
        except OSError:
            return False
    return True


def sub_ids() -> tuple[int, int] | None:
    """First range (start, count) that /etc/subuid and /etc/subgid both give this user, if newuidmap is there too."""
    if find("newuidmap") is None or find("newgidmap") is None:
        return None
    owners = {str(os.getuid())}
    with contextlib.suppress(KeyError):
        owners.add(pwd.getpwuid(os.getuid()).pw_name)
    uids, gids = _ranges("/etc/subuid", owners), _ranges("/etc/subgid", owners)
    return uids[0] if uids and gids else None


def _ranges(path: str, owners: set[str]) -> list[tuple[int, int]]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return []
    fields = [line.split(":") for line in lines]
    return [(int(field[1]), int(field[2])) for field in fields if len(field) == 3 and field[0] in owners]


def as_namespace_root(argv: list[str]) -> list[str]:
    """The same command as root of a user namespace with all of this user's ids: it may remove what containers left."""
    if os.getuid() == 0:
        return argv
    unshare = find("unshare") or "unshare"
    if sub_ids():
        return [unshare, "--user", "--map-root-user", "--map-auto", "--", *argv]
    return [unshare, "--user", "--map-root-user", "--", *argv]


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for podman, as its XDG_RUNTIME_DIR too: its --runroot has 50 characters at most, and of the process that
    holds its namespaces nobody else would take care.
    """
    place = Path(tempfile.mkdtemp(prefix="pod-", dir="/var/tmp"))
    try:
        yield place
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((place / "libpod/tmp/pause.pid").read_text()), signal.SIGKILL)
        remove_tree(place)


def remove_tree(path: Path, *, seconds: float | None = 120) -> None:
    """Removes a store, whatever ids and modes it holds. subprocess.TimeoutExpired after so many ``seconds``."""
    subprocess.run(
        as_namespace_root(["/bin/rm", "-rf", "--one-file-system", str(path)]),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=seconds,
        check=False,
    )
    shutil.rmtree(path, ignore_errors=True)
