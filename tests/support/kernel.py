"""What the kernel under the tests has."""

from __future__ import annotations

import functools
import subprocess

from tests.support import tools


@functools.cache
def has_link(kind: str) -> bool:
    """Whether it makes network interfaces of that kind, tried in a namespace of one's own by ip(8)."""
    program = tools.find("ip")
    assert program, "ip (iproute2) is not installed"
    script = f"{program} link add one type veth peer name two && {program} link add link one name vlan type {kind}"
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, timeout=30)
    unknown = ("not supported", "unknown device")
    assert not done.returncode or any(words in done.stderr.lower() for words in unknown), done
    return not done.returncode
