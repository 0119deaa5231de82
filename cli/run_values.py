"""Values of run's flags in their own small grammars: -e, -l, -v, --ulimit, --device, … UsageError in Docker's words."""

from __future__ import annotations

import os

from pod.core.errors import UsageError
from pod.core.runtime import defaults, rootfs
from pod.core.volume import syntax

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ENV_FILE = 4 << 20
_SECURITY = (
    "no-new-privileges, seccomp=FILE|unconfined, apparmor=unconfined, label=disable, systempaths=unconfined, nesting"
)
_LONGEST_SYSCTL = 200
_IPC_SYSCTLS = (
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
)


def _lines(path: str) -> list[str]:
    """Lines of an --env-file or --label-file: UTF-8, a leading BOM and comments dropped."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_ENV_FILE + 1)
    except OSError as error:
        raise UsageError(f"open {path}: {(error.strerror or 'failed').lower()}") from None
    if len(data) > MAX_ENV_FILE:
        raise UsageError(f"{path}: more than {MAX_ENV_FILE >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"env file {path} contains invalid utf8 bytes") from None
    if "\0" in text:
        raise UsageError(f"env file {path} contains a NUL")
    # Not splitlines: a value may have a form feed or U+2028.
    lines = [line.rstrip("\r").lstrip() for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def environment(files: list[str], given: list[str], environ: Mapping[str, str]) -> list[str]:
    """NAME=VALUE of --env-file, then of -e; a bare NAME takes the caller's value, and is nothing where that has
    none.
    """
    result = []
    for path in files:
        for line in _lines(path):
            name = line.partition("=")[0]
            if not name or " " in name.strip() or name != name.rstrip():
                raise UsageError(f"poorly formatted environment: variable '{name}' contains whitespaces")
            result.append(line)
    for entry in given:
        if not entry or entry.startswith("="):
            raise UsageError(f"invalid environment variable: {entry}")
        result.append(entry)
    found = []
    for entry in result:
        if "=" in entry:
            found.append(entry)
        elif entry in environ:
            found.append(f"{entry}={environ[entry]}")
    return found


def labels(files: list[str], given: list[str]) -> dict[str, str]:
    """Labels of --label-file, then of -l; one without "=" is empty."""
    result: dict[str, str] = {}
    for entry in [line for path in files for line in _lines(path)] + given:
        name, _, value = entry.partition("=")
        if not name:
            raise UsageError(f"invalid label format: {entry!r}")
        result[name] = value
    return result


def security_options(given: list[str]) -> list[str]:
    """--security-opt, each known and meaningful here; Docker's old ":" is read as "="."""
    result = []
    for option in given:
        name, _, value = option.replace(":", "=", 1).partition("=") if "=" not in option else option.partition("=")
        fine = (
            (name == "no-new-privileges" and value in ("", "true", "false"))
            or (name == "seccomp" and value)
            or option in ("apparmor=unconfined", "systempaths=unconfined", "nesting", "label=disable", "label:disable")
        )
        if not fine:
            raise UsageError(f'invalid --security-opt: "{option}"', hint=f"this version has {_SECURITY}")
        if name == "seccomp" and value != "unconfined":
            value = os.path.abspath(value)
        result.append(f"{name}={value}" if value else name)
    return result


def volumes(given: list[str]) -> list[syntax.VolumeSpec]:
    """-v; two for one target are an error, as in Docker."""
    cwd = os.getcwd() if any(text.startswith(".") for text in given) else "/"
    specs = [syntax.parse_volume(text, cwd) for text in given]
    seen = set()
    for spec in specs:
        if spec.target in seen:
            raise UsageError(f"Duplicate mount point: {spec.target}")
        seen.add(spec.target)
    return specs


def tmpfs(given: list[str]) -> dict[str, str]:
    """--tmpfs TARGET[:options] to {target: options}, the options known ones."""
    result = {}
    for text in given:
        target, _, options = text.partition(":")
        if not target.startswith("/") or syntax.clean(target) == "/":
            raise UsageError(f"invalid tmpfs mount: {text}: mount path must be absolute and not '/'")
        rootfs.tmpfs(target, options)
        target = syntax.clean(target)
        syntax.check_target(target, f"invalid tmpfs mount: {text}")
        result[target] = options
    return result


