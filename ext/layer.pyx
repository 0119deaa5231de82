# cython: language_level=3
"""Thin glue over ext/src/layer and ext/src/core: archives into trees, trees into trees, trees away."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, uint32_t, uint64_t

import os

from pod.ext.errors import StepError


cdef extern from "codeflags.h":
    pass

cdef extern from "err.h":
    struct pod_err:
        int32_t step
        int32_t errnum
        char path[256]
    const char *pod_step_name(int step) nogil
    const char *pod_step_words(int step) nogil

cdef extern from "source.h":
    struct pod_source_sum:
        unsigned char blob[32]
        unsigned char diff[32]
        uint64_t blob_size
        uint64_t diff_size

cdef extern from "extract.h":
    enum pod_dialect:
        POD_DIALECT_OVERLAY
        POD_DIALECT_AUFS
        POD_DIALECT_PLAIN
    struct pod_extract_options:
        int root_fd
        int owners_fd
        int mapped
        pod_dialect dialect
        uint64_t max_bytes
        uint64_t max_entries
        int follow
        int umask_is_0
        int threads
        int merge
        int (*interrupted)(void *context) noexcept nogil
        void *context
    struct pod_extract_result:
        pod_source_sum sum
        uint64_t entries
    int pod_extract(
        int fd, const pod_extract_options *options, pod_extract_result *result, pod_err *err
    ) nogil
    int pod_probe_dialect(int dirfd, pod_dialect *dialect, pod_err *err) nogil

cdef extern from "apart.h":
    struct pod_apart:
        int child
        int answer
    struct pod_apart_answer:
        int32_t failed
        uint32_t walls
        pod_extract_result result
        pod_err err
    int pod_apart_start(
        int fd, const pod_extract_options *options, int userns, pod_apart *apart, pod_err *err
    ) nogil
    int pod_apart_plain(
        int fd, int target, uint64_t max_bytes, int userns, pod_apart *apart, pod_err *err
    ) nogil

cdef extern from "compress.h":
    enum pod_compression:
        POD_COMPRESS_NONE
        POD_COMPRESS_GZIP
        POD_COMPRESS_ZSTD
    struct pod_compress_options:
        int source
        int target
        pod_compression kind
        int threads
        int (*interrupted)(void *context) noexcept nogil
        void *context
    int pod_compress(const pod_compress_options *options, pod_source_sum *sum, pod_err *err) nogil

cdef extern from "flatten.h":
    struct pod_flatten_request "pod_flatten":
        int count
        const int *layer_fds
        const int *owners_fds
        int target_fd
        int owners_fd
    int pod_flatten(const pod_flatten_request *flatten, pod_err *err) nogil

cdef extern from "copytree.h":
    enum:
        POD_COPY_WHITEOUTS
        POD_COPY_OWNERS
    int pod_copytree(int srcfd, int dstfd, unsigned flags, pod_err *err) nogil

cdef extern from "rmtree.h":
    int pod_rmtree(int dirfd, const char *name, pod_err *err) nogil

cdef extern from "owners.h":
    enum:
        POD_OWNER_IDS
        POD_OWNER_DEVICE
    struct pod_owner:
        const char *path
        size_t path_length
        uint32_t flags
        uint32_t uid
        uint32_t gid
        uint32_t mode
        uint32_t major
        uint32_t minor
    struct pod_owners:
        size_t count
    int pod_owners_map(int fd, pod_owners *owners, pod_err *err) nogil
    void pod_owners_at(const pod_owners *owners, size_t position, pod_owner *owner) nogil
    int pod_owners_xattr(
        const pod_owner *owner, size_t *at, const char **name, size_t *name_length,
        const unsigned char **value, size_t *value_length
    ) nogil
    void pod_owners_unmap(pod_owners *owners) nogil

cdef extern from "plan.h":
    struct pod_plan:
        uint32_t size
    int pod_plan_open(int fd, pod_plan *plan, pod_err *err) nogil

cdef extern from "../files/job.h":
    enum:
        POD_JOB_LOOK
        POD_JOB_PACK
        POD_JOB_UNPACK
        POD_JOB_EXPORT
        POD_JOB_SIZE
        POD_JOB_LAYER
        POD_JOB_DIFF
        POD_JOB_PICK
    struct pod_job:
        int kind
        const pod_plan *plan
        int dirfd
        int stream
        const char *path
        const char *base
        unsigned flags
        uint32_t uid
        uint32_t gid
        const void *request
        size_t request_size
    struct pod_job_result:
        int32_t failed
        uint32_t mode
        uint32_t look
        uint64_t bytes
        uint64_t entries
        uint64_t devices
        uint64_t sockets
        uint64_t reserved
        uint64_t owners
        uint64_t items
        uint64_t folders
        unsigned char digest[32]
        pod_err err
        char name[256]
        char path[4096]
    int pod_job_start(const pod_job *job, int *child, int *result, pod_err *err) nogil


cdef int check(int result, pod_err *err) except -1:
    """The one place where the C core's failures become exceptions."""
    if result >= 0:
        return result
    raise StepError(
        err.errnum,
        pod_step_name(err.step).decode("ascii"),
        os.fsdecode(<bytes> err.path),
        pod_step_words(err.step).decode("ascii"),
    )


