"""Docker's rules of ``cp``: what a trailing slash means, and what a copy is called where it arrives. Pure.

Source: the documentation of ``docker container cp``, "SRC_PATH" and "DEST_PATH", and what its client answers.

    source       destination                                then
    file         missing, without a slash at its end        it gets that name
    file         missing, with one                          no such directory
    file         a file                                     replaces it
    file         a directory                                goes into it
    directory    missing                                    is made with that name
    directory    a file                                     cannot copy directory
    directory    a directory                                goes into it; of "DIR/." only what it has
"""

from __future__ import annotations

import posixpath

from pod.core.errors import PodError


def clean(path: str) -> str:
    """Without "//", "." and "..", as far as names alone tell."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def base(path: str) -> str:
    """The last name, whatever slashes follow; "." of nothing, "/" of the root."""
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def absolute(path: str, directory: str = "/") -> str:
    """``path`` in ``directory``, cleaned, but for what its end asserts: "DIR/" and "DIR/." are directories."""
    cleaned = clean(posixpath.join(directory, path))
    if base(cleaned) != "." and base(path) == ".":
        return cleaned.rstrip("/") + "/."
    return cleaned + "/" if path.endswith("/") and not cleaned.endswith("/") else cleaned


def asserts_directory(path: str) -> bool:
    """Whether its end says that it is one."""
    return path.endswith("/") or base(path) == "."


def split_argument(argument: str) -> tuple[str, str]:
    """(container, path) of CONTAINER:PATH; ("", path) of a path of the host: what begins with "/" or "." is one."""
    container, colon, path = argument.partition(":")
    if argument.startswith("/") or not colon or container.startswith("."):
        return "", argument
    return container, path


def top_name(path: str) -> str:
    """What the source ``path`` (absolute) is called in its archive; "." where only what it has is meant."""
    name = base(path)
    return "." if name == "/" else name


def target(
    source: str, source_is_directory: bool, asked: str, path: str, exists: bool, is_directory: bool
) -> tuple[str, str]:
    """(directory that the copy goes into, its name there or "." for what is in it).

    ``asked`` is the destination as it was named, ``path`` where that leads. PodError with Docker's words.
    """
    if exists and is_directory:
        return path, top_name(source)
    if exists and source_is_directory:
        hint = "name a directory, or one that is not there yet"
        raise PodError(f"cannot copy directory: {asked} is a file", hint=hint)
    if not source_is_directory and asserts_directory(asked):
        if exists:
            raise PodError(f"not a directory: {asked}")
        raise PodError(f"no such directory: {asked}", hint="make it first, or leave the slash at the end out")
    above, _, name = clean(path).rpartition("/")
    return above or "/", name
