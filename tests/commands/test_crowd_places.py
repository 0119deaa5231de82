"""Stores on disks that refuse locks or extended attributes, as network file systems do: all works the same."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support import places
from tests.support.podcli import Pod

FILTER = str(places.REPOSITORY / "tests/support/filtered.py")
ENOLCK, ENOSYS, EOPNOTSUPP = 37, 38, 95
LOCKS = {str(number): [f"deny:flock={number}"] for number in (ENOLCK, ENOSYS, EOPNOTSUPP)}
XATTRS = [f"deny:setxattr,lsetxattr,fsetxattr,setxattrat={EOPNOTSUPP}"]


class Refused(Pod):
    """Every command under filters that deny calls; they hold for supervisors and containers, too."""

    def __init__(self, pod: Pod, filters: list[str]) -> None:
        self.__dict__.update(pod.__dict__)
        self.filters = filters

    def argv(self, *arguments: str) -> list[str]:
        words = [word for one in self.filters for word in (sys.executable, FILTER, one)]
        return [*words, *super().argv(*arguments)]


@pytest.mark.alike
@pytest.mark.parametrize("errno", sorted(LOCKS))
def test_store_when_locks_are_refused_then_all_works(fresh_pod: Pod, errno: str) -> None:
    check(Refused(fresh_pod, LOCKS[errno]))


def test_store_when_locks_and_attributes_are_refused_then_all_works(fresh_pod: Pod) -> None:
    check(Refused(fresh_pod, LOCKS[str(ENOLCK)] + XATTRS))


def check(pod: Pod) -> None:
    assert pod._registry_name is not None
    image = pod._registry_name("busybox:latest")
    pod("pull", "-q", image).ok()
    assert pod("run", "--rm", "--network", "none", image, "echo", "in").ok() == "in\n"
    pod("run", "-d", "--name", "one", "--network", "none", "-v", "data:/etc", image, "sleep", "1000").ok()
    assert pod("exec", "one", "cat", "/etc/passwd").ok()  # the volume got the image's content
    pod("rename", "one", "two").ok()
    pod("stop", "-t", "0", "two").ok()
    pod("start", "two").ok()
    pod("rm", "-f", "-v", "two").ok()
    pod("volume", "rm", "data").ok()
    pod("rmi", image).ok()
    assert pod("images", "-q").ok() == pod("ps", "-aq").ok() == ""
    assert not os.listdir(pod.root / "blobs/sha256")
