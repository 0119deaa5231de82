"""Types of ext/layer.pyx. Every function raises pod.ext.errors.StepError with the step, errno and path at fault."""

from typing import Any

def extract(
    fd: int,
    root_fd: int,
    owners_fd: int,
    *,
    mapped: bool,
    dialect: str = "overlay",
    max_bytes: int = ...,
    max_entries: int = ...,
    follow: int = ...,
    threads: bool = ...,
) -> tuple[str, int, str, int, int]:
    """Unpacks the layer that ``fd`` (file or pipe, read to its end) holds into the directory ``root_fd``.

    gzip, zstd and plain archives are told apart by content. ``owners_fd`` is an empty file open for reading and
    writing; it gets the record of ext/src/layer/owners.h. ``mapped``: this process is root of a user namespace with a
    range of ids, so chown for real; else every owner but 0:0 is recorded. ``dialect``: "overlay" (whiteout nodes, the
    opaque xattr), "aufs" (".wh." files stay, for :func:`flatten`), "plain" (such names mean nothing).
    ``max_bytes`` bounds the decompressed archive and the sum of the files' sizes, ``max_entries`` the entries.

    ``follow``: read end of a pipe that tells how much of the file ``fd`` is there while somebody writes it: messages of
    8 bytes, little-endian, the bytes valid from the file's start (never fewer than before; a later message makes
    earlier ones needless), with bit 63 set when that is all. End of file before such a last message is
    ``StepError`` with errno ECANCELED, step "READ"; fewer than before is EBADMSG; a file shorter than was said ENODATA.

    ``threads``: decompression, digest and files' contents in threads of their own where there is a second processor and
    the user may have more threads; the result is the same. 6 MiB of memory, beside a zstd frame's window.

    Returns (blob sha256, blob bytes, diff sha256, diff bytes, entries); digests are 64 hex digits, diff is the
    decompressed stream to its end. On failure the tree is half made and the caller's to remove.
    """

def start_extract(
    fd: int,
    root_fd: int,
    owners_fd: int,
    *,
    mapped: bool,
    dialect: str = "overlay",
    max_bytes: int = ...,
    max_entries: int = ...,
    follow: int = ...,
    threads: bool = ...,
    userns: bool = ...,
) -> tuple[int, int]:
    """:func:`extract` in a child behind walls (ext/src/core/sandbox.h): (pid, descriptor of its answer).

    The descriptor gives bytes for :func:`extract_result`, then ends; the child is the caller's to wait for and, to end
    it before that, to kill. The caller has one thread. ``userns``: the child may make a user namespace for a root of
    its own.
    """

def extract_result(answer: bytes) -> tuple[str, int, str, int, int]:
    """What :func:`extract` returns or raises, of a whole answer; step "WAIT" where the child was killed."""

def probe_dialect(dir_fd: int) -> str:
    """ "overlay" where the file system of the directory holds whiteout nodes and user xattrs, else "aufs"."""

def compress(source_fd: int, target_fd: int, kind: str, *, threads: int = ...) -> tuple[str, int, str, int]:
    """Reads ``source_fd`` to its end and writes it to ``target_fd`` as ``kind`` ("gzip", "zstd", "none") says.

    Returns (written sha256, bytes, read sha256, bytes); digests are 64 hex digits. The same bytes give the same result
    for any number of ``threads`` (0: one a processor, 8 at most). 17 MiB of memory at most.
    """

def start_decompress(source_fd: int, target_fd: int, *, max_bytes: int = ..., userns: bool = ...) -> tuple[int, int]:
    """Reads the layer ``source_fd``, gzip, zstd or plain, to its end and writes it to ``target_fd``, plain, in a child
    behind walls as :func:`start_extract` has them: (pid, descriptor of its answer), for :func:`extract_result`.

    The blob is what was read, the diff what was written, entries 0. More than ``max_bytes``: step "LIMIT", EFBIG.
    """

def flatten(
    layer_fds: list[int], target_fd: int, owners_fds: list[int] | None = None, owners_fd: int = -1
) -> None:
    """Copies layers' trees, base first, into the directory ``target_fd`` and carries their whiteouts out.

    With ``owners_fds``, the layers' owners records, the empty file ``owners_fd`` (open to read and write) gets the
    record of the result: of each path what the layer said that it comes from. The top is that of the last layer.
    """

def copytree(source_fd: int, target_fd: int, *, owners: bool = False) -> None:
    """Copies what lies below one directory into another, which gets its mode, owner (with ``owners``) and times."""

def rmtree(dir_fd: int, name: str) -> None:
    """Removes the entry ``name`` of ``dir_fd``, a whole tree if need be; a missing one is success."""

def read_owners(fd: int) -> list[tuple[str, tuple[int, int] | None, int, tuple[int, int] | None, dict[str, bytes]]]:
    """The owners record in ``fd``, by path: (path, (uid, gid), mode with type bits, device (major, minor), xattrs).

    ids are None where those on disk are right, device where the entry is none.
    """

def start_job(
    kind: str,
    plan_fd: int,
    path: str,
    *,
    dir_fd: int = ...,
    stream: int = ...,
    base: str = ...,
    flags: int = ...,
    request: bytes = ...,
    owner: tuple[int, int] = ...,
) -> tuple[int, int]:
    """Starts a process that does some work on a container's files (ext/src/files/job.h): its pid, and a descriptor
    that gives its answer, the bytes for :func:`job_result`, or nothing where it was killed.

    ``kind``: "look", "pack", "unpack", "export", "size", "layer", "diff" or "pick". ``plan_fd``: a plan (whose keys
    ext/src/files/view.h names), or -1: on the host, as the caller, below ``dir_fd``. ``stream``: the archive's
    descriptor. ``flags``: enum pod_job_flags. ``request``: of a pick (ext/src/files/pick.h). ``owner``: of the
    directories that a look makes.
    """

def job_result(answer: bytes) -> dict[str, Any]:
    """mode, look, bytes, entries, devices, sockets, reserved, owners, items, folders (ints), digest (hex), name, path;
    the job's failure as StepError.
    """
