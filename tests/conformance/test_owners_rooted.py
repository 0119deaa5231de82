"""What a user without sub-ids installed in a container, committed and pushed, unpacked by umoci as root: it is what
a user with sub-ids gets by the same steps, and what buildah gets as real root.

Runs as root (capability ``root``; tests/support/suite.py starts it for ``make test-long``), pod itself as two users.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import mirror, users
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.trees import Others

pytestmark = [
    pytest.mark.slow, pytest.mark.root, pytest.mark.umoci, pytest.mark.skopeo, pytest.mark.buildah,
    pytest.mark.image("debian:12"), pytest.mark.mirror("bookworm"),
]  # fmt: skip
PACKAGES = "dbus sudo iputils-ping libcap2-bin cron uuid-runtime openssh-client"
"""System users (messagebus, uuidd), groups (crontab, _ssh), set-id programs (sudo, crontab, ssh-agent, that of
dbus), one with capabilities (ping)."""
STEPS = f"""
set -e; umask 022
{mirror.INSTALL.replace("PACKAGES", PACKAGES)}
adduser --quiet --system --group --home /var/lib/ours ours; install -d -o ours -g crontab -m 3770 /srv/ours
cp /bin/true /srv/ours/bound; setcap cap_net_bind_service,cap_setuid=ep /srv/ours/bound; chown -h ours: /srv/ours
mknod -m 640 /srv/ours/disk b 8 1; chown root:disk /srv/ours/disk; mknod /srv/ours/null c 1 3; chmod 666 /srv/ours/null
ln -s disk /srv/ours/link; chown -h ours:ours /srv/ours/link; mkfifo -m 620 /srv/ours/pipe
chown ours:tty /srv/ours/pipe
ln /srv/ours/bound /srv/ours/again; mv /usr/bin/chage /srv/chage; mv /etc/gshadow- /srv/gshadow; echo >>/var/log/wtmp
rm -rf /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
"""
EXPECTED = {
    "usr/bin/sudo": (0o104755, 0, 0), "srv/chage": (0o102755, 0, "shadow"), "srv/gshadow": (0o100640, 0, "shadow"),
    "srv/ours": (0o43770, "ours", "ours"), "srv/ours/disk": (0o60640, 0, "disk"), "srv/ours/null": (0o20666, 0, "ours"),
    "srv/ours/link": (0o120777, "ours", "ours"), "srv/ours/pipe": (0o10620, "ours", "tty"),
    "usr/bin/crontab": (0o102755, 0, "crontab"), "usr/bin/ssh-agent": (0o102755, 0, "_ssh"),
    "usr/lib/dbus-1.0/dbus-daemon-launch-helper": (0o104754, 0, "messagebus"), "var/log/wtmp": (0o100664, 0, "utmp"),
    "var/lib/libuuid": (0o42775, "uuidd", "uuidd"), "etc/shadow": (0o100640, 0, "shadow"),
}  # fmt: skip
"""{path: (mode, user, group)} of some that the comparison is about."""
ENGINES = {"dev", "proc", "sys", "run", "tmp", "debs", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}
ENGINES |= {"etc/apt/sources.list", "etc/apt/apt.conf.d/00host", "run/.containerenv", "run/secrets"}
"""What an engine puts there, and what the steps' binds leave."""
NOTED = ("var/log/", "var/cache/", "var/lib/apt/", "var/lib/dpkg/", "etc/machine-id", "var/lib/dbus/", "etc/shadow")
"""Contents have times, or chance, in them."""

Entry = tuple[Any, ...]


class PodOf(Pod):
    """pod as another user, started by root."""

    def __init__(self, name: str) -> None:
        self.user = pwd.getpwnam(name)
        base = Path(tempfile.mkdtemp(prefix="pod-test-", dir="/var/tmp"))
        super().__init__(base)
        self.cache = Path(f"/var/tmp/pod-test-cache-{self.user.pw_uid}")
        self.debs = self.cache / "debs" / "bookworm"
        for path in (self.cache, self.debs.parent, self.debs):
            if not path.exists():
                path.mkdir(0o700)
                shutil.chown(path, name, name)
        for path in (base, self.home):
            shutil.chown(path, name, name)

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**super().environ(extra), "XDG_CACHE_HOME": str(self.cache)}

    def argv(self, *arguments: str) -> list[str]:
        words = [f"{name}={value}" for name, value in self.environ().items()]
        return users.as_user(self.user.pw_name, ["/usr/bin/env", *words, *super().argv(*arguments)])


@pytest.fixture
def pods() -> Iterator[list[PodOf]]:
    """Of the user without sub-ids, and of the one with."""
    made = [PodOf(name) for name in (users.WITHOUT_SUB_IDS, users.WITH_SUB_IDS)]
    yield made
    for pod in made:
        pod.destroy()


