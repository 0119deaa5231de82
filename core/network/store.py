"""The networks of the store: networks/<id>.json, and networks/names/<escaped name> that hold the id.

    networks/<id>.json       Docker's document without what changes, and Pod: {"Bridge", "UserSubnet"}
    networks/names/<name>    the id; made by link(2), so that of two makers one wins
    networks/.lock           held while addresses are chosen, so that no two networks get the same

A record is published before its name: killed in between, nobody finds it by a name, and who looks for leftovers (`ps`)
takes it away. A name without a record is taken over. ``bridge`` and ``private`` have ids of their own and no names;
their records are made when a container first wants them. ``host`` and ``none`` need none (:mod:`predefined`).
"""

from __future__ import annotations

import os

from pod.core import events, statefile, storedir
from pod.core.errors import NoSuchNetwork, PodError, StoreCorrupt
from pod.core.network import predefined, records
from pod.core.network.wire import BRIDGE, PREDEFINED_IDS, PRIVATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

_HEX = frozenset("0123456789abcdef")
_BRIDGES = {BRIDGE: "pod0", PRIVATE: "pod1"}


def lock(engine: Engine) -> statefile.Lock:
    """Held while addresses are chosen."""
    return statefile.Lock(engine.paths.networks + "/.lock", timeout=20.0, optional=True)


def make_predefined(engine: Engine, name: str) -> dict[str, Any]:
    """The record of ``bridge`` or ``private``, made where there is none."""
    from pod.core.network import pools

    path = f"{engine.paths.networks}/{PREDEFINED_IDS[name]}.json"
    prepare(engine)
    with lock(engine):
        try:
            return statefile.read(path)
        except FileNotFoundError:
            pass
        record = records.blank(name, PREDEFINED_IDS[name])
        record["Pod"]["Bridge"] = _BRIDGES[name]
        address = _bip(engine) if name == BRIDGE else None
        if address is None:
            taken = pools.blocks_of(list_records(engine))
            subnet = pools.choose(configured_pools(engine), taken, pools.host_routes(), last=name == PRIVATE)
            address = {"Subnet": subnet, "Gateway": pools.first_host(subnet)}
        record["IPAM"]["Config"] = [address]
        if name == BRIDGE:
            record["Options"] = {
                "com.docker.network.bridge.default_bridge": "true",
                "com.docker.network.bridge.enable_icc": "true",
                "com.docker.network.bridge.enable_ip_masquerade": "true",
                "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
                "com.docker.network.bridge.name": "pod0",
            }
        try:
            statefile.write(path, record, exclusive=True)
        except FileExistsError:
            return statefile.read(path)  # a file system without locks
        return record


def _bip(engine: Engine) -> dict[str, str] | None:
    """What the configuration's "bip" says of the default bridge: its address with a prefix length."""
    import ipaddress

    if not engine.config.bip:
        return None
    interface = ipaddress.ip_interface(engine.config.bip)
    return {"Subnet": str(interface.network), "Gateway": str(interface.ip)} if interface.version == 4 else None


def configured_pools(engine: Engine) -> list[tuple[str, int]]:
    """default-address-pools of the configuration, else Docker's; only those of IPv4 are cut from."""
    from pod.core.network import pools

    given = [(pool.base, pool.size) for pool in engine.config.default_address_pools]
    return given if any(":" not in base for base, _ in given) else pools.DEFAULT


def prepare(engine: Engine) -> None:
    """Makes the folders."""
    for _ in range(2):
        try:
            os.mkdir(engine.paths.network_names, 0o700)
            return
        except FileExistsError:
            return
        except FileNotFoundError:
            storedir.prepare(engine.paths)
            os.makedirs(engine.paths.networks, 0o700, exist_ok=True)


def list_ids(engine: Engine) -> list[str]:
    """Ids of the networks that have records, in no order."""
    found = (name[:-5] for name in storedir.names(engine.paths.networks) if name.endswith(".json"))
    return [name for name in found if len(name) == 64 and _HEX.issuperset(name)]


def list_records(engine: Engine) -> list[dict[str, Any]]:
    """Every record that a name leads to, and those of the default networks; one that cannot be read is warned of."""
    found = []
    for network_id in list_ids(engine):
        try:
            record = read(engine, network_id)
        except FileNotFoundError:
            continue
        except StoreCorrupt as error:
            engine.progress("warning", {"text": error.message})
            continue
        if network_id in PREDEFINED_IDS.values() or named(engine, record["Name"]) == network_id:
            found.append(record)
    return found


