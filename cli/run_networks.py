"""run's flags of networks: --network in both forms, and those that are of its first one. UsageError in Docker's words.

Source: docker/cli opts/network.go, cli/command/container/opts.go (behaviour and messages).
"""

from __future__ import annotations

from pod.core.errors import HostUnsupported, UsageError
from pod.core.network import endpoints, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.container.spec import Request
    from pod.core.engine import Engine

_LEGACY = (
    ("network-alias", "aliases", "--network-alias and per-network alias"),
    ("link", "links", "--link and per-network links"),
    ("ip", "ip", "--ip and per-network IPv4 address"),
    ("ip6", "ip6", "--ip6 and per-network IPv6 address"),
    ("mac-address", "mac", "--mac-address and per-network MAC address"),
)
"""(flag, its place in what one --network says, Docker's words for both at once)."""
FLAGS = frozenset(("network", "link-local-ip", *(row[0] for row in _LEGACY)))

_KEYS = {"ip": "ip", "ip6": "ip6", "mac-address": "mac"}


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """One --network: the name of the network (or mode), and what is asked of it (arguments of endpoints.settings)."""
    from pod.cli import flag_values

    asked: dict[str, Any] = {}
    if not _is_long(text):
        return text, asked
    name = ""
    for field in flag_values.split_csv(text):
        key, equals, value = (part.strip() for part in field.partition("="))
        if not equals or not key:
            raise UsageError(f'invalid argument "{text}" for "--network" flag: invalid field {field}')
        if key.lower() == "name":
            name = value
        elif not _take(asked, key.lower(), value):
            raise UsageError(f'invalid argument "{text}" for "--network" flag: invalid field key {key}')
    if not name:
        raise UsageError(f'invalid argument "{text}" for "--network" flag: network name/id is not specified')
    return name, asked


def _take(asked: dict[str, Any], key: str, value: str) -> bool:
    """One field of the long form; False where there is none of that name."""
    if key == "alias":
        asked.setdefault("aliases", []).append(value)
    elif key in _KEYS:
        asked[_KEYS[key]] = value
    elif key == "driver-opt":
        option, said = driver_option(value)
        asked.setdefault("driver_opts", {})[option] = said
    elif key == "gw-priority":
        asked["priority"] = priority(value)
    elif key == "link-local-ip":
        refuse_link_local()
    else:
        return False
    return True


def driver_option(text: str) -> tuple[str, str]:
    """Name and value of one --driver-opt."""
    option, equals, said = text.partition("=")
    if not equals or not option.strip():
        raise UsageError("invalid key value pair format in driver options")
    return option.strip(), said.strip()


def _is_long(text: str) -> bool:
    """Whether it is of the form name=…: a letter, an equals sign, a letter."""
    return any(
        a == "=" and (before.isalnum() or before == "_") and (after.isalnum() or after in "_:[/")
        for before, a, after in zip(text, text[1:], text[2:])
    )


def priority(text: str) -> int:
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise UsageError(f'invalid gw-priority ({text}): strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def refuse_link_local() -> None:
    raise HostUnsupported(
        "--link-local-ip: interfaces of pod's networks have one address of each family",
        hint="leave it out; with --cap-add NET_ADMIN the container can add such addresses itself",
    )


def apply(engine: Engine, request: Request, options: Options) -> None:
    """Puts mode and networks into the request; every network that is named is there, and gives what is asked."""
    if options["link-local-ip"]:
        refuse_link_local()
    given = [parse(text) for text in options["network"]] or [(request.network, {})]
    _merge_legacy(given[0][1], options)
    user = [endpoints.is_user_defined(name) for name, _ in given]
    if len(given) > 1 and not all(user):
        raise UsageError(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
            hint="'pod network connect' adds the default network to a container that has others",
        )
    if len(given) > endpoints.MOST_NETWORKS:
        raise UsageError(f"too many networks: at most {endpoints.MOST_NETWORKS}")
    first = given[0][0]
    request.network = "bridge" if first == "default" else first
    if first in ("host", "none") or first.startswith("container:"):
        _mode(engine, request, given[0][1], options)
        return
    for name, asked in given:
        record = store.find(engine, "bridge" if name == "default" else name) if name != "private" else None
        found = endpoints.settings(**asked)
        called = record["Name"] if record else name
        if called in request.networks:
            raise UsageError(f'network "{called}" is specified multiple times')
        if (record and record["Driver"] == "host") or called == "none":
            request.network = called  # by its id
            return
        endpoints.check(record or store.make_predefined(engine, "private"), found)
        request.networks[called] = found
    request.network = next(iter(request.networks))
    for target in request.networks[request.network].get("Links", ()) if request.network == "bridge" else ():
        _check_link(engine, target.partition(":")[0])


def _merge_legacy(asked: dict[str, Any], options: Options) -> None:
    for flag, key, words in _LEGACY:
        if options[flag]:
            if asked.get(key):
                raise UsageError(f"conflicting options: cannot specify both {words}")
            asked[key] = options[flag]


def _check_link(engine: Engine, name: str) -> None:
    """A link of the default network is to a container that is there."""
    from pod.core.container import store as containers
    from pod.core.errors import NoSuchContainer

    try:
        other = containers.find(engine, name)
    except NoSuchContainer as error:
        raise NoSuchContainer(f"could not get container for {name}: {error.message}", hint=error.hint) from None
    if other.config["HostConfig"]["NetworkMode"] == "host":
        raise UsageError(
            "conflicting options: host type networking can't be used with links. This would result in undefined "
            "behavior"
        )


def _mode(engine: Engine, request: Request, asked: dict[str, Any], options: Options) -> None:
    """host, none, container:X: without a network of its own there is nothing to ask for."""
    kind = request.network.partition(":")[0]
    if asked.get("links") and kind != "none":
        raise UsageError(
            f"conflicting options: {kind} type network{'ing' if kind == 'host' else ''} can't be used with links. This "
            "would result in undefined behavior"
        )
    if kind == "container":
        _container(engine, request, options)
    if asked.get("aliases"):
        raise UsageError("network-scoped alias is supported only for containers in user defined networks")
    if asked.get("ip") or asked.get("ip6"):
        raise UsageError("user specified IP address is supported on user defined networks only")
    if asked:
        raise UsageError("conflicting options: mac-address and the network mode", hint=f"--network {kind} has none")


def _container(engine: Engine, request: Request, options: Options) -> None:
    from pod.core.container import store as containers

    name = request.network.partition(":")[2]
    if not name:
        raise UsageError("--network: invalid network mode: invalid container format container:<name|id>")
    conflicts = (
        (("hostname",), "hostname and the network mode"),
        (("mac-address",), "mac-address and the network mode"),
        (("dns", "dns-search", "dns-option"), "dns and the network mode"),
        (("add-host",), "custom host-to-IP mapping and the network mode"),
        (("publish", "publish-all"), "port publishing and the container type network mode"),
        (("expose",), "port exposing and the container type network mode"),
    )
    for flags, words in conflicts:
        if any(options[flag] for flag in flags):
            raise UsageError(
                f"conflicting options: {words}", hint="it shares that of the other container: give it to that one"
            )
    other = containers.find(engine, name)
    request.network = "container:" + other.id
    request.hostname = other.config["Config"]["Hostname"]
    request.domainname = other.config["Config"]["Domainname"]
