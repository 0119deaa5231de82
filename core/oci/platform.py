"""Platforms: os, architecture and variant, normalised as containerd does, and which one of an index fits best."""

from __future__ import annotations

import os

from pod.core.errors import UsageError

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv5l": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
}
_KNOWN = frozenset(("386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x", "wasm"))
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")


class Platform:
    """``os``/``architecture``/``variant`` in Go's names, variant "" where none is meant."""

    __slots__ = ("architecture", "os", "variant")

    def __init__(self, os: str, architecture: str, variant: str = "") -> None:
        self.os = os.lower()
        architecture, implied = _ARCHITECTURES.get(architecture.lower(), (architecture.lower(), ""))
        variant = variant.lower() or implied
        if variant and variant[0].isdigit():
            variant = "v" + variant
        if architecture == "arm" and not variant:
            variant = "v7"
        if (architecture, variant) in (("arm64", "v8"), ("amd64", "v1")):
            variant = ""
        self.architecture = architecture
        self.variant = variant

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def __repr__(self) -> str:
        return f"Platform({self!s})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Platform) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def rank(self, offered: Platform) -> int | None:
        """How well ``offered`` serves who wants this one: 0 best, None not at all.

        An arm variant serves every later one (v6 code runs on v7), amd64 micro-architecture levels likewise.
        """
        if (offered.os, offered.architecture) != (self.os, self.architecture):
            return None
        if offered.variant == self.variant:
            return 0
        if self.architecture not in ("arm", "amd64", "arm64"):
            return None if offered.variant and self.variant else 1
        distance = _level(self) - _level(offered)
        return distance if distance >= 0 else None


def _level(platform: Platform) -> int:
    """The ordinal of a variant in tenths: arm v7 = 70, amd64 none = 10, arm64 v9.2 = 92."""
    if not platform.variant:
        return {"amd64": 10, "arm64": 80}.get(platform.architecture, 70)
    major, _, minor = platform.variant[1:].partition(".")
    if not (major.isdigit() and len(major) < 4):
        return 1 << 20
    return int(major) * 10 + (int(minor) if minor.isdigit() and len(minor) == 1 else 0)


def host() -> Platform:
    """The platform that this machine's kernel runs."""
    return Platform("linux", os.uname().machine)


def parse(text: str) -> Platform:
    """``os[/arch[/variant]]`` or ``arch`` alone, as --platform takes it. UsageError otherwise."""
    parts = text.split("/")
    if len(parts) > 3 or not all(part and len(part) < 64 and _ALLOWED.issuperset(part.lower()) for part in parts):
        raise UsageError(f'invalid platform: "{text}": not os[/arch[/variant]]', hint="for example linux/arm64")
    if len(parts) == 1:
        word = parts[0].lower()
        if word == "linux":
            return host()
        if word in _KNOWN or word in _ARCHITECTURES:
            return Platform("linux", word)
        raise UsageError(
            f'invalid platform: "{text}": unknown operating system or architecture', hint="for example linux/arm64"
        )
    return Platform(parts[0], parts[1], parts[2] if len(parts) == 3 else "")
