"""The cold start of pod.pyz: unpacks the archive into a cache folder of this build, publishes it by rename, starts it.

    <cache root>/pod/<build>/
        python           the interpreter, as preamble.sh reads it; written last, so the folder is whole where it exists
        _pod_run.py      the lean start (lean.py)
        bundle           its second half (run.py) and the warm modules, compiled for that interpreter
        bundle-run, …    the same, made for one command
        site/            pod, jeepney, tomli, urllib3, yaml; the native files of this machine only, in site/pod/ext

The roots are tried in turn: XDG cache, run directory, /var/tmp/pod-UID, TMPDIR. One is taken when it is ours, not
writable by others and has room. Where none is, modules are imported out of the archive and the native ones from memfds.
Nothing is printed here but the one line of a start that cannot be.
"""

import marshal
import os
import sys
import time
import zlib

MANIFEST = "_pod_manifest"
SITE = "site-packages/"
KEEP_SECONDS = 14 * 86400
KEEP_BUILDS = 4
LOCK_SECONDS = 10.0


class Manifest:
    """What the build wrote about the archive: lines "build ID", "warm MODULE", "eager COMMAND MODULE…",
    "file MODE SIZE MACHINE|- PATH".
    """

    def __init__(self, text):
        self.build = ""
        self.warm = []
        self.eager = {"": []}
        self.files = []
        machine = os.uname().machine
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "build":
                self.build = rest
            elif kind == "warm":
                self.warm.append(rest)
            elif kind == "eager":
                command, _, names = rest.partition(" ")
                self.eager["" if command == "-" else "-" + command] = names.split()
            elif kind == "file":
                mode, size, only, path = rest.split(" ", 3)
                if only in ("-", machine):
                    self.files.append((int(mode, 8), int(size), path, place(path)))


def place(path):
    """Where a file of site-packages goes below site/: pod/_lib/<machine>/NAME is pod/ext/NAME."""
    if path.startswith("pod/_lib/"):
        return "pod/ext/" + path.rpartition("/")[2]
    return path


def start(loader):
    """Unpacks what is not there yet and replaces this process by the lean start. Called by __main__.py."""
    archive = os.path.abspath(loader.archive)
    manifest = Manifest(loader.get_data(os.path.join(loader.archive, MANIFEST)).decode())
    native = [entry for entry in manifest.files if entry[3] == "pod/ext/pod-helper"]
    if not native:
        fail(f"{os.uname().machine}: this file has no code for such machines")
    arguments = sys.argv[1:]
    for root, private in roots():
        folder = usable(root, private)
        if folder is None:
            continue
        target = folder + "/" + manifest.build
        try:
            if not ready(target):
                install(loader, manifest, folder, target)
                prune(folder, manifest.build)
        except OSError:
            continue
        os.execv(interpreter(), [interpreter(), "-I", "-S", target + "/_pod_run.py", archive, *arguments])
    run_from_archive(loader, archive, arguments)


def interpreter():
    """This Python without links in its name, so that an upgrade of the system's is noticed."""
    return os.path.realpath(sys.executable)


def fail(reason):
    sys.stderr.write("pod: start: " + reason + "\n")
    sys.exit(125)


def roots():
    """(folder that may hold a cache, whether others can write beside it), in preamble.sh's order and beyond."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = os.environ.get("HOME", "").rstrip("/") + "/.cache"
    own = f"/pod-{os.getuid()}"
    candidates = [(cache, False), (os.environ.get("XDG_RUNTIME_DIR", ""), False), ("/var/tmp" + own, True)]
    candidates.append((os.environ.get("TMPDIR", "/tmp").rstrip("/") + own, True))
    return [(root, public) for root, public in candidates if root.startswith("/") and root != "/.cache"]


def usable(root, public):
    """root/pod, made if missing, when both are folders of ours that nobody else can change; else None.

    Below a folder that others write to (/var/tmp) ``root`` itself may be a trap: no link, ours, and the folder sticky
    and the system's, or ours.
    """
    folder = root + "/pod"
    mine = os.getuid()
    theirs = (mine, 0, os.stat("/").st_uid)  # in a user namespace the system's may be nobody's
    try:
        parent = os.stat(os.path.dirname(root))
        if public and (parent.st_uid not in theirs or (parent.st_mode & 0o022 and not parent.st_mode & 0o1000)):
            return None
        make(root)
        state = os.lstat(root) if public else os.stat(root)
        if os.lstat(root).st_uid not in theirs or state.st_uid != mine or state.st_mode & 0o170000 != 0o040000:
            return None
        make(folder)
        state = os.lstat(folder)
        if state.st_uid != mine or state.st_mode & 0o170000 != 0o040000:
            return None
        if state.st_mode & 0o022:
            os.chmod(folder, 0o700)
        return folder
    except OSError:
        return None


def make(path):
    """A folder that may be there already."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return


