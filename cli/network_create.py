"""``pod network create``; docker/cli: network create."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import HostUnsupported, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "create",
    "[OPTIONS] NETWORK",
    "Create a network",
    (
        ("attachable", "", "bool", "Enable manual container attachment"),
        ("aux-address", "", "map", "Auxiliary IPv4 or IPv6 addresses used by Network driver: name=address"),
        ("config-from", "", "string", "", None, True),
        ("config-only", "", "bool", "", None, True),
        ("driver", "d", "string", "Driver to manage the Network: bridge, macvlan, ipvlan or none", "bridge"),
        ("gateway", "", "stringSlice", "IPv4 or IPv6 Gateway for the master subnet"),
        ("ingress", "", "bool", "", None, True),
        ("internal", "", "bool", "Restrict external access to the network"),
        ("ip-range", "", "stringSlice", "Allocate container ip from a sub-range"),
        ("ipam-driver", "", "string", "IP Address Management Driver", "default"),
        ("ipam-opt", "", "map", "Set IPAM driver specific options"),
        ("ipv4", "", "bool", "Enable or disable IPv4 address assignment", True),
        ("ipv6", "", "bool", "Enable or disable IPv6 address assignment"),
        ("label", "", "list", "Set metadata on a network"),
        ("opt", "o", "map", "Set driver specific options"),
        ("scope", "", "string", "Control the network's scope: local"),
        ("subnet", "", "stringSlice", "Subnet in CIDR format that represents a network segment"),
    ),
    min_args=1,
    max_args=1,
    path="pod network create",
)

_SWARM = ("config-from", "config-only", "ingress")


def main(engine: Engine, options: Options) -> int:
    """Prints the id of the new network."""
    from pod.cli import output, run_values
    from pod.core.network import create
    from pod.core.network.options import Asked

    for name in _SWARM:
        if options[name]:
            raise HostUnsupported(f"--{name}: of networks of a swarm, and pod is none", hint="leave it out")
    if options["scope"] not in ("", "local"):
        raise HostUnsupported(f"--scope={options['scope']}: networks of pod are of one machine", hint="leave it out")
    if options["ipam-driver"] not in ("", "default"):
        raise PodError(f"invalid ipam driver: {options['ipam-driver']}", hint="pod has no plugins: 'default' alone")
    asked = Asked(options.args[0])
    asked.driver, asked.options, asked.ipam_options = options["driver"], options["opt"], options["ipam-opt"]
    asked.labels = run_values.labels([], options["label"])
    asked.internal, asked.attachable = options["internal"], options["attachable"]
    asked.ipv4, asked.ipv6 = options["ipv4"], options["ipv6"]
    asked.subnets, asked.ranges, asked.gateways = options["subnet"], options["ip-range"], options["gateway"]
    asked.aux = options["aux-address"]
    output.line(create.create(engine, asked)["Id"])
    return 0
