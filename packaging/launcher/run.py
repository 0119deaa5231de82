"""The lean start, after _pod_run.py has read the bundle: makes ``import pod`` work and calls its main.

Its namespace has from _pod_run.py: ROOT (the build's cache folder), PYZ, INDEX, EAGER and BODY (the bundle, see
write_bundle in cold.py; INDEX is {} where it was missing or of another Python), NEEDED (native files that must be
there) and NOEXEC (they must be loaded from memory). Warm modules come from the bundle, all others from site/; what a
cleaner of temporary
files took away comes from the archive again.
"""

import _frozen_importlib_external
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


class LazyOs(type(sys)):
    """``os`` until somebody wants more of it than posix has: a third of a warm start's imports is its body.

    The first missing name runs the real os.py in this very module, so that everyone who holds it has the whole.
    """

    def __getattr__(self, name):
        self.__class__ = type(sys)
        for finder in sys.meta_path:
            spec = finder.find_spec("os", None)
            if spec is not None:
                break
        self.__spec__, self.__loader__ = spec, spec.loader
        exec(spec.loader.get_code("os"), self.__dict__)
        return getattr(self, name)


def lean_os():
    """Puts a LazyOs in os's place: the names of posix, environ as text, path."""
    module = sys.modules["os"] = LazyOs("os")
    names = module.__dict__
    names.update({name: value for name, value in posix.__dict__.items() if name[:2] != "__"})
    coding = sys.getfilesystemencoding()
    names["environ"] = {
        key.decode(coding, "surrogateescape"): value.decode(coding, "surrogateescape")
        for key, value in posix.environ.items()
    }
    names["name"], names["sep"] = "posix", "/"
    import posixpath

    names["path"] = sys.modules["os.path"] = posixpath


def load_eagerly():
    """The modules that a command is known to need, each after those it imports: without importlib's ceremony."""
    modules = sys.modules
    for name, package, code in EAGER:
        module = modules[name] = type(sys)(name)
        place = SITE + "/" + name.replace(".", "/")
        parent, _, child = name.rpartition(".")
        module.__package__ = name if package else parent
        module.__file__ = place + ("/__init__.py" if package else ".py")
        if package:
            module.__path__ = [place]
        exec(code, module.__dict__)
        if parent:
            setattr(modules[parent], child, module)


class Restore:
    """The last finder: a module of ours that nobody found is brought back from the archive."""

    def find_spec(self, name, path=None, target=None):
        carried = ("pod", "urllib3", "tomli", "yaml", "jeepney")
        if name.partition(".")[0] not in carried or not cold().restore(ROOT, PYZ):
            return None
        from _frozen_importlib_external import PathFinder

        PathFinder.invalidate_caches()
        return PathFinder.find_spec(name, path, target)


def write_whole(path, data, mode=0o666):
    """For importlib's _write_atomic, which publishes half a file where the disk is full or files may not be larger:
    a module that nobody could load again.
    """
    temporary = path + "." + str(posix.getpid())
    fd = posix.open(temporary, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC, mode & 0o666)
    try:
        if posix.write(fd, data) != len(data):
            raise OSError
        posix.replace(temporary, path)
    except OSError:
        posix.unlink(temporary)
        raise
    finally:
        posix.close(fd)


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


_frozen_importlib_external._write_atomic = write_whole
if PYZ[0] != "/":
    PYZ = sys.argv[0] = posix.getcwd() + "/" + PYZ
sys.path.append(SITE)
if not INDEX or not whole():
    cold().restore(ROOT, PYZ, bundle=not INDEX)
sys.meta_path.insert(0, Bundle())
sys.meta_path.append(Restore())
if NOEXEC:
    cold().import_from_memory(native)
if INDEX and "os" not in sys.modules:
    lean_os()
    load_eagerly()
