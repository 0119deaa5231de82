"""`apt-get install` in a RUN, beside the same in `pod run`: what the build itself costs, and the layer that it writes.

The packages lie in the image, and there is no network: nothing but the host's own work is measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from tests.bench.measure import Subject
from tests.bench.peers import Bench
from tests.support import images, mirror

DEBIAN = "12"
BESIDE = "run --rm"
GOAL = 1.05
_IMAGE = "with-packages"
_PACKAGES = "openssh-server postgresql rsync"
_INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install /packages/*.deb"
_FETCH = """
    rm -rf /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/docker-clean
    apt-get -q update
    apt-get -qy --no-install-recommends --download-only -o APT::Keep-Downloaded-Packages=true install PACKAGES
    mkdir /packages
    mv /var/cache/apt/archives/*.deb /packages/
"""


class Missing(Exception):
    """No case: the text says what is not there."""


def subjects(bench: Bench) -> list[Subject]:
    """Both in turn, each time anew from the same image."""
    suite = images.SUITES[DEBIAN]
    reason = mirror.lacking(suite)
    if reason:
        raise Missing(f"mirror: {reason}")
    folder = bench.scratch / "build-install"
    context = folder / "context"
    context.mkdir(parents=True)
    pod = bench.pod
    try:
        image = pod.image(f"debian:{DEBIAN}")
        fetch = _FETCH.replace("PACKAGES", _PACKAGES)
        pod("run", "--name", "fetch", *mirror.options(suite, folder), image, "sh", "-ec", fetch, timeout=900).ok()
        pod("commit", "fetch", _IMAGE, timeout=300).ok()
        pod("rm", "fetch").ok()
    except AssertionError as error:
        raise Missing(f"packages: {error}") from None
    run = pod.argv("run", "--rm", "--network", "none", _IMAGE, "sh", "-c", _INSTALL)
    build = pod.argv("build", "-q", "--network", "none", str(context))
    return [
        Subject("pod", build, pod.environ(), before=_other_step(context / "Dockerfile"), linger=60),
        Subject(BESIDE, run, pod.environ(), linger=60),
    ]


def _other_step(file: Path) -> Callable[[], None]:
    rounds = itertools.count()

    def write() -> None:
        file.write_text(f"FROM {_IMAGE}\nRUN {_INSTALL} && echo {next(rounds)}\n")

    return write