cdef int interrupted(void *context) noexcept with gil:
    """Asked ten times a second: Ctrl-C ends the work. The handler's exception is parked in the list behind CONTEXT."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<list> context).append(error)
        return 1
    return 0


DIALECTS = {"overlay": POD_DIALECT_OVERLAY, "aufs": POD_DIALECT_AUFS, "plain": POD_DIALECT_PLAIN}


cdef void fill_options(pod_extract_options *options, int root_fd, int owners_fd, bint mapped, str dialect,
                       uint64_t max_bytes, uint64_t max_entries, int follow, bint threads) except *:
    options.root_fd = root_fd
    options.owners_fd = owners_fd
    options.mapped = mapped
    options.dialect = <pod_dialect> <int> DIALECTS[dialect]
    options.max_bytes = max_bytes
    options.max_entries = max_entries
    options.follow = follow
    options.umask_is_0 = 0
    options.threads = threads
    options.merge = 0
    options.interrupted = NULL
    options.context = NULL


cdef tuple summed(const pod_source_sum *sum):
    return (
        PyBytes_FromStringAndSize(<const char *> sum.blob, 32).hex(),
        sum.blob_size,
        PyBytes_FromStringAndSize(<const char *> sum.diff, 32).hex(),
        sum.diff_size,
    )


cdef tuple found(const pod_extract_result *result):
    return *summed(&result.sum), result.entries


def extract(int fd, int root_fd, int owners_fd, *, bint mapped, str dialect="overlay",
            uint64_t max_bytes=1 << 40, uint64_t max_entries=10000000, int follow=-1,
            bint threads=True):
    cdef pod_extract_options options
    cdef pod_extract_result result
    cdef pod_err err
    cdef int done
    cdef list raised = []
    fill_options(&options, root_fd, owners_fd, mapped, dialect, max_bytes, max_entries, follow, threads)
    options.interrupted = interrupted
    options.context = <void *> raised
    with nogil:
        done = pod_extract(fd, &options, &result, &err)
    if raised:
        raise raised[0]
    check(done, &err)
    return found(&result)


def start_extract(int fd, int root_fd, int owners_fd, *, bint mapped, str dialect="overlay",
                  uint64_t max_bytes=1 << 40, uint64_t max_entries=10000000, int follow=-1,
                  bint threads=True, bint userns=False):
    cdef pod_extract_options options
    cdef pod_apart apart
    cdef pod_err err
    cdef int done
    fill_options(&options, root_fd, owners_fd, mapped, dialect, max_bytes, max_entries, follow, threads)
    with nogil:
        done = pod_apart_start(fd, &options, userns, &apart, &err)
    check(done, &err)
    return apart.child, apart.answer


def extract_result(bytes answer):
    cdef const char *data = answer
    cdef const pod_apart_answer *told = <const pod_apart_answer *> data
    if len(answer) != sizeof(pod_apart_answer):
        raise StepError(0, "WAIT", "", "wait for a process")
    if told.failed:
        check(-1, <pod_err *> &told.err)
    return found(&told.result)


def probe_dialect(int dir_fd):
    cdef pod_dialect dialect = POD_DIALECT_AUFS
    cdef pod_err err
    cdef int done
    with nogil:
        done = pod_probe_dialect(dir_fd, &dialect, &err)
    check(done, &err)
    return "overlay" if dialect == POD_DIALECT_OVERLAY else "aufs"


COMPRESSIONS = {"none": POD_COMPRESS_NONE, "gzip": POD_COMPRESS_GZIP, "zstd": POD_COMPRESS_ZSTD}


def compress(int source_fd, int target_fd, str kind, *, int threads=0):
    cdef pod_compress_options options
    cdef pod_source_sum total
    cdef pod_err err
    cdef int done
    cdef list raised = []
    options.source = source_fd
    options.target = target_fd
    options.kind = <pod_compression> <int> COMPRESSIONS[kind]
    options.threads = threads
    options.interrupted = interrupted
    options.context = <void *> raised
    with nogil:
        done = pod_compress(&options, &total, &err)
    if raised:
        raise raised[0]
    check(done, &err)
    return summed(&total)


def start_decompress(int source_fd, int target_fd, *, uint64_t max_bytes=1 << 40, bint userns=False):
    cdef pod_apart apart
    cdef pod_err err
    cdef int done
    with nogil:
        done = pod_apart_plain(source_fd, target_fd, max_bytes, userns, &apart, &err)
    check(done, &err)
    return apart.child, apart.answer


def flatten(list layer_fds, int target_fd, list owners_fds=None, int owners_fd=-1):
    cdef pod_flatten_request request
    cdef pod_err err
    cdef int done
    cdef int count = len(layer_fds)
    cdef int i
    cdef int *fds
    if owners_fds is not None and len(owners_fds) != count:
        raise ValueError("flatten wants an owners record for each layer")
    fds = <int *> PyMem_Malloc((2 * count + 1) * sizeof(int))
    if not fds:
        raise MemoryError
    try:
        for i in range(count):
            fds[i] = layer_fds[i]
            fds[count + i] = -1 if owners_fds is None else owners_fds[i]
        request.count = count
        request.layer_fds = fds
        request.owners_fds = NULL if owners_fds is None else fds + count
        request.target_fd = target_fd
        request.owners_fd = owners_fd
        with nogil:
            done = pod_flatten(&request, &err)
        check(done, &err)
    finally:
        PyMem_Free(fds)


def copytree(int source_fd, int target_fd, *, bint owners=False):
    cdef unsigned flags = POD_COPY_OWNERS if owners else 0
    cdef pod_err err
    cdef int done
    with nogil:
        done = pod_copytree(source_fd, target_fd, flags, &err)
    check(done, &err)


def rmtree(int dir_fd, str name):
    cdef bytes encoded = os.fsencode(name)
    cdef const char *text = encoded
    cdef pod_err err
    cdef int done
    if "/" in name or not name or name in (".", ".."):
        raise ValueError("rmtree wants the name of an entry")
    with nogil:
        done = pod_rmtree(dir_fd, text, &err)
    check(done, &err)


cdef tuple describe(const pod_owner *owner):
    cdef size_t at = 0
    cdef size_t name_length = 0
    cdef size_t value_length = 0
    cdef const char *name = NULL
    cdef const unsigned char *value = NULL
    cdef dict xattrs = {}
    while pod_owners_xattr(owner, &at, &name, &name_length, &value, &value_length):
        key = os.fsdecode(PyBytes_FromStringAndSize(name, <Py_ssize_t> name_length))
        xattrs[key] = PyBytes_FromStringAndSize(<const char *> value, <Py_ssize_t> value_length)
    path = os.fsdecode(PyBytes_FromStringAndSize(owner.path, <Py_ssize_t> owner.path_length))
    ids = (owner.uid, owner.gid) if owner.flags & POD_OWNER_IDS else None
    device = (owner.major, owner.minor) if owner.flags & POD_OWNER_DEVICE else None
    return path, ids, owner.mode, device, xattrs


def read_owners(int fd):
    cdef pod_owners owners
    cdef pod_owner owner
    cdef pod_err err
    cdef int done
    cdef size_t i
    cdef list found = []
    with nogil:
        done = pod_owners_map(fd, &owners, &err)
    check(done, &err)
    try:
        for i in range(owners.count):
            pod_owners_at(&owners, i, &owner)
            found.append(describe(&owner))
    finally:
        pod_owners_unmap(&owners)
    return found


JOBS = {
    "look": POD_JOB_LOOK, "pack": POD_JOB_PACK, "unpack": POD_JOB_UNPACK, "export": POD_JOB_EXPORT,
    "size": POD_JOB_SIZE, "layer": POD_JOB_LAYER, "diff": POD_JOB_DIFF,
    "pick": POD_JOB_PICK,
}


def start_job(
    str kind, int plan_fd, str path, *, int dir_fd=-1, int stream=-1, str base="", int flags=0, bytes request=b"",
    tuple owner=(0, 0),
):
    cdef bytes c_path = os.fsencode(path)
    cdef bytes c_base = os.fsencode(base)
    cdef pod_plan plan
    cdef pod_job job
    cdef pod_err err
    cdef int child = 0
    cdef int answer = -1
    cdef int done
    if b"\0" in c_path or b"\0" in c_base:
        raise ValueError("NUL in a path")
    job.kind = JOBS[kind]
    job.plan = NULL
    if plan_fd >= 0:
        check(pod_plan_open(plan_fd, &plan, &err), &err)
        job.plan = &plan
    job.dirfd = dir_fd
    job.stream = stream
    job.path = c_path
    job.base = c_base
    job.flags = flags
    job.uid, job.gid = owner
    job.request = <const char *> request
    job.request_size = len(request)
    with nogil:
        done = pod_job_start(&job, &child, &answer, &err)
    check(done, &err)
    return child, answer


def job_result(bytes answer):
    cdef const char *data = answer
    cdef const pod_job_result *result = <const pod_job_result *> data
    if len(answer) != sizeof(pod_job_result):
        raise StepError(0, "WAIT", "", "wait for a process")
    if result.failed:
        check(-1, <pod_err *> &result.err)
    return {
        "mode": result.mode,
        "look": result.look,
        "bytes": result.bytes,
        "entries": result.entries,
        "devices": result.devices,
        "sockets": result.sockets,
        "reserved": result.reserved,
        "owners": result.owners,
        "items": result.items,
        "folders": result.folders,
        "digest": (<const unsigned char *> result.digest)[:32].hex(),
        "name": os.fsdecode(<bytes> result.name),
        "path": os.fsdecode(<bytes> result.path),
    }
