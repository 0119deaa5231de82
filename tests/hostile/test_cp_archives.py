"""Archives on ``cp -`` that attack: what they name stays below the destination, and in the container."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.support.podcli import Pod


def packed(*entries: tuple[str, bytes, str, bytes]) -> bytes:
    """(name, type, where a link leads, content) of each."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, link, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size, info.mode = kind, link, len(content), 0o755
            info.devmajor, info.devminor = 1, 3
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


FILE, LINK, HARD, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE

ATTACKS = {
    "up": packed(("../../evil", FILE, "", b"x")),
    "absolute": packed(("/evil", FILE, "", b"x")),
    "through-a-link": packed(("l", LINK, "../..", b""), ("l/evil", FILE, "", b"x")),
    "through-an-absolute-link": packed(("l", LINK, "/", b""), ("l/evil", FILE, "", b"x")),
    "hard-link-up": packed(("h", HARD, "../../etc/passwd", b""), ("h", FILE, "", b"x")),
    "hard-link-through-a-link": packed(("l", LINK, "/etc", b""), ("h", HARD, "l/passwd", b"")),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_cp_in_when_an_archive_leads_out_then_nothing_is_written_there(pod: Pod, busybox: str, attack: str) -> None:
    pod("run", "-d", "--name", "box", "--network", "none", busybox, "sh", "-c", "mkdir /in; exec sleep 1000").ok()
    before = pod("exec", "box", "cat", "/etc/passwd").ok()
    done = pod("cp", "-", "box:/in", stdin=ATTACKS[attack])
    assert done.code in (0, 1)
    assert done.code == 0 or done.err.startswith("pod: cp"), repr(done)
    assert pod("exec", "box", "sh", "-c", "ls -d /evil 2>/dev/null; cat /etc/passwd").out == before
    assert pod("exec", "box", "sh", "-c", "find / -xdev -name evil ! -path '/in/*'").out == ""
    assert not Path("/evil").exists()


@pytest.mark.parametrize("damage", ["text", "cut", "checksum"])
def test_cp_in_when_it_is_no_archive_then_one_line(pod: Pod, busybox: str, damage: str) -> None:
    good = packed(("f", FILE, "", b"x" * 5000))
    data = {"text": b"this is no archive\n" * 100, "cut": good[:3000], "checksum": good[:20] + b"?" + good[21:]}[damage]
    pod("create", "--name", "box", "--network", "none", busybox, "true").ok()
    pod("cp", "-", "box:/tmp", stdin=data).failed(1, "cp")


def test_cp_in_when_an_archive_has_a_device_then_it_is_recorded_or_left_out(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "box", "--network", "none", busybox, "sleep", "1000").ok()
    done = pod("cp", "-", "box:/tmp", stdin=packed(("null", tarfile.CHRTYPE, "", b""), ("f", FILE, "", b"x")))
    done.ok()
    found = pod("exec", "box", "sh", "-c", "cd /tmp; stat -c '%n %F %t:%T' * 2>/dev/null").ok().splitlines()
    assert "f regular file 0:0" in found
    assert "null character special file 1:3" in found or "devices left out" in done.err
