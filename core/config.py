"""Configuration files: pod.toml over Docker's daemon.json, the user's over the system's; registries.conf beside them.

    file                                                    keys read
    /etc/docker/daemon.json, ~/.config/docker/daemon.json   the keys of :class:`Config`; others are the daemon's
    /etc/pod/pod.toml, ~/.config/pod/pod.toml, $POD_CONFIG  the same keys, parallel-downloads, parallel-uploads,
                                                            restart-pauses, root-emulation, strict-limits,
                                                            [token-realms], [store]
    registries.conf (see core/registry/registries.py)       where images come from; read when first asked for

A later file of a kind replaces single keys of an earlier one. A warm start stats the files and parses what exists:
JSON by the lean reader, TOML only where someone wrote a pod.toml.
"""

from __future__ import annotations

import os

from pod.core import paths, statefile
from pod.core.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pod.core.registry.registries import Registries

MAX_FILE = 1 << 20
_LOG_DRIVERS = ("json-file", "local", "none", "syslog", "journald")
_FILE_DRIVERS = _LOG_DRIVERS[:3]
ROOT_EMULATION = ("auto", "full", "basic", "off")


class AddressPool:
    """One of default-address-pools: networks of ``size`` bits are cut from ``base`` (CIDR)."""

    __slots__ = ("base", "size")

    def __init__(self, base: str, size: int) -> None:
        self.base = base
        self.size = size


class Ulimit:
    """One of default-ulimits: soft and hard as in setrlimit(2), -1 is unlimited."""

    __slots__ = ("hard", "name", "soft")

    def __init__(self, name: str, soft: int, hard: int) -> None:
        self.name = name
        self.soft = soft
        self.hard = hard


class StoreLimits:
    """The table [store]: ``max_size`` in bytes, 0 for no limit; images whose names fit a pattern of ``keep`` stay."""

    __slots__ = ("keep", "max_size")

    def __init__(self, max_size: int = 0, keep: list[str] | None = None) -> None:
        self.max_size = max_size
        self.keep = keep or []


