"""The options of a volume of the local driver (``volume create -o``): what they mean, and which a user may have. Pure.

    none                              a folder of the store
    type=none,device=/path,o=bind     that folder of the host
    type=tmpfs,device=tmpfs[,o=…]     memory; without root nobody can hold it between containers: each has its own

Rules and messages: moby volume/local/local_unix.go, validateOpts.
"""

from __future__ import annotations

from pod.core.errors import PodError

_KNOWN = ("type", "o", "device", "size")
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_BIND = frozenset(("bind", "rbind", "ro", "rw", "private", "rprivate"))


def check(options: dict[str, str]) -> None:
    """PodError in Docker's words for options that make no sense, with the reason for those that need root."""
    for name in options:
        if name not in _KNOWN:
            raise PodError(f'invalid option: "{name}"', hint="the options of the local driver are type, o and device")
    for name, others in _NEEDS.items():
        for other in others:
            if name in options and other not in options:
                raise PodError(f'missing required option: "{other}"')
    if "size" in options:
        raise PodError(
            "quota size requested but no quota support",
            hint="-o type=tmpfs -o device=tmpfs -o o=size=… is bounded; else ask for a quota of your file system",
        )
    if options:
        _check_type(options)


def _check_type(options: dict[str, str]) -> None:
    kind, words = options["type"], _words(options)
    if kind == "tmpfs":
        from pod.core.runtime import rootfs

        rootfs.tmpfs("/", ",".join(words))
        return
    if kind not in ("none", "bind", ""):
        raise PodError(
            f"volumes of type {kind}: only root may mount that",
            hint="-o type=none -o o=bind -o device=/path takes a folder where it is mounted already"
            if "," not in kind
            else "each option has a -o of its own",
        )
    if not {"bind", "rbind"} & set(words):
        raise PodError(f'volumes of type "{kind}" are bind mounts: "o" lacks bind', hint="add -o o=bind")
    unknown = [word for word in words if word not in _BIND]
    if unknown:
        raise PodError(f'invalid mount option: "{unknown[0]}"', hint="bind, rbind, ro, rw")
    if not options["device"].startswith("/"):
        raise PodError(f'invalid device: "{options["device"]}": it must be an absolute path')


def _words(options: dict[str, str]) -> list[str]:
    return [word for word in options.get("o", "").split(",") if word]


def device(options: dict[str, str]) -> str:
    """The folder of the host that the volume is, "" for others."""
    return options.get("device", "") if options.get("type") in ("none", "bind", "") else ""


def read_only(options: dict[str, str]) -> bool:
    return bool(device(options)) and "ro" in _words(options)


def memory(options: dict[str, str]) -> str | None:
    """The mount options of a tmpfs, None for others."""
    return ",".join(_words(options)) if options.get("type") == "tmpfs" else None
