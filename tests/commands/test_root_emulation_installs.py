"""Whole installations: a Debian in a container behaves as real root's does, with one id and with sub-ids alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import images, installed, mirror, podcli
from tests.support.podcli import Pod

pytestmark = pytest.mark.slow
DEBIANS = [pytest.param(number, marks=pytest.mark.mirror(suite)) for number, suite in images.SUITES.items()]
OWNERS = (
    r"find / -xdev \( -path /debs -o -path /proc -o -path /sys -o -path /dev \) -prune -o"
    r" ! \( -user root -group root \)"
    r" ! \( -path '/var/lib/postgresql/*/main/*' -user postgres -group postgres \)"
    r" -printf '%m %u:%g %p\n' | LC_ALL=C sort -k 3; find / -xdev | wc -l"
)
OWN_SERVER = r"""
    PATH=$PATH:$(echo /usr/lib/postgresql/*/bin); initdb -D ~/own --auth=peer > /dev/null
    pg_ctl -D ~/own -l /dev/null -o '-c listen_addresses= -k /tmp' -w start > /dev/null
    stat -c %U:%G ~/own/postmaster.pid
    psql -h /tmp -Atc 'select current_user, 6 * 7' postgres; pg_ctl -D ~/own stop > /dev/null
"""


def lines(text: str) -> list[str]:
    """Without indentation and empty lines."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def begin(pod: Pod, number: str, folder: Path) -> str:
    """A container that sleeps, with the host's mirror; its name."""
    name = f"debian{number}"
    options = mirror.options(images.SUITES[number], folder)
    pod("run", "-d", "--name", name, *options, pod.image(f"debian:{number}"), "sleep", "3000").ok()
    return name


def install(pod: Pod, name: str, *packages: str) -> None:
    """By apt, as it stands: its own user downloads, and it has nothing to complain of."""
    script = mirror.INSTALL.replace("PACKAGES", " ".join(packages))
    done = pod("exec", name, "sh", "-ec", script, timeout=900)
    said = [line for line in (done.out + done.err).splitlines() if line.startswith(("W: ", "E: "))]
    assert (done.code, said) == (0, []), done


def differences(pod: Pod, name: str) -> dict[str, tuple[list[str], list[str]]]:
    """Of those scripts that print something else: what they print, what they should."""
    port = str(podcli.free_port())
    found = {}
    for what, script, expected in installed.scripts():
        done = pod("exec", name, "sh", "-ec", script.replace("PORT", port), timeout=200)
        printed = lines(done.out.replace(port, "PORT")) + ([] if done.code == 0 else [f"exit {done.code}", done.err])
        if printed != lines(expected):
            found[what] = (printed, lines(expected))
    return found


@pytest.mark.parametrize("number", DEBIANS)
def test_install_when_debian_then_all_is_as_real_roots(fresh_pod: Pod, tmp_path: Path, number: str) -> None:
    pod, name = fresh_pod, begin(fresh_pod, number, tmp_path)
    try:
        install(pod, name, *installed.PACKAGES)
        *others, count = pod("exec", name, "sh", "-c", OWNERS).ok().splitlines()
        version = pod("exec", name, "ls", "/etc/postgresql").ok().strip()
        expected = (installed.OTHERS + installed.OTHERS_OF[number]).replace("VERSION", version)
        assert others == sorted(lines(expected), key=lambda line: line.split()[2:])
        assert int(count) > 14000
        install(pod, name, *installed.MORE, *installed.TMPFILES[number])
        assert differences(pod, name) == {}
        query = ("psql", "-Atc", "select current_user")
        assert pod("exec", "-u", "postgres", name, *query).ok() == "postgres\n"
        own = pod("exec", "-u", "postgres", name, "sh", "-ec", OWN_SERVER, timeout=120)
        assert own.ok() == "postgres:postgres\npostgres|42\n"
    finally:
        pod("rm", "-f", name).ok()