class Config:
    """Merged configuration; every field has its default here.

    ``registries`` is where registry.registries.of keeps what it read. ``skipped`` lists what exists but was not taken,
    for `doctor`: files that this user may not read, and log drivers of Docker's daemon that pod does not have.
    """

    __slots__ = (
        "bip",
        "default_address_pools",
        "default_ulimits",
        "dns",
        "dns_opts",
        "dns_search",
        "environ",
        "insecure_registries",
        "log_driver",
        "log_opts",
        "parallel_downloads",
        "parallel_uploads",
        "registries",
        "registry_mirrors",
        "restart_pauses",
        "root_emulation",
        "skipped",
        "store",
        "strict_limits",
        "token_realms",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.registries: Registries | None = None
        self.bip = ""
        self.default_address_pools: list[AddressPool] = []
        self.default_ulimits: list[Ulimit] = []
        self.dns: list[str] = []
        self.dns_opts: list[str] = []
        self.dns_search: list[str] = []
        self.insecure_registries: list[str] = []
        self.log_driver = "json-file"
        self.log_opts: dict[str, str] = {}
        self.parallel_downloads = 3
        self.parallel_uploads = 5
        self.registry_mirrors: list[str] = []
        self.restart_pauses: list[int] = []  # ms before the first start again, and at most; [] are Docker's
        self.root_emulation = "auto"
        self.skipped: list[str] = []
        self.store = StoreLimits()
        self.strict_limits = False
        self.token_realms: dict[str, str] = {}


def config_home(environ: Mapping[str, str]) -> str:
    """$XDG_CONFIG_HOME, else ~/.config, else "" where there is no home."""
    home = environ.get("XDG_CONFIG_HOME", "")
    if home.startswith("/"):
        return home
    home = environ.get("HOME", "")
    return home + "/.config" if home.startswith("/") else ""


def load(environ: Mapping[str, str]) -> Config:
    """All configuration files that exist, merged. ConfigError names the file and the line."""
    config = Config(environ)
    home = config_home(environ)
    for path in ("/etc/docker/daemon.json", home and home + "/docker/daemon.json"):
        data = read_file(path, config.skipped)
        if data.strip():
            _apply(config, path, data, _parse_json(path, data), strict=False)
    explicit = environ.get("POD_CONFIG", "")
    for path in ("/etc/pod/pod.toml", home and home + "/pod/pod.toml", explicit):
        data = read_file(path, config.skipped)
        if data.strip():
            _apply(config, path, data, parse_toml(path, data), strict=True)
        elif path and path == explicit and not os.path.exists(path):
            raise ConfigError(f"read configuration: {path}: no such file", hint="POD_CONFIG names it")
    return config


def read_file(path: str, skipped: list[str]) -> bytes:
    """The bytes of a configuration file, b"" where there is none; unreadable ones are noted in ``skipped``.

    ConfigError for one that lies in somebody else's folder below /tmp: HOME and XDG_* may name such.
    """
    if not path:
        return b""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except PermissionError:
        skipped.append(path)
        return b""
    except OSError as error:
        raise ConfigError(f"read configuration: {path}: {(error.strerror or 'failed').lower()}") from None
    try:
        data = b""
        while len(data) <= MAX_FILE:
            part = os.read(fd, 65536)
            if not part:
                return _believed(path, data)
            data += part
    except IsADirectoryError:
        raise ConfigError(f"read configuration: {path}: is a directory") from None
    except OSError as error:
        raise ConfigError(f"read configuration: {path}: {(error.strerror or 'failed').lower()}") from None
    finally:
        os.close(fd)
    raise ConfigError(f"read configuration: {path}: larger than {MAX_FILE} bytes")


def _believed(path: str, data: bytes) -> bytes:
    place = paths.in_others_hands(path) if data and not path.startswith(("/dev/", "/proc/")) else ""
    if place:
        raise ConfigError(
            f"read configuration: {path}: others can change what lies there: {place}",
            hint="let HOME, XDG_CONFIG_HOME and XDG_RUNTIME_DIR name folders that are yours alone",
        )
    return data


def _parse_json(path: str, data: bytes) -> dict[str, Any]:
    try:
        value = statefile.loads(data)
    except ValueError as error:
        raise ConfigError(f"read configuration: {_json_place(path, data)}: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"read configuration: {path}:1: not a JSON object")
    return value


def _json_place(path: str, data: bytes) -> str:
    """path:line of the first JSON error, found by the slow reader."""
    import json

    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        return f"{path}:{error.lineno}"
    except (ValueError, RecursionError):
        pass
    return path


def parse_toml(path: str, data: bytes) -> dict[str, Any]:
    """A TOML document. ConfigError with path:line where it is not one."""
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"read configuration: {path}: not UTF-8") from None
    except RecursionError:
        raise ConfigError(f"read configuration: {path}: nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at line ")
        line = place.partition(",")[0]
        raise ConfigError(f"read configuration: {path}{':' + line if line else ''}: {reason}") from None


def line_of(data: bytes, key: str) -> int:
    """The first line (from 1) on which ``key`` is given a value, 0 where that cannot be told."""
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        text = line.strip().lstrip("[").lstrip("\"'")
        if text.startswith(key) and text[len(key) :].lstrip("\"' \t")[:1] in ("=", ":", "]", "."):
            return number
        if f'"{key}"' in line:
            return number
    return 0


def complain(path: str, data: bytes, key: str, reason: str, hint: str | None = None) -> ConfigError:
    """The error for a bad value of ``key``."""
    line = line_of(data, key)
    return ConfigError(f"read configuration: {path}{f':{line}' if line else ''}: {key}: {reason}", hint=hint)


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of strings")
    return list(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def _map(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("must be a map of strings")
    return dict(value)


def _log_driver(value: Any) -> str:
    driver = _string(value)
    if driver not in _LOG_DRIVERS:
        raise ValueError(f"{driver} is not one of {', '.join(_LOG_DRIVERS)}")
    return driver


def _emulation(value: Any) -> str:
    if _string(value) not in ROOT_EMULATION:
        raise ValueError(f"{value} is not one of {', '.join(ROOT_EMULATION)}")
    return str(value)


def _addresses(value: Any) -> list[str]:
    import ipaddress

    for item in _strings(value):
        ipaddress.ip_address(item)
    return list(value)


def _bip(value: Any) -> str:
    import ipaddress

    if "/" not in _string(value):
        raise ValueError("must be an address with a prefix length")
    ipaddress.ip_interface(value)
    return str(value)


def _pools(value: Any) -> list[AddressPool]:
    import ipaddress

    if not isinstance(value, list):
        raise ValueError("must be a list of {base, size}")
    pools = []
    for item in value:
        size = item.get("size") if isinstance(item, dict) else None
        if not isinstance(size, int) or isinstance(size, bool):
            raise ValueError("must be a list of {base, size}")
        network = ipaddress.ip_network(_string(item.get("base")), strict=False)
        if not network.prefixlen <= size <= network.max_prefixlen:
            raise ValueError(f"size {size} does not fit into {network}")
        pools.append(AddressPool(str(network), size))
    return pools


def _ulimits(value: Any) -> list[Ulimit]:
    if not isinstance(value, dict):
        raise ValueError("must be a map of {Name, Soft, Hard}")
    limits = []
    for name, item in value.items():
        if not isinstance(item, dict):
            raise ValueError(f"{name}: must be {{Name, Soft, Hard}}")
        fields = {key.lower(): number for key, number in item.items()}
        hard = fields.get("hard", fields.get("soft"))
        soft = fields.get("soft", hard)
        for number in (soft, hard):
            if not isinstance(number, int) or isinstance(number, bool) or number < -1:
                raise ValueError(f"{name}: Soft and Hard must be numbers")
        limits.append(Ulimit(name, soft, hard))  # type: ignore[arg-type]  # checked in the loop above
    return limits


def _downloads(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 32:
        raise ValueError("must be a number from 1 to 32")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _pauses(value: Any) -> list[int]:
    good = isinstance(value, list) and len(value) == 2 and all(type(item) is int for item in value)
    if not good or not 1 <= value[0] <= value[1] <= 3_600_000:
        raise ValueError("must be two numbers, the first and the longest pause in milliseconds")
    return list(value)


_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes of "20GB" (steps of 1000, as sizes are shown), "20GiB" (of 1024) or "500". ValueError otherwise."""
    lower = text.strip().lower()
    digits = lower.rstrip("bikmgt ")
    unit = lower[len(digits) :].strip()
    table = _BINARY if unit.endswith("ib") else _UNITS
    step = table.get(unit.removesuffix("ib") if table is _BINARY else unit.removesuffix("b"))
    if step is None or not digits.replace(".", "", 1).isdigit() or not digits.isascii() or len(digits) > 15:
        raise ValueError(f"{text[:40]!r} is no size; write 20GB, 500MB or 20GiB")
    return int(float(digits) * step)


def _store(value: Any) -> StoreLimits:
    if not isinstance(value, dict) or set(value) - {"keep", "max-size"}:
        raise ValueError("must be a table with max-size and keep")
    size = value.get("max-size", 0)
    if type(size) is not int:
        size = parse_size(_string(size))
    if size < 0:
        raise ValueError("max-size must not be negative")
    return StoreLimits(size, _strings(value.get("keep", [])))


_DAEMON_KEYS: dict[str, Callable[[Any], object]] = {
    "bip": _bip,
    "default-address-pools": _pools,
    "default-ulimits": _ulimits,
    "dns": _addresses,
    "dns-opts": _strings,
    "dns-search": _strings,
    "insecure-registries": _strings,
    "log-driver": _log_driver,
    "log-opts": _map,
    "registry-mirrors": _strings,
}
_CONCURRENT = {
    "max-concurrent-downloads": "parallel-downloads",
    "max-concurrent-uploads": "parallel-uploads",
}
_OWN_KEYS: dict[str, Callable[[Any], object]] = {
    "parallel-downloads": _downloads,
    "parallel-uploads": _downloads,
    "restart-pauses": _pauses,
    "root-emulation": _emulation,
    "store": _store,
    "strict-limits": _truth,
    "token-realms": _map,
}


def _apply(config: Config, path: str, data: bytes, document: dict[str, Any], *, strict: bool) -> None:
    foreign_log = False
    for key, value in sorted(document.items()):  # log-driver comes before log-opts
        convert = _DAEMON_KEYS.get(key)
        if convert is None and key in _CONCURRENT and not strict:
            key, convert = _CONCURRENT[key], _downloads
        if convert is None and strict:
            convert = _OWN_KEYS.get(key)
            if convert is None:
                known = ", ".join(sorted((*_DAEMON_KEYS, *_OWN_KEYS)))
                raise complain(path, data, key, "unknown key", hint=f"known keys: {known}")
        if convert is None:
            continue
        if key == "log-driver" and not strict and isinstance(value, str) and value not in _FILE_DRIVERS:
            # The daemon's own choice (journald, gelf, …), which pod need not share: the default stays.
            config.skipped.append(f"{path}: log-driver {value}")
            foreign_log = True
            continue
        if key == "log-opts" and foreign_log:
            continue
        try:
            setattr(config, key.replace("-", "_"), convert(value))
        except ValueError as error:
            raise complain(path, data, key, str(error)) from None
