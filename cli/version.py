"""``pod version``: what this file is and what runs it, in the layout of Docker's client section."""

from __future__ import annotations

import os
import sys

from pod.cli import output
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

VERSION = "0.1.0"
"""Of pod; pyproject.toml states the same, and a test compares them."""

API_VERSION = "1.47"
"""Docker's API whose names our documents (inspect, info, config.json) use."""

COMMAND = Command(
    "version",
    "[OPTIONS]",
    "Show the version of pod and of what it is made with",
    (("format", "f", "string", "Format output: 'json', or a Go template"),),
    max_args=0,
)


def main(engine: Engine, options: Options) -> int:
    """Docker's two sections as one: there is no server."""
    facts = describe()
    if options["format"]:
        output.document([{"Client": facts}], options["format"])
        return 0
    output.line("Client: pod")
    for title, key in (
        ("Version", "Version"),
        ("API version", "ApiVersion"),
        ("Build", "GitCommit"),
        ("Python version", "PythonVersion"),
        ("Kernel", "KernelVersion"),
    ):
        output.line(f" {title + ':':<18}{facts[key]}")
    output.line(f" {'OS/Arch:':<18}{facts['Os']}/{facts['Arch']}")
    return 0


def short() -> int:
    """``pod -v``: one line, as Docker words its own."""
    output.line(f"pod version {VERSION}, build {build_id()[:12]}")
    return 0


def build_id() -> str:
    """The build's id (32 hex digits), "unbuilt" in a tree that was never built."""
    try:
        from pod.ext import _build
    except ImportError:
        return "unbuilt"
    return str(_build.BUILD_ID)


def describe() -> dict[str, Any]:
    """The document behind --format, in Docker's names."""
    system = os.uname()
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(system.machine, system.machine)
    return {
        "Platform": {"Name": "pod"},
        "Version": VERSION,
        "ApiVersion": API_VERSION,
        "DefaultAPIVersion": API_VERSION,
        "GitCommit": build_id(),
        "PythonVersion": ".".join(str(part) for part in sys.version_info[:3]),
        "Os": system.sysname.lower(),
        "Arch": arch,
        "KernelVersion": system.release,
    }
