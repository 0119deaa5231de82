"""--log-driver and --log-opt: what each driver takes, and what the supervisor is told of it.

Options, defaults and messages are Docker's (docs.docker.com/engine/logging/drivers, moby daemon/logger), with two
differences: json-file is capped where nothing is said (see ``logger_file.h``), and ``max-size=-1`` lifts that.
Sizes are go-units' FromHumanSize, steps of 1000, but for max-buffer-size, which counts in steps of 1024.
"""

from __future__ import annotations

import os

from pod.core.errors import HostUnsupported, UsageError
from pod.core.runtime import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pod.core.runtime.plan import PlanWriter

JOURNAL_SOCKET = "/run/systemd/journal/socket"
_LOCAL_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")

_ELSEWHERE = ("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "logentries", "splunk")
_EVERY = ("env", "env-regex", "labels", "labels-regex", "max-buffer-size", "mode", "tag")
_FILE = (*_EVERY, "compress", "max-file", "max-size")
_TLS = ("syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify")
_OPTIONS = {
    "json-file": _FILE,
    "local": _FILE,
    "syslog": (*_EVERY, "syslog-address", "syslog-facility", "syslog-format", *_TLS),
    "journald": _EVERY,
    "none": (),
}
_FACILITIES = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "-",
    "-",
    "-",
    "-",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
"""In the order of enum pod_syslog_format."""

_DEFAULTS = {"json-file": (10_000_000, 3, False), "local": (20_000_000, 5, True)}
"""max-size, max-file, compress."""

_LONGEST = 32768
"""Bytes of what every record carries: attributes, fields, a tag."""


def parse(given: list[str]) -> dict[str, str]:
    """``--log-opt`` values as a map; the last of a name wins."""
    return {name: value for name, _, value in (item.partition("=") for item in given)}


def merge(
    driver: str, options: dict[str, str], default: str, defaults: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """With the configuration's driver, and its options where the driver is the same."""
    driver = driver or default or "json-file"
    if driver == (default or "json-file"):
        options = {**defaults, **options}
    return driver, options


def check(driver: str, options: Mapping[str, str]) -> None:
    """UsageError or HostUnsupported for a driver or an option that a start could not honour."""
    known = ", ".join(_OPTIONS)
    if driver in _ELSEWHERE:
        raise HostUnsupported(
            f"log driver {driver}: not in pod",
            hint=f"pod has {known}; a collector can read the files of json-file, or take syslog over tcp",
        )
    if driver not in _OPTIONS:
        raise UsageError(f"logger: no log driver named '{driver}' is registered", hint=f"pod has {known}")
    if driver == "none":
        if options:
            raise UsageError("invalid logging opts for driver none", hint="leave --log-opt out: nothing is logged")
        return
    for name in options:
        if name not in _OPTIONS[driver]:
            raise UsageError(
                f"unknown log opt '{name}' for {driver} log driver", hint="it takes " + ", ".join(_OPTIONS[driver])
            )
    _mode(options)
    render_tag(options.get("tag", ""), _EXAMPLE)
    _pattern(options, "env-regex")
    _pattern(options, "labels-regex")
    if driver in _DEFAULTS:
        _limits(driver, options)
    elif driver == "syslog":
        _syslog_numbers(options)
        _address(options)
    elif not os.path.exists(JOURNAL_SOCKET):
        raise HostUnsupported(
            f"failed to initialize logging driver: journald is not enabled on this host: no {JOURNAL_SOCKET}",
            hint="the default driver, json-file, needs nothing of the host",
        )


def _fail(text: str, hint: str = "") -> UsageError:
    return UsageError("failed to initialize logging driver: " + text, hint=hint or None)


def human_size(text: str, step: int = 1000) -> int:
    """Bytes of "10m", "1.5GB", "42". ValueError with Docker's words."""
    number = text.rstrip("bB")
    number = number[:-1] if number[-1:] in ("i", "I") and len(text) != len(number) else number
    power = "kmgtp".find(number[-1:].lower()) + 1 if number else 0
    number = number[:-1].rstrip(" ") if power else number.rstrip(" ")
    whole, _, fraction = number.partition(".")
    if not (whole + fraction).isdigit() or not number.isascii() or not whole or len(number) > 30:
        raise ValueError(f"invalid size: '{text}'")
    size = int(float(number) * step**power)
    if size >= 1 << 62:
        raise ValueError(f"invalid size: '{text}'")
    return size


def _number(name: str, text: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise _fail(f'strconv.Atoi: parsing "{text}": invalid syntax', hint=f"{name} is a number")
    return int(text)


def _flag(name: str, text: str) -> bool:
    values = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
    if text not in values and text not in ("T", "TRUE", "True", "F", "FALSE", "False"):
        raise _fail(f'strconv.ParseBool: parsing "{text}": invalid syntax', hint=f"{name} is true or false")
    return values[text.lower()]


def _limits(driver: str, options: Mapping[str, str]) -> tuple[int, int, bool]:
    """(max-size in bytes, 0 for no end; max-file; compress)."""
    size, files, compress = _DEFAULTS[driver]
    if "max-size" in options:
        try:
            size = 0 if options["max-size"] == "-1" else human_size(options["max-size"])
        except ValueError as error:
            raise _fail(str(error), hint="the form is 10m; -1 is no limit") from None
        if size == 0 and options["max-size"] != "-1":
            raise _fail("max-size must be a positive number", hint="-1 is no limit")
    if "max-file" in options:
        files = _number("max-file", options["max-file"])
        if files < 1:
            raise _fail("max-file cannot be less than 1")
    if "compress" in options:
        compress = _flag("compress", options["compress"])
        if compress and (files < 2 or not size):
            raise _fail("compress cannot be true when max-file is less than 2 or max-size is not set")
    return size, files, compress and files > 1


def _mode(options: Mapping[str, str]) -> int:
    """Bytes to keep while the target is slow, 0: the container waits."""
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise UsageError(f"logger: logging mode not supported: {mode}", hint="blocking or non-blocking")
    if mode != "non-blocking":
        if "max-buffer-size" in options:
            raise UsageError("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        return 0
    if "max-buffer-size" not in options:
        return 1 << 20
    try:
        size = human_size(options["max-buffer-size"], 1024)
    except ValueError as error:
        raise UsageError(f"error parsing option max-buffer-size: {error}") from None
    if not 1 <= size <= 1 << 30:
        raise UsageError(f"error parsing option max-buffer-size: {size} bytes", hint="from 1 byte to 1 GiB")
    return size


def _pattern(options: Mapping[str, str], name: str) -> Callable[[str], object]:
    if not options.get(name):
        return lambda text: None
    import re

    try:
        return re.compile(options[name]).search
    except (re.error, RecursionError, OverflowError) as error:
        raise _fail(f"error parsing regexp: {error}", hint=f"{name} is a regular expression") from None


# ---- what a record carries


def _facts(config: Mapping[str, Any]) -> dict[str, str]:
    """Fields of a tag's template."""
    container_id, image = config["Id"], config["Image"].partition(":")[2] or config["Image"]
    facts = {
        "ID": container_id[:12], "FullID": container_id, "Name": config["Name"].lstrip("/"),
        "ImageID": image[:12], "ImageFullID": config["Image"], "ImageName": config["Config"]["Image"],
        "DaemonName": "pod", "Command": " ".join([config["Path"], *config["Args"]]),
    }  # fmt: skip
    facts.update(ContainerID=container_id, ContainerName=config["Name"], ContainerImageID=config["Image"])
    facts.update(ContainerImageName=config["Config"]["Image"])
    return facts


_EXAMPLE: dict[str, Any] = {
    "Id": "", "Name": "", "Image": "", "Config": {"Image": ""}, "Path": "", "Args": [],
}  # fmt: skip


def render_tag(template: str, config: Mapping[str, Any]) -> str:
    """``{{.Name}}/{{.ID}}`` with the container's values; only fields, none of a template's functions."""
    facts = _facts(config)
    text, *parts = template.split("{{")
    for part in parts:
        field, end, rest = part.partition("}}")
        name = field.strip(" -")
        if not end or name[:1] != "." or name[1:] not in facts:
            raise UsageError(
                f"log tag: can't evaluate {{{{{field}}}}}", hint="fields are ." + ", .".join(sorted(facts))
            )
        text += facts[name[1:]] + rest
    if "\n" in text or "\0" in text:
        raise UsageError("log tag: it has a line break", hint="a tag is one word or a few")
    return text


def _extra(config: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, str]:
    """The labels and variables that ``labels``, ``env`` and their patterns name."""
    labels = dict(config["Config"]["Labels"] or {})
    variables = dict(item.partition("=")[::2] for item in config["Config"]["Env"] or [])
    found = {}
    for source, kind in ((labels, "labels"), (variables, "env")):
        matches = _pattern(options, kind + "-regex")
        named = options.get(kind, "").split(",")
        found.update({name: source[name] for name in named if name in source})
        found.update({name: value for name, value in source.items() if matches(name)})
    return found


def _bounded(texts: list[str]) -> list[str]:
    if sum(len(text.encode("utf-8", "surrogateescape")) for text in texts) > _LONGEST:
        raise _fail("labels and variables of the log: more than 32 KiB", hint="name fewer of them")
    return texts


# ---- syslog


def _syslog_numbers(options: Mapping[str, str]) -> int:
    facility = options.get("syslog-facility") or "daemon"
    form = options.get("syslog-format", "")
    if facility != "-" and facility in _FACILITIES:
        number = _FACILITIES.index(facility)
    elif facility.isascii() and facility.isdigit() and len(facility) < 3 and int(facility) < 24:
        number = int(facility)
    else:
        raise _fail("invalid syslog facility", hint=" ".join(name for name in _FACILITIES if name != "-"))
    if form not in _FORMATS:
        raise _fail("Invalid syslog format", hint="rfc3164, rfc5424 or rfc5424micro")
    return number | _FORMATS.index(form) << 8


def _address(options: Mapping[str, str]) -> list[str]:
    """[protocol, host or path, port]; the host as it was given; "?" for a socket of either kind."""
    given = options.get("syslog-address", "")
    if any(options.get(name) for name in _TLS) or given.startswith("tcp+tls:"):
        raise HostUnsupported(
            "syslog over TLS: not in pod", hint="tcp to a relay on this host, which speaks TLS onward"
        )
    if not given:
        path = next((path for path in _LOCAL_SOCKETS if os.path.exists(path)), "")
        if not path:
            raise HostUnsupported(
                "failed to initialize logging driver: Unix syslog delivery error",
                hint=f"no syslog daemon listens at {_LOCAL_SOCKETS[0]}; --log-opt syslog-address names another",
            )
        return ["unixgram", path, "?"]
    protocol, separator, rest = given.partition("://")
    if not separator or protocol not in ("tcp", "udp", "unix", "unixgram"):
        raise UsageError(
            f"syslog-address should be in form proto://address, got {given}", hint="udp, tcp, unix or unixgram"
        )
    return _socket(protocol, rest) if protocol.startswith("unix") else _host_and_port(given, protocol, rest)


def _socket(protocol: str, path: str) -> list[str]:
    if len(os.fsencode(path)) > 107:
        raise _fail(f"{path}: longer than a socket's path can be")
    if not os.path.exists(path):
        raise _fail(f"stat {path}: no such file or directory")
    return [protocol, path, ""]


def _host_and_port(given: str, protocol: str, rest: str) -> list[str]:
    host, port = rest, "514"
    if rest.startswith("["):
        host, _, more = rest[1:].partition("]")
        port = more[1:] if more.startswith(":") else more or port
    elif ":" in rest:
        host, _, port = rest.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536) or "/" in host:
        raise UsageError(f"syslog-address should be in form proto://address, got {given}", hint="tcp://192.0.2.1:514")
    return [protocol, host or "127.0.0.1", port]


def _numeric(host: str) -> str:
    """The host's address; the supervisor asks no name server."""
    if host.replace(".", "").isdigit() or ":" in host:
        return host
    import socket

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise _fail(f"lookup {host}: {error}") from None
    return str(found[0][4][0])


# ---- the plan


def write_plan(writer: PlanWriter, config: Mapping[str, Any]) -> None:
    """The keys LOG_* for a container whose driver or options are not the default. Raises as :func:`check` does: the
    host may have changed since the container was made."""
    driver = config["HostConfig"]["LogConfig"]["Type"]
    options = config["HostConfig"]["LogConfig"]["Config"] or {}
    check(driver, options)
    if driver == "none":
        return
    kept = _mode(options)
    flags = plan.LOG_NON_BLOCKING if kept else 0
    if kept:
        writer.number("LOG_BUFFER", kept)
    if driver in _DEFAULTS:
        size, files, compress = _limits(driver, options)
        flags |= plan.LOG_COMPRESS if compress else 0
        writer.number("LOG_SIZE", size)
        writer.number("LOG_FILES", files)
        _file_attrs(writer, config, options)
    elif driver == "syslog":
        protocol, where, port = _address(options)
        writer.texts("LOG_ADDRESS", [protocol, where if protocol.startswith("unix") else _numeric(where), port])
        writer.number("LOG_SYSLOG", _syslog_numbers(options))
        tag = render_tag(options.get("tag") or "{{.ID}}", config)
        writer.texts("LOG_TEXTS", _bounded([tag, os.uname().nodename]))
    else:
        writer.texts("LOG_ADDRESS", ["journald", JOURNAL_SOCKET, ""])
        writer.texts("LOG_TEXTS", _bounded(_journal_fields(config, options)))
    writer.number("LOG_FLAGS", flags)


def _file_attrs(writer: PlanWriter, config: Mapping[str, Any], options: Mapping[str, str]) -> None:
    from pod.core import statefile

    attrs = _extra(config, options)
    if options.get("tag"):
        attrs["tag"] = render_tag(options["tag"], config)
    if attrs:
        writer.text("LOG_ATTRS", ',"attrs":' + statefile.dumps({name: attrs[name] for name in sorted(attrs)}))
        _bounded(list(attrs.values()))


def _journal_fields(config: Mapping[str, Any], options: Mapping[str, str]) -> list[str]:
    facts = _facts(config)
    tag = render_tag(options.get("tag") or "{{.ID}}", config)
    fields = {
        "CONTAINER_ID": facts["ID"], "CONTAINER_ID_FULL": facts["FullID"], "CONTAINER_NAME": facts["Name"],
        "CONTAINER_TAG": tag, "IMAGE_NAME": facts["ImageName"], "SYSLOG_IDENTIFIER": tag,
    }  # fmt: skip
    for name, value in _extra(config, options).items():
        key = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper().lstrip("_")
        if key and key not in fields:
            fields[key[:64]] = value
    return [f"{key}={value}" for key, value in fields.items()]