def devices(given: list[str]) -> list[tuple[str, str, str]]:
    """--device HOST[:CONTAINER][:rwm] to (host path, path inside, permissions)."""
    result = []
    for text in given:
        parts = text.split(":")
        mode = "rwm"
        if len(parts) > 1 and parts[-1] and set(parts[-1]) <= set("rwm"):
            mode = parts.pop()
        host, inside = parts[0], parts[-1]
        if len(parts) > 2 or not host.startswith("/") or not inside.startswith("/"):
            raise UsageError(f"invalid device specification: {text}", hint="the form is /dev/x[:/dev/y][:rwm]")
        if not os.path.exists(host):
            raise UsageError(
                f'error gathering device information while adding custom device "{host}": no such file or directory'
            )
        if mode != "rwm":
            raise UsageError(
                f"--device {text}: permissions cannot be narrowed without root",
                hint="leave them out, or use -v with ro",
            )
        result.append((host, syntax.clean(inside), mode))
    return result


def ulimits(given: list[str]) -> list[tuple[str, int, int]]:
    """--ulimit NAME=SOFT[:HARD] to (name, soft, hard); -1 is unlimited."""
    result = []
    for text in given:
        name, equals, value = text.partition("=")
        soft, colon, hard = value.partition(":")
        numbers = [soft, hard] if colon else [soft, soft]
        if not equals or not all(n == "-1" or _is_number(n, 19) for n in numbers):
            raise UsageError(f'invalid argument "{text}" for "--ulimit" flag: invalid ulimit argument: {text}')
        if name not in defaults.RLIMITS:
            raise UsageError(f'invalid argument "{text}" for "--ulimit" flag: invalid ulimit type: {name}')
        low, high = int(numbers[0]), int(numbers[1])
        if high != -1 and (low > high or low == -1):
            raise UsageError(
                f'invalid argument "{text}" for "--ulimit" flag: ulimit soft limit must be less than or equal to'
                f" hard limit: {low} > {high}"
            )
        result.append((name, low, high))
    return result


def _is_number(text: str, digits: int) -> bool:
    """Plain decimal digits: isdigit alone takes "²" too."""
    return text.isascii() and text.isdigit() and len(text) <= digits


def sysctls(given: Mapping[str, str], network: str, ipc: str) -> dict[str, str]:
    """--sysctl of the container's own namespaces only."""
    for name, value in given.items():
        of_net = name.startswith("net.")
        of_ipc = name in _IPC_SYSCTLS or name.startswith("fs.mqueue.")
        known = of_net or of_ipc or name == "kernel.domainname"
        if not known or "/" in name or ".." in name or len(name) > _LONGEST_SYSCTL or "\0" in name + value:
            text = f"{name}={value}"
            raise UsageError(
                f'invalid argument "{text}" for "--sysctl" flag: sysctl \'{text}\' is not allowed',
                hint="net.*, fs.mqueue.*, kernel.msg*, kernel.shm* and kernel.sem are of namespaces",
            )
        if (of_net and network == "host") or (of_ipc and ipc == "host"):
            kind, hint = ("network", "--network none") if of_net else ("ipc", "another --ipc")
            raise UsageError(
                f'sysctl "{name}" is not allowed in the hosts {kind} namespace',
                hint=f"give the container its own: {hint}",
            )
    return dict(given)


def dns(given: list[str]) -> list[str]:
    """--dns: IP addresses."""
    for address in given:
        import ipaddress

        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise UsageError(f'invalid argument "{address}" for "--dns" flag: {address} is not an ip address') from None
    return given


def extra_hosts(given: list[str], network: str) -> list[str]:
    """--add-host NAME:IP or NAME=IP, brackets around IPv6 allowed; host-gateway is resolved at the start: the
    loopback where there is no network of pod's.
    """
    result = []
    for text in given:
        import ipaddress

        separator = "=" if "=" in text else ":"
        name, _, address = text.partition(separator)
        address = address[1:-1] if address[:1] == "[" and address[-1:] == "]" else address
        if address == "host-gateway":
            address = "127.0.0.1" if network in ("host", "none") else address
        else:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                address = ""
        if not name or not address or any(c.isspace() for c in name):
            raise UsageError(f'invalid argument "{text}" for "--add-host" flag: bad format for add-host: "{text}"')
        result.append(f"{name}:{address}")
    return result


def exposed(given: list[str]) -> list[str]:
    """--expose PORT[-PORT][/PROTOCOL] to single "port/protocol"."""
    result = []
    for text in given:
        ports, _, protocol = text.partition("/")
        low, dash, high = ports.partition("-")
        high = high if dash else low
        good = _is_number(low, 5) and _is_number(high, 5) and 0 < int(low) <= int(high) < 65536
        if not good or (protocol or "tcp") not in ("tcp", "udp", "sctp"):
            raise UsageError(f"invalid range format for --expose: {text}")
        result += [f"{port}/{protocol or 'tcp'}" for port in range(int(low), int(high) + 1)]
    return result
