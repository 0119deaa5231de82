"""The Debian mirror that this host's apt uses, for containers: sources, proxy and certificates as apt has them here.

Asked of apt itself (apt-get indextargets, apt-config dump), whatever form its files have. The host stays as it is.
"""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from pathlib import Path

from tests.support import podcli, tools

_HELPER = "/usr/lib/apt/apt-helper"
_SETTING = re.compile(r'Acquire::(https?|Check-Valid-Until|Check-Date|Retries)\b[^"]* "[^"]*";')
_SECONDS = 40


def _ask(*argv: str) -> list[str]:
    """Lines of an apt program; none where it is missing or fails."""
    program = tools.find(argv[0])
    if program is None:
        return []
    done = subprocess.run(
        [program, *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    return done.stdout.splitlines() if done.returncode == 0 else []


@functools.lru_cache
def archives() -> tuple[str, str]:
    """(URI of the Debian archive, URI of its security updates or ""); both empty where apt has no Debian."""
    found = {"": "", "-security": ""}
    for line in _ask("apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)", "Created-By: Packages"):
        uri, _, release = line.partition("|")
        match = re.fullmatch(r"(?:bullseye|bookworm|trixie|forky|sid)(-security|)", release.rstrip("/"))
        if match and re.search(r"/debian(-security)?/?$", uri):
            found[match[1]] = found[match[1]] or uri.rstrip("/")
    return found[""], found["-security"]


def settings() -> list[str]:
    """Lines for apt.conf: proxies, certificates, clocks."""
    return [line for line in _ask("apt-config", "dump") if _SETTING.fullmatch(line)]


@functools.lru_cache
def lacking(suite: str) -> str:
    """Why packages of that Debian cannot be had; empty where its mirror answers."""
    uri = archives()[0]
    if not uri:
        return "apt has no Debian archive among its sources here"
    with tempfile.TemporaryDirectory() as folder:
        argv = [_HELPER, "download-file", f"{uri}/dists/{suite}/InRelease", f"{folder}/InRelease"]
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{uri}: {error}"
    return "" if done.returncode == 0 else f"{uri} does not answer for {suite}"


def options(suite: str, folder: Path, debs: Path | None = None) -> list[str]:
    """Flags of ``pod run``: the host's sources (of that suite), apt settings and certificates, bound where apt looks.

    ``folder`` is written to. Packages are kept in /debs: ``debs``, or a cache of this user's. apt verifies them all.
    """
    main, security = archives()
    lines = [f"deb {main} {suite} main"]
    if security:
        lines.append(f"deb {security} {suite}-security main")
    (folder / "sources.list").write_text("".join(f"{line}\n" for line in lines))
    conf = settings()
    (folder / "apt.conf").write_text("".join(f"{line}\n" for line in conf))
    debs = debs or podcli.shared_cache() / "debs" / suite
    debs.mkdir(parents=True, exist_ok=True)
    binds = [
        f"{folder}/sources.list:/etc/apt/sources.list:ro",
        f"{folder}/apt.conf:/etc/apt/apt.conf.d/00host:ro",
        f"{debs}:/debs",
    ]
    files = {line.split('"')[1] for line in conf if "CaInfo" in line}
    if main.startswith("https:"):
        files.add("/etc/ssl/certs/ca-certificates.crt")
    binds += [f"{path}:{path}:ro" for path in sorted(files) if Path(path).is_file()]
    return [word for bind in binds for word in ("-v", bind)]


INSTALL = """
    export DEBIAN_FRONTEND=noninteractive
    rm -rf /etc/apt/sources.list.d/*; cp /debs/*.deb /var/cache/apt/archives/ 2>/dev/null || :
    apt-get update
    apt-get install -y --no-install-recommends -o APT::Keep-Downloaded-Packages=true PACKAGES
    apt-get autoclean > /dev/null
    rm -f /debs/*; cp /var/cache/apt/archives/*.deb /debs/; apt-get clean
"""
"""Installs PACKAGES in a container with :func:`options`."""