def ready(target):
    """Whether a whole folder of this build is there for an interpreter that is."""
    try:
        with open(target + "/python") as file:
            python = file.readline().rstrip("\n")
        return os.lstat(target).st_uid == os.getuid() and python == interpreter()
    except OSError:
        return False


def install(loader, manifest, folder, target):
    """Unpacks beside ``target`` and renames; fifty at once do it once. OSError where the folder cannot hold it."""
    lock = take_lock(folder + "/.lock-" + manifest.build, target)
    try:
        if ready(target):
            return
        partial = f"{folder}/.new-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            os.mkdir(partial, 0o700)
            unpack(loader, manifest, partial)
            write_run(loader, manifest, partial)
            write_bundle(loader, manifest, partial, target)
            os.mkdir(partial + "/starts", 0o700)  # see ext/src/helper/prepared.h
            write(partial + "/python", interpreter().encode() + b"\n", 0o600)
            publish(partial, target, folder)
        finally:
            remove(partial)
    finally:
        if lock is not None:
            os.close(lock)


def take_lock(path, target):
    """A lock that is a courtesy: where there is none to be had, two processes do the same work twice."""
    try:
        import fcntl

        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (ImportError, OSError):
        return None
    deadline = time.monotonic() + LOCK_SECONDS
    while not ready(target):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        except OSError:
            break
    return fd


def publish(partial, target, folder):
    """rename(2); a folder in the way is damaged or of another interpreter, and goes aside first."""
    try:
        os.rename(partial, target)
        return
    except OSError:
        if ready(target):
            return
    aside = f"{folder}/.old-{os.getpid()}-{os.urandom(4).hex()}"
    os.rename(target, aside)
    os.rename(partial, target)
    remove(aside)


def unpack(loader, manifest, folder):
    """Every file of this machine below folder/site."""
    made = set()
    for mode, size, source, name in manifest.files:
        path = folder + "/site/" + name
        parent = path.rpartition("/")[0]
        if parent not in made:
            os.makedirs(parent, 0o700, exist_ok=True)
            made.add(parent)
        data = member(loader, source)
        if len(data) != size:
            fail(f"{loader.archive}: the archive is damaged: {source}")
        write(path, data, mode)


def member(loader, name):
    """One file of site-packages."""
    try:
        return loader.get_data(os.path.join(loader.archive, SITE + name))
    except (OSError, ImportError, ValueError, EOFError, zlib.error) as error:
        fail(f"{loader.archive}: the archive is damaged: {name}: {error}")


def write(path, data, mode):
    """A new file whose mode the umask has no part in."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def write_run(loader, manifest, folder):
    """_pod_run.py, told which native files must be there, and whether they must be loaded from memory (noexec)."""
    text = loader.get_data(os.path.join(loader.archive, "_pod_lean.py")).decode()
    native = tuple(name for _, _, source, name in manifest.files if source != name)
    text = text.replace("\nNEEDED = ()\n", f"\nNEEDED = {native!r}\n")
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        text = text.replace("\nNOEXEC = False\n", "\nNOEXEC = True\n")
    write(folder + "/_pod_run.py", text.encode(), 0o600)


def write_bundle(loader, manifest, folder, target):
    """The warm modules' code, as one file that a start reads at once; one for each eager command, one for the others:

        importlib's magic number                                       4 bytes
        length of the index, little endian                             4 bytes
        marshalled index: (code of run.py, {name: (package?, start, end)}, ((name, package?, code), … to load at once))
        marshalled code of the other modules, from start to end of the file
        "end\\n"                                                        4 bytes

    Offsets count from the end of the index, so that loading one module copies nothing of the others. Modules that are
    loaded at once are marshalled together: they share their names.
    """
    from _frozen_importlib_external import MAGIC_NUMBER

    codes = {}
    for name in manifest.warm:
        path = "/site/" + name.replace(".", "/")
        package = os.path.isdir(folder + path)
        path += "/__init__.py" if package else ".py"
        with open(folder + path, "rb") as file:
            codes[name] = (package, code_of(file.read(), target + path))
    run = code_of(loader.get_data(os.path.join(loader.archive, "_pod_run.py")), "_pod_run.py")
    for command, names in manifest.eager.items():
        eager = tuple([(name, *codes[name]) for name in names])
        parts = []
        size = 0
        index = {}
        for name, (package, code) in codes.items():
            if name not in names:
                parts.append(marshal.dumps(code))
                index[name] = (package, size, size + len(parts[-1]))
                size += len(parts[-1])
        first = marshal.dumps((run, index, eager))
        data = [MAGIC_NUMBER, len(first).to_bytes(4, "little"), first, *parts, b"end\n"]
        replace(f"{folder}/bundle{command}", b"".join(data), 0o600)


def code_of(source, path):
    """Code without docstrings, and without the import of __future__ (a file read at each start): its flag is given."""
    import __future__

    tree = compile(source, path, "exec", 0x400, True)  # ast.PyCF_ONLY_AST, without the import of ast
    kept = [node for node in tree.body if getattr(node, "module", None) != "__future__"]
    flags = __future__.annotations.compiler_flag if len(kept) < len(tree.body) else 0
    tree.body = kept
    drop_docstrings(tree)
    return compile(tree, path, "exec", flags, True)


def drop_docstrings(node):
    """A quarter of the code's size; assertions stay, so that this is the same program."""
    body = getattr(node, "body", None)
    if not isinstance(body, list) or not body:
        return
    first = getattr(body[0], "value", None) if len(body) > 1 else None
    if type(body[0]).__name__ == "Expr" and isinstance(getattr(first, "value", None), str):
        del body[0]
    for child in body:
        drop_docstrings(child)


