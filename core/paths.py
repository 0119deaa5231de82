"""Every path under the data root and the run directory; nobody else joins them.

The layout is drawn in ARCHITECTURE.md ("State on disk"). Reads no environment but in :func:`data_root`, and
no disk but in :func:`check_place`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pod.core.errors import HostUnsupported

STORE_FORMAT = 1
"""Version of the store's layout, kept in VERSION; a newer one is refused, an older one is upgraded."""

_ESCAPES = (("%", "%25"), ("/", "%2F"), (":", "%3A"), ("@", "%40"))


def data_root(environ: Mapping[str, str]) -> str:
    """The store's root: $POD_ROOT, else $XDG_DATA_HOME/pod, else ~/.local/share/pod, else a folder in /var/tmp."""
    root = environ.get("POD_ROOT")
    if root:
        return os.path.abspath(root)
    data_home = environ.get("XDG_DATA_HOME", "")
    if data_home.startswith("/"):
        return data_home + "/pod"
    home = environ.get("HOME", "")
    if home.startswith("/") and os.access(home, os.W_OK | os.X_OK):
        return home + "/.local/share/pod"
    return f"/var/tmp/pod-{os.getuid()}/data"


def in_others_hands(path: str) -> str:
    """The first part of ``path`` that somebody else made, or could replace; "" where there is none.

    What lies directly in a folder that everyone may write (/tmp, /var/tmp) must be ours or root's; what is missing is
    nobody's. ``path`` itself counts where it is a folder that everyone may write and that is not ours.
    """
    place, everyones, owner = "", False, 0
    for name in path.split("/"):
        if not name:
            continue
        place += "/" + name
        try:
            st = os.lstat(place)
            if everyones and st.st_uid not in (0, os.geteuid()):
                return place
            if st.st_mode & 0o170000 == 0o120000:
                st = os.stat(place)
        except OSError:
            return ""
        everyones, owner = st.st_mode & 0o170002 == 0o040002, st.st_uid
    return path if everyones and owner != os.geteuid() else ""


def check_place(root: str) -> None:
    """HostUnsupported where the store lies in others' hands; one of ours that everyone may write is shut."""
    place = in_others_hands(root)
    if place:
        raise _not_ours(root, place)
    try:
        if os.stat(root).st_mode & 0o002:
            os.chmod(root, 0o700)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:
        raise _not_ours(root, root) from None  # a file system that cannot be changed, or has no modes


def _not_ours(root: str, place: str) -> HostUnsupported:
    from pod.core.errors import HostUnsupported

    return HostUnsupported(
        f"open the store: {root}: others can change what lies there: {place}",
        hint="set POD_ROOT (or --root) to a folder that is yours alone",
    )


def escape(name: str) -> str:
    """A reference as one file name: reversible, and never '.', '..' or hidden."""
    for plain, escaped in _ESCAPES:
        name = name.replace(plain, escaped)
    return name


def unescape(name: str) -> str:
    """What :func:`escape` was given."""
    for plain, escaped in reversed(_ESCAPES):
        name = name.replace(escaped, plain)
    return name


class Paths:
    """Names of everything under one data root. Makes nothing; see engine.Engine.prepare."""

    __slots__ = ("root",)

    def __init__(self, root: str) -> None:
        self.root = root

    @property
    def version(self) -> str:
        return self.root + "/VERSION"

    @property
    def blobs(self) -> str:
        return self.root + "/blobs/sha256"

    def blob(self, digest: str) -> str:
        """Path of a blob by its digest, "sha256:<64 hex>" (validated by oci.digest before it gets here)."""
        return self.root + "/blobs/sha256/" + digest[7:]

    @property
    def refs(self) -> str:
        return self.root + "/refs"

    def ref(self, name: str) -> str:
        return self.root + "/refs/" + escape(name)

    @property
    def images(self) -> str:
        return self.root + "/images"

    def image(self, image_id: str) -> str:
        """Record of an image by its id, the config's digest "sha256:<64 hex>"."""
        return self.root + "/images/" + image_id[7:]

    @property
    def manifests(self) -> str:
        """Manifest lists that are being put together; made by the first."""
        return self.root + "/manifests"

    def manifest_list(self, name: str) -> str:
        return self.root + "/manifests/" + escape(name)

    def layers(self, map_key: str) -> str:
        return self.root + "/layers/" + map_key

    def layer(self, map_key: str, chain_id: str) -> str:
        """Folder {diff,owners,done} of one extracted layer by its chain id, "sha256:<64 hex>"."""
        return self.root + "/layers/" + map_key + "/" + chain_id[7:]

    @property
    def containers(self) -> str:
        return self.root + "/containers"

    def container(self, container_id: str) -> str:
        return self.root + "/containers/" + container_id

    @property
    def names(self) -> str:
        return self.root + "/names"

    def name(self, name: str) -> str:
        return self.root + "/names/" + name

    @property
    def volumes(self) -> str:
        return self.root + "/volumes"

    def volume(self, name: str) -> str:
        return self.root + "/volumes/" + name

    @property
    def networks(self) -> str:
        return self.root + "/networks"

    @property
    def network_names(self) -> str:
        return self.root + "/networks/names"

    def network_name(self, name: str) -> str:
        """File that holds the id of the network of that name."""
        return self.root + "/networks/names/" + escape(name)

    @property
    def cache(self) -> str:
        return self.root + "/cache"

    @property
    def build_cache(self) -> str:
        """Records of steps that a build need not do again; made by the first."""
        return self.root + "/builder/cache"

    @property
    def build_holds(self) -> str:
        """Marks of builds at work, by the image that they stand on; made by the first."""
        return self.root + "/builder/holds"

    @property
    def build_mounts(self) -> str:
        """Folders of RUN --mount=type=cache; made by the first."""
        return self.root + "/builder/mounts"

    @property
    def build_work(self) -> str:
        """Folders of steps at work, as those of containers; made by the first."""
        return self.root + "/builder/work"

    @property
    def compose(self) -> str:
        """Secrets and configs that are no files of the host, by project; made by the first."""
        return self.root + "/compose"

    @property
    def trash(self) -> str:
        return self.root + "/trash"