def binds(folder: Path, debs: Path) -> list[str]:
    folder.mkdir(mode=0o755, parents=True)
    found = mirror.options("bookworm", folder, debs)
    for path in folder.iterdir():
        path.chmod(0o644)
    return found


def pushed(pod: PodOf, base: str, target: str) -> None:
    words = binds(pod.base / "apt", pod.debs)
    done = pod("run", "--name", "made", "--hostname", "here", *words, base, "sh", "-c", STEPS, timeout=400)
    assert done.code == 0, done
    pod("commit", "made", target, timeout=120).ok()
    pod("push", "-q", target, timeout=120).ok()
    pod("rm", "made").ok()


def by_buildah(others: Others, base: str, folder: Path) -> dict[str, Entry]:
    """The same steps by real root."""
    debs = folder / "debs"
    debs.mkdir(parents=True)
    words = binds(folder / "apt", debs)
    container = others.buildah("from", "--tls-verify=false", base).strip()
    others.buildah("run", "--isolation", "chroot", "--cap-add", "CAP_MKNOD", "--hostname", "here", *words,
                   container, "sh", "-c", STEPS)  # fmt: skip
    return tree(Path(others.buildah("mount", container).strip()))


def tree(root: Path) -> dict[str, Entry]:
    """{path: (mode with type, uid, gid, device, other names, attributes, content or target)} as the kernel tells."""
    found: dict[str, Entry] = {}
    names: dict[int, list[str]] = {}
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(parent, name)
            short, st = str(path.relative_to(root)), path.lstat()
            said = os.readlink(path) if stat.S_ISLNK(st.st_mode) else ""
            if stat.S_ISREG(st.st_mode):
                names.setdefault(st.st_ino, []).append(short)
                said = hashlib.sha256(path.read_bytes()).hexdigest() if not short.startswith(NOTED) else ""
            found[short] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_rdev, attributes(path), said)
    shared = {path: sorted(group) for group in names.values() for path in group}
    return {path: (*entry, shared.get(path)) for path, entry in found.items() if not of_an_engine(path)}


def attributes(path: Path) -> list[tuple[str, bytes]]:
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names]


def of_an_engine(path: str) -> bool:
    return path in ENGINES or path.startswith(("dev/", "proc/", "sys/", "run/", "tmp/", "var/cache/ldconfig/"))


def different(ours: dict[str, Entry], theirs: dict[str, Entry]) -> dict[str, Any]:
    return {path: (ours.get(path), theirs.get(path)) for path in ours.keys() | theirs.keys()
            if ours.get(path) != theirs.get(path)}  # fmt: skip


def test_installation_when_pushed_and_unpacked_by_root_then_as_with_sub_ids_and_as_buildahs(
    registry: Registry, writable_registry: Registry, pods: list[PodOf], tmp_path: Path
) -> None:
    others = Others(tmp_path)
    base = registry.name("debian:12")
    targets = [f"{writable_registry.host}/made/by:{pod.user.pw_name}" for pod in pods]
    with ThreadPoolExecutor(len(pods)) as pool:
        list(pool.map(pushed, pods, [base] * 2, targets))
    found = []
    for pod, target in zip(pods, targets):
        name = pod.user.pw_name
        others.skopeo(f"docker://{target}", f"oci:{tmp_path}/layout:{name}")
        others.umoci("unpack", "--image", f"{tmp_path}/layout:{name}", f"{tmp_path}/bundle-{name}")
        found.append(tree(tmp_path / f"bundle-{name}/rootfs"))
    alone, mapped = found
    check(alone, tmp_path / f"bundle-{pods[0].user.pw_name}/rootfs")
    assert different(alone, mapped) == {}
    assert different(alone, by_buildah(others, base, tmp_path / "buildah")) == {}


def check(found: dict[str, Entry], root: Path) -> None:
    """What the steps are there for is there."""
    ids = [
        {line.split(":")[0]: int(line.split(":")[2]) for line in (root / "etc" / name).read_text().splitlines()}
        for name in ("passwd", "group")
    ]
    for path, (mode, *owner) in EXPECTED.items():
        numbers = [known[one] if isinstance(one, str) else one for known, one in zip(ids, owner)]
        assert found[path][:3] == (oct(mode), *numbers), path
    assert (found["srv/ours/disk"][3], found["srv/ours/null"][3]) == (os.makedev(8, 1), os.makedev(1, 3))
    for path in ("usr/bin/ping", "srv/ours/bound"):
        assert [name for name, _ in found[path][4]] == ["security.capability"], path
    assert found["srv/ours/again"][-1] == ["srv/ours/again", "srv/ours/bound"]
