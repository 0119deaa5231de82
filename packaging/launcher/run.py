"""The lean start, after _pod_run.py has read the bundle: makes ``import pod`` work and calls its main.

Its namespace has from _pod_run.py: ROOT (the build's cache folder), PYZ, INDEX and BODY (the bundle, see write_bundle
in cold.py; INDEX is {} where it was missing or of another Python), NEEDED (native files that must be there) and NOEXEC
(they must be loaded from memory). Warm modules come from the bundle, all others from site/; what a cleaner of temporary
files took away comes from the archive again.
"""

import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec

SITE = ROOT + "/site"


class Bundle:
    """Finder and loader of the modules in the bundle."""

    def find_spec(self, name, path=None, target=None):
        entry = INDEX.get(name)
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
        _, start, end = INDEX[module.__name__]
        exec(marshal.loads(BODY[start:end]), module.__dict__)


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


def whole():
    """Whether the native files are there."""
    try:
        for name in NEEDED:
            posix.stat(SITE + "/" + name)
    except OSError:
        return False
    return True


if PYZ[0] != "/":
    PYZ = sys.argv[0] = posix.getcwd() + "/" + PYZ
sys.path.append(SITE)
if not INDEX or not whole():
    cold().restore(ROOT, PYZ, bundle=not INDEX)
sys.meta_path.insert(0, Bundle())
sys.meta_path.append(Restore())
if NOEXEC:
    cold().import_from_memory(native)
