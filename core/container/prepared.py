"""Recording a start of ``run`` or ``exec``, so that the next one with the same words needs no Python
(ext/src/helper/prepared.h).

While a start is recorded every function of ``os`` that looks at the world or changes it is watched:

    looks at a file, a folder, a variable, the terminal …   becomes an input: the record holds while it is the same
    makes this container's own folders, files, lock          done again by the helper from templates
    anything else (a fork, a file elsewhere, a message)      such starts cannot be recorded

So a feature that reads one more file is covered without being known here. Nothing of this is loaded by a start that is
not recorded.
"""

from __future__ import annotations

import builtins
import os
import posix
import sys
import time
from _collections_abc import MutableMapping

from pod.core import statefile
from pod.core.engine import Engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

# enum pod_input_kind
FILE, PLACE, LISTING, ABSENT, LINK, CONTENT, HAS, ACCESS, CWD, TTY, ENV, IDS, UNAME, PROCESS, PROCESSORS = range(1, 16)
NOFOLLOW = 0x100

_YOUNG, _YOUNG_COARSE = 100_000_000, 2_100_000_000
"""Nanoseconds. A file changed so short ago could change again without its times telling; the second where the file
system counts in seconds (ext3, some network file systems, FAT's two)."""

_REGULAR, _FOLDER, _NULL = 0o100000, 0o040000, 0x103
"""File types of stat(2); the number of /dev/null."""

LONGEST_REASON = 50
"""Bytes: what is shorter than a plan's header says why there is none."""

_PURE = frozenset(
    (
        "close", "fchmod", "fspath", "fstat", "fsync", "ftruncate", "get_inheritable", "get_terminal_size", "getegid",
        "geteuid", "getgid", "getgroups", "getpid", "getuid", "read", "sched_getaffinity", "sendfile",
        "set_inheritable", "strerror", "umask", "urandom",
    )
)  # fmt: skip
"""Functions of posix that concern this process and descriptors that are open already; ids, groups, the terminal's size
and the processors that are allowed are looked at again by the helper."""
_FOREIGN = ("socket", "subprocess", "threading", "resource", "mmap", "ctypes", "pod.ext.layer", "pod.ext.process")
"""Modules that reach out by other ways than ``os``: a start that loads one is not recorded."""


class Unprepared(Exception):
    """This start cannot be recorded. ``for_good``: nor, most likely, the next with the same words."""

    def __init__(self, reason: str, *, for_good: bool = True) -> None:
        super().__init__(reason)
        self.for_good = for_good


