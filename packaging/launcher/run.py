"""Starts pod from its cache folder with as few system calls as can be: python -I -S _pod_run.py PYZ ARGS...

The warm modules come from one file of marshalled code (see cold.write_bundle for its format), all others from site/.
NEEDED (native files) and NOEXEC (they must be loaded from memory) are filled in by the cold start.
What a cleaner of temporary files took away is brought back from the archive.
"""

import marshal
import sys

import posix
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

ROOT = __file__.rpartition("/")[0]
SITE = ROOT + "/site"
NEEDED = ()
NOEXEC = False


class Bundle:
    """Finder and loader of the modules in the bundle: {name: (is a package, marshalled code)}."""

    def __init__(self, codes):
        self.codes = codes

    def find_spec(self, name, path=None, target=None):
        entry = self.codes.get(name)
        if entry is None:
            return None
        place = SITE + "/" + name.replace(".", "/")
        spec = ModuleSpec(name, self, origin=place + ("/__init__.py" if entry[0] else ".py"), is_package=entry[0])
        spec.has_location = True
        if entry[0]:
            spec.submodule_search_locations.append(place)
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(marshal.loads(self.codes[module.__name__][1]), module.__dict__)


class Restore:
    """The last finder: a module of ours that nobody found is brought back from the archive."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ("pod", "urllib3", "tomli") or not cold().restore(ROOT, PYZ):
            return None
        from _frozen_importlib_external import PathFinder

        PathFinder.invalidate_caches()
        return PathFinder.find_spec(name, path, target)


def cold():
    """The module that knows the archive's layout, from the archive itself."""
    import zipimport

    module = type(sys)("_pod_cold")
    exec(zipimport.zipimporter(PYZ).get_code("_pod_cold"), module.__dict__)
    return module


def native(name):
    """Bytes of a file in site/pod/ext."""
    with open(SITE + "/pod/ext/" + name, "rb") as file:
        return file.read()


def read_bundle():
    """The bundle's content, or None where it is missing, cut short or of another Python."""
    try:
        fd = posix.open(ROOT + "/bundle", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = posix.read(fd, posix.fstat(fd).st_size)
    finally:
        posix.close(fd)
    if data[:4] != MAGIC_NUMBER or data[-4:] != b"end\n":
        return None
    return marshal.loads(memoryview(data)[4:])


def prepare():
    """Makes ``import pod`` work."""
    sys.path.append(SITE)
    codes = read_bundle()
    try:
        for name in NEEDED:
            posix.stat(SITE + "/" + name)
    except OSError:
        codes = None
    if codes is None:
        cold().restore(ROOT, PYZ, bundle=True)
        codes = read_bundle() or {}
    sys.meta_path.insert(0, Bundle(codes))
    sys.meta_path.append(Restore())
    if NOEXEC:
        cold().import_from_memory(native)


PYZ = sys.argv[1]
del sys.argv[0]
prepare()

from pod.cli.main import main  # noqa: E402

sys.exit(main())
