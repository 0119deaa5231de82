"""Types of ext/process.pyx. Every function raises pod.ext.errors.StepError with the step, errno and path at fault."""

def probe(name: str, scratch: str) -> None:
    """Tries what ``name`` says (the tables in ext/src/core/probe_*.c) in a forked child; returns where it works.

    ``scratch`` is an empty folder of the caller's on the file system that matters; what is left in it is the
    caller's to remove.
    """

def probe_range(uid_extents: bytes, gid_extents: bytes, newuidmap: str, newgidmap: str) -> None:
    """Tries a user namespace with a range map. Extents are (inside, outside, count) as native 32-bit numbers."""

def enter_idmap(pins: str, uid_extents: bytes, gid_extents: bytes, newuidmap: str, newgidmap: str) -> None:
    """Moves the calling process, which must have one thread, into the map's user namespace as its root.

    ``pins`` is the folder where living namespaces of this map are found (ext/src/core/userns.h). There is no way back.
    """

def end_with_parent(parent: int, number: int) -> None:
    """In a child: it gets that signal when ``parent``, which forked it, ends; at once where that is gone already."""

def usage(wanted: list[tuple[int, int, int, int, bool]], whole: bool) -> list[tuple[int, ...] | None]:
    """What containers use now, counted over their processes (ext/src/process/usage.h).

    ``wanted``: of each container its first process, when that started (clock ticks after boot), its supervisor likewise
    (0, 0: not looked at), whether its memory is somebody else's to count. Gives of each nanoseconds of the monotonic
    clock, nanoseconds of processor time, threads, then, if ``whole``, bytes: memory, read, written, received, sent;
    None of one whose processes are not there any more.
    """

def members(pid: int, start: int) -> list[tuple[int, int, int, int]]:
    """Who is in the container of that first process, which began then: (pid, parent, clock ticks of processor time with
    those of its children that ended, when it began), in no order; [] where it is gone.
    """
