"""What somebody wants built: the flags of `pod build` in checked form, for core/builder/build.

Pure data. Whoever fills it has checked every value by itself; what only the build can know (does the target exist? is
there such a platform?) is left to it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.oci.reference import Reference


class Output:
    """One --output. ``kind``: "local", "tar", "oci", "docker" or "image".

    ``attributes``: what the flag says besides the type, by name. ``dest`` is where it goes: a folder (local; oci and
    docker with tar=false), a file, or "-" for standard output; for "docker" "" means the store, as for "image".
    "image" may have ``name`` (names with commas between), ``push`` and ``store`` ("true", "false"); oci, docker and
    image ``compression`` ("uncompressed", "gzip", "zstd") and ``force-compression``.
    """

    __slots__ = ("attributes", "kind")

    def __init__(self, kind: str, attributes: dict[str, str]) -> None:
        self.kind = kind
        self.attributes = attributes

    @property
    def makes_image(self) -> bool:
        """Whether the image goes to the store by this one."""
        return self.kind == "image" or (self.kind == "docker" and not self.attributes.get("dest"))

    def __repr__(self) -> str:
        return f"Output({self.kind!r}, {self.attributes!r})"


PREDEFINED = tuple(
    name for one in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY") for name in (one, one.lower())
)
"""RUN sees these without ARG, and no cache key and no history does."""

LAYOUT = "oci-layout:"
"""How a --build-context that is an OCI layout begins."""


class Wishes:
    """All of one build.

    ``context``         the word as it was given: a folder, "-", a URL
    ``file``            -f: "" for the context's own Dockerfile; "-" for standard input
    ``tags``            names with tags for the image
    ``target``          name or number of a stage, "" for the last
    ``build_args``      --build-arg; a bare NAME has its caller's value already, or is left out
    ``labels`` ``annotations``   added to the configuration, to the manifest
    ``no_cache`` ``no_cache_filter``   no step from the cache · none of these stages
    ``pull``            bases are looked for at their registries, also where the store has them
    ``platform``        "" for this host's, else what core/oci/platform.parse takes
    ``network``         of RUN: "default", "none", "host"
    ``add_hosts``       "name:address" lines for RUN
    ``shm_size``        bytes, 0 for the default
    ``ulimits``         (name, soft, hard), -1 unlimited
    ``limits``          members of HostConfig that limit resources of a RUN
    ``secrets``         id to ("file", absolute path) or ("env", name of a variable)
    ``ssh``             id to the path of a socket, or to none for the agent of SSH_AUTH_SOCK
    ``build_contexts``  name to what it means: a folder, docker-image://…, a URL, oci-layout://…, target:NAME
    ``outputs``         none: the image goes to the store
    ``squash``          one layer above the base instead of the build's
    ``cache_from`` ``cache_to``  attributes of each, "type" among them ("registry", "local", "inline")
    ``quiet``           nothing is shown but the id; the engine may leave the events of output out
    ``stdin_fd``        where "-" is read from
    """

    __slots__ = (
        "add_hosts", "annotations", "build_args", "build_contexts", "cache_from", "cache_to", "context", "file",
        "labels", "network", "no_cache", "no_cache_filter", "outputs", "platform", "pull", "quiet", "secrets",
        "limits", "shm_size", "squash", "ssh", "stdin_fd", "tags", "target", "ulimits",
    )  # fmt: skip

    def __init__(self, context: str = ".") -> None:
        self.context = context
        self.file = ""
        self.tags: list[Reference] = []
        self.target = ""
        self.build_args: dict[str, str | None] = {}
        self.labels: dict[str, str] = {}
        self.annotations: dict[str, str] = {}
        self.no_cache = False
        self.no_cache_filter: list[str] = []
        self.pull = False
        self.platform = ""
        self.network = "default"
        self.add_hosts: list[str] = []
        self.shm_size = 0
        self.ulimits: list[tuple[str, int, int]] = []
        self.limits: dict[str, Any] = {}
        self.secrets: dict[str, tuple[str, str]] = {}
        self.ssh: dict[str, list[str]] = {}
        self.build_contexts: dict[str, str] = {}
        self.outputs: list[Output] = []
        self.squash = False
        self.cache_from: list[dict[str, str]] = []
        self.cache_to: list[dict[str, str]] = []
        self.quiet = False
        self.stdin_fd = 0

    @property
    def makes_image(self) -> bool:
        """Whether the store gets an image by it."""
        return not self.outputs or any(output.makes_image for output in self.outputs)
