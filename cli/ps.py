"""``pod ps``: docker/cli's container ls and its formatter.

On the warm path: each column is a function, so that a list costs what it shows.
"""

from __future__ import annotations

import time

from pod.cli import output
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.engine import Engine

COMMAND = Command(
    "ps",
    "[OPTIONS]",
    "List containers",
    (
        ("all", "a", "bool", "Show all containers (default shows just running)"),
        (
            *("filter", "f", "filter"),
            "Filter output: ancestor, before, exited, expose, health, id, is-task, label, name, network, publish,"
            " since, status, volume",
        ),
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("last", "n", "int", "Show n last created containers (includes all states)", -1),
        ("latest", "l", "bool", "Show the latest created container (includes all states)"),
        ("no-trunc", "", "bool", "Don't truncate output"),
        ("quiet", "q", "bool", "Only display container IDs"),
        ("size", "s", "bool", "Display total file sizes"),
    ),
    max_args=0,
    aliases=("pod container ls", "pod container list", "pod container ps", "pod ps"),
)

HEADERS = {
    "ID": "CONTAINER ID",
    "IPAddresses": "IP ADDRESSES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Labels": "LABELS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Mounts": "MOUNTS",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
    "HealthStatus": "HEALTH STATUS",
    "Size": "SIZE",
}
_DEFAULT = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_RAW = (
    "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n"
    "state: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\n"
    "ports: {{- pad .Ports 1 0}}\n"
)


def main(engine: Engine, options: Options) -> int:
    """Docker's order of things: the newest first; -n and -l count what the filters let through, of all states."""
    from pod.core.container import settling

    format, whole = options["format"], options["no-trunc"]
    _check(format)
    wanted: dict[str, list[str]] = {}
    if options["filter"]:
        from pod.core.container import listing

        wanted = listing.read(options["filter"])
    last = options["last"] if "last" in options.given or not options["latest"] else 1
    containers = settling.settle_all(engine)
    if wanted:
        from pod.core.container import listing

        containers = listing.select(engine, containers, wanted)
    if last > 0:
        containers = containers[:last]
    elif not options["all"] and "status" not in wanted:
        containers = [one for one in containers if one.status not in ("created", "exited")]
    if options["quiet"]:
        if format == "raw":
            output.write("".join(f"container_id: {one.id if whole else one.id[:12]}\n" for one in containers))
        else:
            output.write("".join((one.id if whole else one.id[:12]) + "\n" for one in containers))
        return 0
    view = View(engine, whole=whole, size=options["size"] or ".Size" in format)
    if format in ("", "table"):
        fields = (*_DEFAULT, "Size") if options["size"] else _DEFAULT
        columns = [FIELDS[name] for name in fields]
        rows = [[column(one, view) for column in columns] for one in containers]
        output.table([HEADERS[name] for name in fields], rows)
        return 0
    if format == "raw":
        format = _RAW + ("size: {{.Size}}\n" if options["size"] else "")
    output.format_labelled(
        format,
        HEADERS,
        [
            ({name: column(one, view) for name, column in FIELDS.items()}, one.config["Config"]["Labels"] or {})
            for one in containers
        ],
    )
    return 0


def _check(format: str) -> None:
    """PodError for a template that is none, before anything is looked at."""
    if "{" in format:
        from pod.cli import template

        template.parse(format[len("table") :] if format.startswith("table") else format)


class View:
    """What the columns need besides the container: the present in seconds, ids and texts whole or cut, sizes or not."""

    __slots__ = ("engine", "now", "size", "whole")

    def __init__(self, engine: Engine, *, whole: bool, size: bool) -> None:
        self.engine = engine
        self.now = time.time()
        self.whole = whole
        self.size = size


def _id(one: Container, view: View) -> str:
    return one.id if view.whole else one.id[:12]


def _image(one: Container, view: View) -> str:
    """As it was asked for; without the digest, unless nothing is to be cut."""
    name: str = one.config["Config"]["Image"]
    if view.whole:
        return name
    if name == one.config["Image"] or (len(name) == 64 and name == one.config["Image"][7:]):
        return str(one.config["Image"][7:19])
    return name.partition("@")[0] or name