class Environ(MutableMapping[str, str]):
    """The environment, remembering in ``asked`` what was looked up; "" stands for all of it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return self._values[key]

    def __setitem__(self, key: str, value: str) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self.asked.add(key)
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        self.asked.add("")
        return iter(self._values)

    def __len__(self) -> int:
        self.asked.add("")
        return len(self._values)

    def copy(self) -> dict[str, str]:
        """As os.environ has it."""
        return dict(self)


class Recorder:
    """Watches one start and writes ``path``. ``words`` are the command line up to IMAGE (of exec: CONTAINER), ``args``
    what follows it; ``named``: by --name.

    ``inputs``: (kind, text) to (numbers, second text), as struct pod_input has them. ``written``: (function, path) of
    every change. ``asked``: variables that were looked up. ``unstable``: what changed meanwhile, or so short ago that
    its times would not tell.
    """

    def __init__(self, path: str, words: list[str], args: list[str], *, named: bool) -> None:
        self.path = path
        self.named = named
        self.words = words
        self.args = args
        self.inputs: dict[tuple[int, str], tuple[tuple[int, ...], str]] = {}
        self.written: list[tuple[str, str]] = []
        self.unstable: set[str] = set()
        self.asked: frozenset[str] = frozenset()
        self._failure: Unprepared | None = None
        self._originals: dict[str, Any] = {}
        self._wrappers: dict[str, Any] = {}
        self._loaded = [name for name in _FOREIGN if name in sys.modules]
        self._opened: set[str] = set()
        self._made_up = {posix.stat(path).st_dev for path in ("/proc", "/sys") if os.path.isdir(path)}
        self._deaf = False
        self.engine: Engine
        self.environ: Environ

    def begin(self, engine: Engine) -> Engine:
        """Starts to watch; the engine to go on with."""
        os.fsencode("")  # What the bundle has not loaded of os yet would come later and take the watch away.
        self.environ = Environ(engine.environ)
        self._originals["environ"], os.environ = os.environ, self.environ  # type: ignore[assignment]
        self._wrappers["environ"] = self.environ
        self._install()
        builtins.open, self._open_builtin = self._opening(builtins.open), builtins.open
        sys.addaudithook(self._heard)
        self.engine = Engine(self.environ, progress=self._told(engine.progress))
        return self.engine

    def end(self) -> None:
        """Stops to watch."""
        for name, original in self._originals.items():
            setattr(os, name, original)
        builtins.open = self._open_builtin
        self._deaf = True

    def _install(self) -> None:
        watched: dict[str, Callable[[Any], Any]] = {
            "stat": self._stat, "lstat": self._lstat, "open": self._open, "readlink": self._readlink,
            "listdir": self._listdir, "access": self._access, "getcwd": self._getcwd, "isatty": self._isatty,
            "uname": self._uname, "mkdir": self._mkdir, "write": self._write, "execve": self._execve,
            "memfd_create": self._memfd_create,
        }  # fmt: skip
        kind = type(posix.stat)
        for name, real in list(os.__dict__.items()):
            if name in watched:
                wrapper = watched[name](real)
            elif type(real) is kind and name in posix.__dict__ and name not in _PURE:
                wrapper = self._changing(name, real)
            else:
                continue
            self._originals[name] = real
            self._wrappers[name] = wrapper
            setattr(os, name, wrapper)

    def _refuse(self, reason: str, *, for_good: bool = True) -> None:
        if self._failure is None or not self._failure.for_good:
            self._failure = Unprepared(reason, for_good=for_good)

    def _told(self, progress: Callable[[str, Mapping[str, Any]], None]) -> Callable[[str, Mapping[str, Any]], None]:
        def told(event: str, fields: Mapping[str, Any]) -> None:
            self._refuse(f"it says something: {event}")
            progress(event, fields)

        return told

    # ---- what was looked at

    def _absolute(self, path: Any) -> str:
        """``path`` from the root, where the working directory then counts too; "" (and no record) for what is no
        text.
        """
        if not isinstance(path, str):
            self._refuse("a path that is no text")
            return ""
        if path.startswith("/"):
            return path
        here = posix.getcwd()
        self._add(CWD, here)
        return f"{here}/{path}"

    def _add(self, kind: int, text: str, values: tuple[int, ...] = (), second: str = "") -> None:
        found = self.inputs.setdefault((kind, text), (values, second))
        if found != (values, second):
            self.unstable.add(text)

    def _add_stat(self, path: Any, st: Any, bit: int) -> None:
        path = self._absolute(path)
        if st.st_mode & 0o170000 == _REGULAR and not path.startswith(("/proc/", "/sys/")):
            self._judge_age(path, st)
            self._add(FILE | bit, path, (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns))
        else:
            self._add(PLACE | bit, path, (st.st_dev, st.st_ino, st.st_mode, st.st_uid, st.st_rdev))

    def _judge_age(self, path: str, st: Any) -> None:
        coarse = st.st_mtime_ns % 1_000_000_000 == 0 and st.st_ctime_ns % 1_000_000_000 == 0
        if time.time_ns() - max(st.st_mtime_ns, st.st_ctime_ns) < (_YOUNG_COARSE if coarse else _YOUNG):
            self.unstable.add(path)

    def _failed(self, path: Any, error: OSError, bit: int) -> None:
        self._add(ABSENT | bit, self._absolute(path), (error.errno or 0,))

    def _add_read(self, path: Any, fd: int, bit: int) -> None:
        """A file that is open and will be read: its times tell of a change, but for those that the kernel makes up."""
        st = posix.fstat(fd)
        path = self._absolute(path)
        kind = st.st_mode & 0o170000
        if kind == _REGULAR and (st.st_size == 0 or st.st_dev in self._made_up or path.startswith(("/proc/", "/sys/"))):
            self._add_content(path)
        elif kind in (_REGULAR, _FOLDER) or st.st_rdev == _NULL:
            self._add_stat(path, st, bit)
        else:
            self._refuse(f"{path}: read, and no file")  # a pipe, a terminal: something else comes next time

    def _looking(self, real: Any, bit: int) -> Any:
        def look(path: Any, *args: Any, **options: Any) -> Any:
            if isinstance(path, int):
                return real(path, *args, **options)
            nofollow = bit if options.get("follow_symlinks", True) else NOFOLLOW
            if args or set(options) - {"follow_symlinks"} or not isinstance(path, str):
                self._refuse("a look by descriptor")
            try:
                found = real(path, *args, **options)
            except OSError as error:
                self._failed(path, error, nofollow)
                raise
            self._add_stat(path, found, nofollow)
            return found

        return look

    def _stat(self, real: Any) -> Any:
        return self._looking(real, 0)

    def _lstat(self, real: Any) -> Any:
        return self._looking(real, NOFOLLOW)

    def _open(self, real: Any) -> Any:
        def open_(path: Any, flags: int, *args: Any, **options: Any) -> int:
            if options or not isinstance(path, str):
                self._refuse("a file opened by descriptor")
            bit = NOFOLLOW if flags & os.O_NOFOLLOW else 0
            changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            try:
                fd: int = real(path, flags, *args, **options)
            except OSError as error:
                if changes or error.errno not in (2, 20):  # ENOENT, ENOTDIR: stat(2) fails alike
                    self._refuse(f"{path}: {error.strerror}", for_good=False)
                self._failed(path, error, bit)
                raise
            if changes:
                self.written.append(("open", self._absolute(path)))
            else:
                self._add_read(path, fd, bit)
            return fd

        return open_

    def _opening(self, real: Any) -> Any:
        def open_(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if set(mode) - set("rbt") or not isinstance(path, (str, int)):
                self._refuse(f"{path}: opened to be written")
            file = real(path, mode, *args, **options)
            if not isinstance(path, int):
                self._add_read(path, file.fileno(), 0)
            return file

        return open_

    def _heard(self, event: str, arguments: Any) -> None:
        """The interpreter tells of every file that Python code opens, by whatever way."""
        if event == "open" and not self._deaf and isinstance(arguments[0], str):
            self._opened.add(arguments[0])

    def _unwatched(self) -> str:
        """A file that was opened past the watch; Python's own and pod's modules aside."""
        known = {path for _, path in self.inputs} | {path for _, path in self.written}
        code = (*sys.path, sys.prefix + "/lib", sys.base_prefix + "/lib", "/proc/self/s", f"/proc/{os.getpid()}/")
        for path in self._opened - known:
            if not path.startswith(code) and self._absolute(path) not in known:
                return path
        return ""

    def _add_content(self, path: str) -> None:
        if path in ("/proc/self/stat", f"/proc/{os.getpid()}/stat"):
            return  # of this very process: the helper asks for itself
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            text = posix.read(fd, 65536).decode("utf-8", "surrogateescape")
        finally:
            posix.close(fd)
        if path == "/proc/self/status":
            begin = text.find("\nNoNewPrivs:")
            self._add(HAS, path, (), "\n".join(text[begin:].split("\n", 4)[:4]) + "\n")
        elif path.startswith("/proc/") and path.split("/")[2].isdigit():
            self._add_process(path, text)
        else:
            self._add(CONTENT, path, (), text)

    def _add_process(self, path: str, text: str) -> None:
        """Of another process only whether it lives counts: its start, which field 22 of its ``stat`` has."""
        fields = text[text.rfind(")") + 2 :].split()
        if not path.endswith("/stat") or len(fields) < 20 or fields[0] in "ZX":
            self._refuse(f"{path}: a process")
            return
        self._add(PROCESS, path, (int(fields[19]),))

    def _readlink(self, real: Any) -> Any:
        def readlink(path: Any, **options: Any) -> Any:
            try:
                target = real(path, **options)
            except OSError as error:
                self._failed(path, error, NOFOLLOW)
                if error.errno != 2:
                    self._refuse(f"{path}: no link")
                raise
            self._add(LINK, self._absolute(path), (), target)
            return target

        return readlink

    def _listdir(self, real: Any) -> Any:
        def listdir(path: Any = ".") -> Any:
            try:
                st = posix.stat(path)
                found = real(path)
            except OSError as error:
                self._failed(path, error, 0)
                raise
            path = self._absolute(path)
            self._judge_age(path, st)
            self._add(LISTING, path, (st.st_dev, st.st_ino, st.st_mode, st.st_mtime_ns, st.st_ctime_ns))
            return found

        return listdir

    def _access(self, real: Any) -> Any:
        def access(path: Any, mode: int, **options: Any) -> Any:
            if options or not isinstance(path, str):
                self._refuse("access by descriptor")
            found = real(path, mode, **options)
            self._add(ACCESS, self._absolute(path), (mode, int(found)))
            return found

        return access

    def _getcwd(self, real: Any) -> Any:
        def getcwd() -> str:
            found: str = real()
            self._add(CWD, found)
            return found

        return getcwd

    def _isatty(self, real: Any) -> Any:
        def isatty(fd: int) -> bool:
            found: bool = real(fd)
            self._add(TTY, str(fd), (fd, int(found)))
            return found

        return isatty

    def _uname(self, real: Any) -> Any:
        def uname() -> Any:
            found = real()
            self._add(UNAME, f"{found.nodename} {found.release} {found.machine}")
            return found

        return uname

    # ---- what was changed

    def _changing(self, name: str, real: Any) -> Any:
        def change(*args: Any, **options: Any) -> Any:
            paths = [one for one in args if isinstance(one, str)]
            if not paths or options:
                self._refuse(f"it calls {name}")
            for path in paths:
                self.written.append((name, path))
            return real(*args, **options)

        return change

    def _mkdir(self, real: Any) -> Any:
        def mkdir(path: Any, *args: Any, **options: Any) -> None:
            try:
                real(path, *args, **options)
            except FileExistsError:
                self._add_stat(path, posix.lstat(path), NOFOLLOW)
                raise
            self.written.append(("mkdir", path))

        return mkdir

    def _write(self, real: Any) -> Any:
        def write(fd: int, data: Any) -> Any:
            if fd in (1, 2):
                self._refuse("it prints something")
            return real(fd, data)

        return write

    def _memfd_create(self, real: Any) -> Any:
        def memfd_create(*args: Any) -> int:
            if not self.asked:  # All is decided; what follows hands the environment on.
                self.asked = frozenset(self.environ.asked)
            fd: int = real(*args)
            return fd

        return memfd_create

    def _execve(self, real: Any) -> Any:
        def execve(path: Any, argv: Any, environ: Any) -> None:
            lost = [name for name, wrapper in self._wrappers.items() if getattr(os, name) is not wrapper]
            self.end()
            try:
                self._publish(argv, lost)
            except Exception as error:  # noqa: BLE001 - the start itself is what matters
                self._write_reason(f"{type(error).__name__}: {error}")
            real(path, argv, environ)

        return execve

    def _write_reason(self, reason: str) -> None:
        import contextlib

        with contextlib.suppress(OSError):
            statefile.write_bytes(self.path, reason.encode("utf-8", "replace")[:LONGEST_REASON])

    def _publish(self, argv: list[str], lost: list[str]) -> None:
        from pod.core.container import prepared_file

        try:
            if argv[:2] != ["pod", "run"]:
                raise Unprepared("not a start")
            if lost:
                raise Unprepared(f"os.{lost[0]} was not watched", for_good=False)
            if "pod.core.host_probe" in sys.modules:  # once after each boot: no reason against the next start
                raise Unprepared("it looked what this host can do", for_good=False)
            if self._failure is not None:
                raise self._failure
            if self._unwatched():
                raise Unprepared(f"unwatched: {self._unwatched()}")
            for name in _FOREIGN:
                if name in sys.modules and name not in self._loaded:
                    raise Unprepared(f"it needs {name}")
            data = prepared_file.compose(self, int(argv[2]))
        except Unprepared as failure:
            if failure.for_good:
                self._write_reason(str(failure))
            return
        prepared_file.prune(self.path.rpartition("/")[0])
        statefile.write_bytes(self.path, data)
