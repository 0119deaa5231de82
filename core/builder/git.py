"""Repositories for ADD and contexts, by the host's git.

    URL[#[REF][:FOLDER]]        https://…/x.git, git://…, ssh://…, git@host:x, github.com/user/x

Nothing of the address becomes an option, no protocol but those above is spoken (also not by submodules), and no hook or
template of the repository or of the caller runs. The caller's own configuration counts: credentials, proxies, keys.
"""

from __future__ import annotations

import os

from pod.core.builder.download import shown
from pod.core.errors import HostUnsupported, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES = ("https://", "http://", "git://", "ssh://", "git+ssh://", "git+https://", "git+http://")
_ALLOWED = "https:http:ssh:git"
_OPTIONS = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.symlinks=true",
    "-c", "advice.detachedHead=false", "-c", "submodule.recurse=false", "-c", "gc.auto=0",
    "-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60",
)  # fmt: skip
_WORDS = 4096
"""Bytes of what git says that are shown."""


class Repository:
    """An address taken apart: ``url``, ``ref`` ("" for the default branch), ``folder`` ("" for all)."""

    __slots__ = ("folder", "ref", "url")

    def __init__(self, url: str, ref: str, folder: str) -> None:
        self.url = url
        self.ref = ref
        self.folder = folder


def is_git(word: str) -> bool:
    """Whether Docker takes ``word`` for a repository."""
    if word.startswith(("http://", "https://")):
        return word.partition("#")[0].partition("?")[0].endswith(".git")
    return word.startswith(_SCHEMES) or word.startswith("github.com/") or _is_scp(word)


def _is_scp(word: str) -> bool:
    """user@host:path, as git@github.com:x/y."""
    before, colon, _ = word.partition(":")
    user, at, host = before.partition("@")
    return bool(colon and at and user and host) and "/" not in before


def parse(word: str) -> Repository:
    """PodError for an address, ref or folder that could mean something else to git."""
    url, _, fragment = word.partition("#")
    ref, _, folder = fragment.partition(":")
    if url.startswith("github.com/"):
        url = "https://" + url
    url = url[4:] if url.startswith("git+") else url
    host = url.partition("://")[2] if "://" in url else url
    if not is_git(word) or host.startswith("-") or "@-" in url or any(ord(character) < 33 for character in url):
        raise PodError(f"{shown(url)}: not an address of a repository")
    if ref.startswith(("-", "+", ":", "^")) or any(ord(one) < 33 or one in "~^?*[\\" for one in ref) or ".." in ref:
        raise PodError(f"{shown(url)}: not the name of a branch, tag or commit: {ref!r}")
    if "\0" in folder:
        raise PodError(f"{shown(url)}: not a folder: {folder!r}")
    return Repository(url, ref, folder.strip("/"))


def checkout(environ: Mapping[str, str], one: Repository, folder: str, *, keep: bool = False, commit: str = "") -> str:
    """Its files in the new folder ``folder``, submodules too; the commit's id.

    ``keep``: with .git; ``commit``: what it must be (the beginning will do). PodError with git's own words.
    """
    os.mkdir(folder, 0o755)
    place = shown(one.url)
    _run(environ, folder, place, "init", "--quiet", "--template=")
    _fetch(environ, folder, one)
    _run(environ, folder, place, "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
    found = _run(environ, folder, place, "rev-parse", "HEAD").strip()
    if commit and not found.startswith(commit):
        raise PodError(f"{place}: expected checksum to match {commit}, got {found}")
    modules = os.path.lexists(f"{folder}/.gitmodules")
    if modules:
        _run(environ, folder, place, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
    if not keep:
        _forget(folder, deep=modules)
    return found


def _fetch(environ: Mapping[str, str], folder: str, one: Repository) -> None:
    """FETCH_HEAD is what is wanted. A commit that the server does not give by its id is looked for in all there is."""
    place = shown(one.url)
    is_commit = len(one.ref) >= 7 and all(character in "0123456789abcdef" for character in one.ref)
    if not is_commit or len(one.ref) == 40:
        try:
            _run(environ, folder, place, "fetch", "--quiet", "--no-tags", "--depth=1", "--", one.url, one.ref or "HEAD")
            return
        except PodError:
            if not is_commit:
                raise
    every = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    _run(environ, folder, place, "fetch", "--quiet", "--no-tags", "--", one.url, *every)
    found = _run(environ, folder, place, "rev-parse", "--verify", "--quiet", f"{one.ref}^{{commit}}").strip()
    with open(f"{folder}/.git/FETCH_HEAD", "w", encoding="ascii") as file:
        file.write(f"{found}\t\tbranch\n")


def _forget(folder: str, *, deep: bool) -> None:
    """Takes .git away, with ``deep`` those of submodules too."""
    import shutil

    if deep:
        for _, _, names, fd in os.fwalk(folder, follow_symlinks=False):
            if ".git" in names:
                os.unlink(".git", dir_fd=fd)
    shutil.rmtree(f"{folder}/.git")


def _run(environ: Mapping[str, str], folder: str, place: str, *arguments: str) -> str:
    """What git says on its output. PodError where it fails."""
    import functools
    import signal
    import subprocess
    import tempfile

    from pod.core.runtime import userns

    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _OWN}
    kept.update(
        GIT_TERMINAL_PROMPT="0", GIT_ALLOW_PROTOCOL=_ALLOWED, GIT_LFS_SKIP_SMUDGE="1", LC_ALL="C",
    )  # fmt: skip
    if "GIT_SSH_COMMAND" not in kept:
        kept["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
    with tempfile.TemporaryFile() as errors:
        try:
            done = subprocess.run(
                ["git", *_OPTIONS, *arguments], env=kept, cwd=folder, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors, check=False, umask=0o022,
                preexec_fn=functools.partial(userns.end_with_parent, os.getpid(), signal.SIGTERM),
            )  # fmt: skip
        except FileNotFoundError:
            hint = "install git on this host, or clone the repository and name its folder"
            raise HostUnsupported(f"{place}: git is not installed here", hint=hint) from None
        except OSError as error:
            raise PodError(f"{place}: git: {(error.strerror or 'failed').lower()}") from None
        if done.returncode == 0:
            return done.stdout[:_WORDS].decode("utf-8", "replace")
        size = errors.seek(0, os.SEEK_END)
        errors.seek(max(0, size - _WORDS))
        lines = errors.read(_WORDS).decode("utf-8", "replace").strip().splitlines()
    words = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "")
    raise PodError(f"{place}: git {arguments[0]}: {words or f'exit code {done.returncode}'}")


_OWN = ("GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "GIT_ASKPASS", "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_PROXY_COMMAND", "GIT_HTTP_USER_AGENT")  # fmt: skip
"""Of git's variables those that say how to reach a host; those that say where a repository is do not count."""
