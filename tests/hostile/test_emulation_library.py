"""The library inside the programs: what a container does to it reaches neither the cache nor other containers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.podcli import Pod

pytestmark = pytest.mark.no_sub_ids
WRITE = """
    cat /proc/self/mountinfo; echo; for file in root.so shown; do
        mount -o remount,bind,rw /dev/.pod/$file || echo locked
        echo more >> /dev/.pod/$file && echo written
    done
"""


@pytest.fixture
def pod(_session_pod: Pod) -> Iterator[Pod]:
    """Not the one of this folder, which has no registry: this needs a Debian."""
    yield _session_pod
    _session_pod.tidy()


def test_library_when_a_privileged_container_overwrites_it_then_it_was_its_own_copy(pod: Pod) -> None:
    """CAP_SYS_ADMIN makes read-only binds writable. The page is the container's own as well, and only holds hints."""
    image = pod.image("debian:12")
    argv = ("run", "--rm", "--privileged", "--root-emulation=full", image, "sh", "-c", WRITE)
    mounts, said = pod(*argv).out.split("\n\n")
    (line,) = [line for line in mounts.splitlines() if line.split()[4] == "/dev/.pod/root.so"]
    assert line.split(" - ")[1].split()[0] == "tmpfs"
    assert line.split()[3] == "/.pod/root.so"
    assert "written" in said
    script = "touch /f; chown 5:6 /f; stat -c %u:%g /f; tail -c 5 /dev/.pod/root.so | grep -ac more"
    result = pod("run", "--rm", "--root-emulation=full", image, "sh", "-c", script)
    assert result.out == "5:6\n0\n", repr(result)
    assert result.err == ""
