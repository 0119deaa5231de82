"""``network create``: a record with addresses that nobody else has, published."""

from __future__ import annotations

import os

from pod.core.errors import PodError
from pod.core.network import options, pools, records, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.network.options import Asked


def create(engine: Engine, asked: Asked) -> dict[str, Any]:
    """The record of the new network. PodError in Docker's words; then nothing has changed."""
    record = records.blank(asked.name, os.urandom(32).hex())
    options.apply(record, asked)
    store.prepare(engine)
    store.find(engine, "bridge")  # its addresses are chosen before anybody else's
    with store.lock(engine):
        others = store.list_records(engine)
        options.check_bridge(record, others)
        if record["Driver"] != "null":
            _addresses(engine, record, others)
        store.publish(engine, record)
    return record


def _addresses(engine: Engine, record: dict[str, Any], others: list[dict[str, Any]]) -> None:
    """Checks the subnets that were given, and chooses those that were not."""
    taken = pools.blocks_of(others)
    config = record["IPAM"]["Config"]
    for block in pools.blocks_of([record]):
        if any(block.overlaps(other) for other in taken if other.version == block.version):
            raise PodError(
                "invalid pool request: Pool overlaps with other one on this address space",
                hint=f"{block} is another network's; 'pod network inspect' shows theirs",
            )
    families = {":" in pool["Subnet"] for pool in config}
    chosen = []
    if record["EnableIPv4"] and False not in families:
        chosen.append(pools.choose(store.configured_pools(engine), taken, pools.host_routes()))
    if record["EnableIPv6"] and True not in families:
        chosen.append(pools.unique_local(bytes.fromhex(record["Id"]), taken))
    config += [{"Subnet": subnet, "Gateway": pools.first_host(subnet)} for subnet in chosen]
    config.sort(key=lambda pool: ":" in pool["Subnet"])
