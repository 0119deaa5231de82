"""``pod network connect``; docker/cli: network connect."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "connect",
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    (
        ("alias", "", "stringSlice", "Add network-scoped alias for the container"),
        ("driver-opt", "", "stringSlice", "driver options for the network"),
        ("gw-priority", "", "int", "Highest gw-priority provides the default gateway"),
        ("ip", "", "ip", 'IPv4 address (e.g., "172.30.100.104")'),
        ("ip6", "", "ip", 'IPv6 address (e.g., "2001:db8::33")'),
        ("link", "", "list", "Add link to another container"),
        ("link-local-ip", "", "stringSlice", "Add a link-local address for the container"),
    ),
    min_args=2,
    max_args=2,
    path="pod network connect",
)


def main(engine: Engine, options: Options) -> int:
    """Prints nothing, as Docker."""
    from pod.cli import run_networks
    from pod.core.container import connecting, lifecycle, store
    from pod.core.network import endpoints

    if options["link-local-ip"]:
        run_networks.refuse_link_local()
    asked = endpoints.settings(
        ip=options["ip"],
        ip6=options["ip6"],
        aliases=options["alias"],
        links=options["link"],
        driver_opts=dict(run_networks.driver_option(text) for text in options["driver-opt"]),
        priority=options["gw-priority"],
    )
    container = lifecycle.settle(engine, store.find(engine, options.args[1]))
    connecting.connect(engine, options.args[0], container, asked)
    return 0
