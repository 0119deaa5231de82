"""RUN --mount=type=…,…: its fields. Pure.

A value with a variable waits until expanding.expanded; all others are checked when the file is read.

Source: Docker's Dockerfile reference; buildkit instructions/commands_runmount (behaviour).
"""

from __future__ import annotations

import re

from pod.core.builder.dockerfile import fitting
from pod.core.builder.operations import RunMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("bind", "cache", "secret", "ssh", "tmpfs")
SHARING = ("locked", "private", "shared")
_ALIASES = {
    "src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite", "from": "origin",
    "type": "kind",
}  # fmt: skip
_KEYS = (
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid", "src",
    "dst", "destination", "ro", "rw", "readwrite", "env",
)  # fmt: skip
_TEXTS = frozenset(("source", "target", "id", "env", "origin"))
_ONLY = {"required": ("secret", "ssh"), "size": ("tmpfs",), "env": ("secret",)}
_TRUTH = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ?([kmgtp]?)i?b?$", re.IGNORECASE)
_UNITS = " kmgtp"


def read(written: str, expander: Callable[[str], str] | None = None) -> RunMount:
    """The mount that ``written`` asks for; without ``expander`` values that hold a variable wait. ValueError."""
    mount = RunMount(written)
    fields: list[tuple[str, str | None]] = []
    for field in _fields(written):
        key, equals, value = field.partition("=")
        key = key.lower()
        if key not in _KEYS:
            raise ValueError(f"unexpected key '{key}' in '{field}'{fitting(key, _KEYS)}")
        if not equals and _ALIASES.get(key, key) not in ("readonly", "readwrite", "required"):
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        if equals and expander is not None:
            value = expander(value)
        elif re.search(r"\$.", value):
            if key == "from":
                raise ValueError(f"'{key}' doesn't support variable expansion, define alias stage instead")
            mount.pending = True
            continue
        fields.append((key, value if equals else None))
    for key, field_value in sorted(fields, key=lambda one: one[0] != "type"):
        _set(mount, key, field_value)
    if not mount.pending:
        _complete(mount, {_ALIASES.get(key, key) for key, _ in fields})
    return mount


def _fields(text: str) -> list[str]:
    """The fields of one line of CSV."""
    import csv

    if "\n" in text or "\r" in text:
        raise ValueError("failed to parse csv mounts: more than one line")
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"failed to parse csv mounts: {error}") from None


def _set(mount: RunMount, key: str, value: str | None) -> None:
    name = _ALIASES.get(key, key)
    if name in _ONLY and mount.kind not in _ONLY[name] and not mount.pending:
        raise ValueError(f"unexpected key '{key}' for mount type '{mount.kind}'")
    if name in _TEXTS:
        setattr(mount, name, value or "")
    elif name in ("readonly", "readwrite", "required"):
        truth = True if value is None else _TRUTH.get(value.lower())
        if truth is None:
            raise ValueError(f"invalid value for {key}: {value}")
        setattr(mount, name.replace("write", "only"), truth if name != "readwrite" else not truth)
    elif name in ("kind", "sharing"):
        choices = KINDS if name == "kind" else SHARING
        if (value or "").lower() not in choices:
            what = "mount type" if name == "kind" else "sharing value"
            raise ValueError(f'unsupported {what} "{value}"{fitting(value or "", choices)}')
        setattr(mount, name, (value or "").lower())
    elif name == "size":
        mount.size = size(value or "", key)
    else:
        setattr(mount, name, _number(value or "", key, 8 if name == "mode" else 10))


def _number(text: str, key: str, base: int) -> int:
    try:
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise ValueError
        number = int(text, base)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 32:
        raise ValueError(f"invalid value {text} for {key}")
    return number


def size(text: str, key: str) -> int:
    """Bytes of "64m", "1.5GiB", "4096". ValueError."""
    found = _SIZE.match(text)
    if not found:
        raise ValueError(f"invalid value for {key}: {text}")
    return int(float(found[1]) * 1024 ** _UNITS.index(found[2].lower() or " "))


def _complete(mount: RunMount, told: set[str]) -> None:
    """Checks what must not stand together, and fills in what is meant where nothing is told."""
    kind = mount.kind
    _check_together(mount, told)
    if not told & {"readonly", "readwrite"}:
        mount.readonly = kind not in ("cache", "tmpfs")
    if kind == "secret":
        _complete_secret(mount)
    elif kind == "ssh":
        mount.id = mount.id or "default"
    elif not mount.target:
        raise ValueError(f"target required for {kind} mount")
    elif kind == "cache":
        mount.sharing = mount.sharing or "shared"
    if mount.target and not mount.target.strip("/."):
        raise ValueError(f'invalid mount target "{mount.target}"')


def _check_together(mount: RunMount, told: set[str]) -> None:
    if mount.kind in ("bind", "tmpfs"):
        for name in ("mode", "uid", "gid"):
            if name in told:
                raise ValueError(f'{name} not allowed for "{mount.kind}" type mounts')
    if mount.sharing and mount.kind == "secret":
        raise ValueError("secret mount should not define sharing")
    if mount.sharing and mount.kind != "cache":
        raise ValueError(f"invalid cache sharing set for {mount.kind} mount")


def _complete_secret(mount: RunMount) -> None:
    if mount.origin:
        raise ValueError("secret mount should not have a from")
    if mount.source and mount.id:
        raise ValueError("both source and id can't be set")
    if not (mount.source or mount.target or mount.id):
        raise ValueError("invalid secret mount. one of source, target required")
    mount.id = mount.id or mount.source or mount.target.rstrip("/").rpartition("/")[2]
    mount.source = ""
    if not mount.target and not mount.env:
        mount.target = "/run/secrets/" + mount.id.rstrip("/").rpartition("/")[2]