def read(engine: Engine, network_id: str) -> dict[str, Any]:
    """The record of that id. FileNotFoundError, StoreCorrupt."""
    path = f"{engine.paths.networks}/{network_id}.json"
    record = statefile.read(path)
    if record.get("Id") != network_id or not isinstance(record.get("Name"), str):
        raise StoreCorrupt(f"read record: {path}: it is of another network", hint="remove the file")
    return record


def named(engine: Engine, name: str) -> str:
    """The id that a name leads to, "" where there is none."""
    if name[:1] in ("", "."):
        return ""
    try:
        data = statefile.read_bytes(engine.paths.network_name(name), 200)
    except OSError:
        return ""
    return data.decode("ascii", "replace").strip()


def find(engine: Engine, text: str) -> dict[str, Any]:
    """The record of a network by name, whole id, or unambiguous beginning of an id, in Docker's order.

    ``host`` and ``none`` have none: predefined.record makes it. NoSuchNetwork, or PodError where several begin so.
    """
    if text in predefined.names():
        return predefined.record(engine, text)
    if text == BRIDGE:
        try:
            return read(engine, PREDEFINED_IDS[text])
        except FileNotFoundError:
            return make_predefined(engine, text)
    known = named(engine, text)
    if known:
        try:
            return read(engine, known)
        except FileNotFoundError:
            pass  # a maker is between its two steps, or was killed there
    return _by_id(engine, text)


def _by_id(engine: Engine, text: str) -> dict[str, Any]:
    ids = {record["Id"]: record for record in list_all(engine)}
    matches = [found for found in ids if text and _HEX.issuperset(text) and found.startswith(text)]
    if len(matches) > 1:
        raise PodError(
            f"network {text} is ambiguous ({len(matches)} matches found based on ID prefix)", hint="give more digits"
        )
    if not matches:
        raise NoSuchNetwork(f"network {text} not found", hint="'pod network ls' lists them")
    return ids[matches[0]]


def list_all(engine: Engine) -> list[dict[str, Any]]:
    """Every network that ``network ls`` shows, by name: bridge, host and none always, ``private`` never."""
    found = [record for record in list_records(engine) if record["Name"] != PRIVATE]
    if not any(record["Id"] == PREDEFINED_IDS[BRIDGE] for record in found):
        found.append(make_predefined(engine, BRIDGE))
    found += [predefined.record(engine, name) for name in predefined.names()]
    return sorted(found, key=lambda record: str(record["Name"]))


def publish(engine: Engine, record: dict[str, Any]) -> None:
    """Makes a new network known: its record, then its name. PodError in Docker's words where the name is taken.

    The caller holds :func:`lock`.
    """
    name, network_id = record["Name"], record["Id"]
    statefile.write(f"{engine.paths.networks}/{network_id}.json", record, sync=True, exclusive=True)
    try:
        _take_name(engine, name, network_id)
    except BaseException:
        unlink(f"{engine.paths.networks}/{network_id}.json")
        raise
    events.emit(engine, "network", "create", network_id, {"name": name, "type": record["Driver"]})


def _take_name(engine: Engine, name: str, network_id: str) -> None:
    for _ in range(3):
        try:
            data = network_id.encode() + b"\n"
            statefile.write_bytes(engine.paths.network_name(name), data, exclusive=True, sync=True)
            return
        except FileExistsError:
            if os.path.exists(f"{engine.paths.networks}/{named(engine, name)}.json"):
                break
            unlink(engine.paths.network_name(name))  # its maker was killed; nobody else is at work: we hold the lock
    raise PodError(
        f"network with name {name} already exists", hint=f"take another name, or remove it: pod network rm {name}"
    )


def unlink(path: str) -> None:
    """Where it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def take_away(engine: Engine, record: dict[str, Any]) -> None:
    """Removes a network: its record, then its name. Can be repeated."""
    unlink(f"{engine.paths.networks}/{record['Id']}.json")
    if named(engine, record["Name"]) == record["Id"]:
        unlink(engine.paths.network_name(record["Name"]))


def put_back(engine: Engine, record: dict[str, Any]) -> None:
    """After :func:`take_away`: somebody came meanwhile."""
    statefile.write(f"{engine.paths.networks}/{record['Id']}.json", record, sync=True)
    _take_name(engine, record["Name"], record["Id"])