def _command(one: Container, view: View) -> str:
    """Docker's: arguments with a space in single quotes, twenty characters, and the whole as a literal of Go's."""
    config = one.config
    text = " ".join([config["Path"], *(f"'{arg}'" if " " in arg else arg for arg in config["Args"])])
    if not view.whole:
        text = _cut(text, 20)
    if '"' in text or "\\" in text or not text.isprintable():
        from pod.cli.template_format import quote

        return quote(text)
    return f'"{text}"'


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _created_at(one: Container, view: View) -> str:
    """Go's time.String in the caller's time zone."""
    fields = time.localtime(int(output.seconds_of(one.config["Created"])))
    return f"{fields.tm_year:04d}" + time.strftime("-%m-%d %H:%M:%S %z %Z", fields)


def _running_for(one: Container, view: View) -> str:
    return output.ago(one.config["Created"], view.now)


def _status(one: Container, view: View) -> str:
    """Docker's State.String: "Up 2 hours (healthy)", "Exited (0) 3 minutes ago", "Created" …"""
    if one.status == "created":
        return "Created"
    state = one.state
    if one.status == "exited":
        return f"Exited ({one.exit_code}) " + output.ago(state.get("finishedAt", ""), view.now)
    if one.status == "elsewhere":
        return f"Elsewhere ({state.get('hostname', '')})"
    if one.status == "restarting" or state.get("restarting"):
        code = int(state.get("exitCode", 0))
        return f"Restarting ({code}) " + output.ago(state.get("finishedAt", ""), view.now)
    text = "Up " + output.human_duration(view.now - output.seconds_of(state["startedAt"]))
    if state.get("paused"):
        return text + " (Paused)"
    if one.config["Config"].get("Healthcheck"):
        health = _health(one, view)
        if health:
            return f"{text} ({'health: ' if health == 'starting' else ''}{health})"
    return text


def _health(one: Container, view: View) -> str:
    if not one.config["Config"].get("Healthcheck"):
        return ""
    from pod.core.container import phase

    found = phase.health(one)
    return found["Status"] if found else ""


def _state(one: Container, view: View) -> str:
    from pod.core.container import phase

    return phase.phase(one)


def _ports(one: Container, view: View) -> str:
    """ "0.0.0.0:8080->80/tcp, 443/tcp"; with the host's network there is nothing to tell."""
    if one.config["HostConfig"]["NetworkMode"] in ("host", "none"):
        return ""
    from pod.core.container import ports

    return ports.words(ports.shown(one))


def _names(one: Container, view: View) -> str:
    return one.name


def _labels(one: Container, view: View) -> str:
    return ",".join(sorted(f"{key}={value}" for key, value in (one.config["Config"]["Labels"] or {}).items()))


def _local_volumes(one: Container, view: View) -> str:
    return str(sum(mount["Type"] == "volume" for mount in one.config["Mounts"]))


def _mounts(one: Container, view: View) -> str:
    names = [mount.get("Name") or mount.get("Source") or "" for mount in one.config["Mounts"]]
    return ",".join(names if view.whole else [_cut(name, 15) for name in names])


def _networks(one: Container, view: View) -> str:
    from pod.core.container import networks

    return ",".join(networks.names(one))


def _addresses(one: Container, view: View) -> list[str]:
    """ "bridge:172.17.0.2", of IPv4 first; none where it has the host's network, or none."""
    from pod.core.container import networks

    found = networks.ends(one).items()
    members = ("IPAddress", "GlobalIPv6Address")
    return [f"{name}:{end[member]}" for name, end in found for member in members if end.get(member)]


def _platform(one: Container, view: View) -> str:
    return str(one.config["Pod"].get("Platform", ""))


def _size(one: Container, view: View) -> str:
    """ "4B (virtual 21.5MB)"; Docker counts it only where it is asked for, and says 0B elsewhere."""
    if not view.size:
        return "0B"
    from pod.core.container import inspect

    own, image = inspect.sizes(view.engine, one)
    return output.human_size(own) + (f" (virtual {output.human_size(image)})" if image else "")


FIELDS: dict[str, Callable[[Container, View], Any]] = {
    "Command": _command,
    "CreatedAt": _created_at,
    "HealthStatus": _health,
    "ID": _id,
    "IPAddresses": _addresses,
    "Image": _image,
    "Labels": _labels,
    "LocalVolumes": _local_volumes,
    "Mounts": _mounts,
    "Names": _names,
    "Networks": _networks,
    "Platform": _platform,
    "Ports": _ports,
    "RunningFor": _running_for,
    "Size": _size,
    "State": _state,
    "Status": _status,
}