def restore(target, archive, bundle=False):
    """Brings back missing or cut files of an unpacked folder, and its bundle if told. True when a file was missing."""
    import zipimport

    loader = zipimport.zipimporter(archive)
    manifest = Manifest(loader.get_data(os.path.join(loader.archive, MANIFEST)).decode())
    if os.path.basename(target) != manifest.build:
        fail(f"{archive}: the file was replaced while it ran")
    restored = False
    for mode, size, source, name in manifest.files:
        path = target + "/site/" + name
        try:
            whole = os.stat(path).st_size == size
        except OSError:
            whole = False
        if not whole:
            replace(path, member(loader, source), mode)
            restored = True
    if restored or bundle:
        write_bundle(loader, manifest, target, target)
    return restored


def replace(path, data, mode):
    """:func:`write` over whatever is there."""
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
    write(temporary, data, mode)
    os.rename(temporary, path)


def prune(folder, keep):
    """Removes other builds: unused for two weeks, or more than a few; and what interrupted starts left."""
    now = time.time()
    builds = []
    for name in os.listdir(folder):
        path = folder + "/" + name
        try:
            age = now - os.lstat(path).st_mtime
        except OSError:
            continue
        if name.startswith((".new-", ".old-")):
            if age > 3600:
                remove(path)
        elif name.startswith(".lock-"):
            if age > KEEP_SECONDS:
                os.unlink(path)
        elif name != keep and os.path.exists(path + "/python"):
            builds.append((age, path))
    for position, (age, path) in enumerate(sorted(builds)):
        if age > KEEP_SECONDS or position >= KEEP_BUILDS:
            remove(path)


def remove(path):
    """Removes a tree of ours, as far as it goes; links are not followed."""
    try:
        names = os.listdir(path) if not os.path.islink(path) else []
    except OSError:
        names = []
    for name in names:
        entry = path + "/" + name
        if os.path.isdir(entry) and not os.path.islink(entry):
            remove(entry)
        else:
            attempt(os.unlink, entry)
    attempt(os.rmdir, path)


def attempt(call, path):
    """A removal that may fail: another process did it, or the next prune does."""
    try:
        call(path)
    except OSError:
        return


def run_from_archive(loader, archive, arguments):
    """No folder can be had: modules out of the archive, native ones from memory. Slow, and it works."""
    if not (sys.flags.isolated and sys.flags.no_site):
        os.execv(sys.executable, [sys.executable, "-I", "-S", archive, *arguments])
    sys.path[0:1] = []
    sys.path.append(archive + "/" + SITE.rstrip("/"))
    machine = os.uname().machine
    import_from_memory(lambda name: member(loader, "pod/_lib/" + machine + "/" + name))
    sys.argv = [archive, *arguments]
    from pod.cli.main import main

    sys.exit(main())


def import_from_memory(read):
    """Puts a finder in front that loads pod.ext's native modules through memfd_create(2)."""
    sys.meta_path.insert(0, MemoryFinder(read))


class MemoryFinder:
    """pod.ext.NAME from the bytes of NAME.abi3.so; pod.ext._build from those of _build.py."""

    def __init__(self, read):
        self.read = read

    def find_spec(self, name, path=None, target=None):
        package, _, module = name.rpartition(".")
        if package != "pod.ext" or module not in ("layer", "process", "_build"):
            return None
        from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader

        native = module != "_build"
        fd = os.memfd_create(module, os.MFD_CLOEXEC)
        os.write(fd, self.read(module + (".abi3.so" if native else ".py")))
        location = f"/proc/self/fd/{fd}"
        loader = (ExtensionFileLoader if native else SourceFileLoader)(name, location)
        spec = ModuleSpec(name, loader, origin=location)
        spec.has_location = False
        return spec
