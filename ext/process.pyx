# cython: language_level=3
"""Thin glue over the C core: user namespaces for work in Python's own process, probes of the host, what containers use."""

from cpython.bytes cimport PyBytes_AsString, PyBytes_Size
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

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

cdef extern from "userns.h":
    struct pod_id_extent:
        uint32_t inside
        uint32_t outside
        uint32_t count
    struct pod_idmap:
        const pod_id_extent *uid
        const pod_id_extent *gid
        uint32_t uids
        uint32_t gids
        const char *newuidmap
        const char *newgidmap
        const char *pins
    int pod_userns_open(const pod_idmap *map, pod_err *err) nogil
    int pod_userns_enter(int nsfd, pod_err *err) nogil

cdef extern from "<sys/prctl.h>":
    const int PR_SET_PDEATHSIG
    int prctl(int option, ...) nogil

cdef extern from "probe.h":
    int pod_probe(const char *name, const char *scratch, pod_err *err) nogil
    int pod_probe_range(const pod_idmap *map, pod_err *err) nogil


cdef extern from "usage.h":
    struct pod_usage:
        int32_t pid
        int32_t supervisor
        uint64_t start
        uint64_t supervisor_start
        int32_t has_memory
        int32_t lives
        uint64_t at
        uint64_t cpu
        uint64_t pids
        uint64_t memory
        uint64_t read
        uint64_t written
        uint64_t received
        uint64_t sent
    struct pod_process:
        int32_t pid
        int32_t parent
        int32_t world
        uint64_t own
        uint64_t ended
        uint64_t start
    struct pod_crowd:
        pod_process *all
        size_t count
    int pod_crowd_look(pod_crowd *crowd, pod_err *err) nogil
    int pod_crowd_divide(pod_crowd *crowd, pod_usage *all, size_t count, int32_t *worlds, pod_err *err) nogil
    void pod_crowd_end(pod_crowd *crowd) nogil
    int pod_usage_read(pod_usage *all, size_t count, int whole, pod_err *err) nogil


cdef object failure(pod_err *err):
    return StepError(
        err.errnum,
        pod_step_name(err.step).decode("ascii"),
        os.fsdecode(<bytes> err.path),
        pod_step_words(err.step).decode("ascii"),
    )


cdef void fill_map(
    pod_idmap *map, bytes uid_extents, bytes gid_extents, bytes newuidmap, bytes newgidmap, const char *pins
) except *:
    """The caller keeps the byte strings alive as long as MAP is used."""
    if len(uid_extents) % sizeof(pod_id_extent) or len(gid_extents) % sizeof(pod_id_extent):
        raise ValueError("extents are triples of 32-bit numbers")
    map.uid = <const pod_id_extent *> PyBytes_AsString(uid_extents)
    map.gid = <const pod_id_extent *> PyBytes_AsString(gid_extents)
    map.uids = <uint32_t> (PyBytes_Size(uid_extents) // sizeof(pod_id_extent))
    map.gids = <uint32_t> (PyBytes_Size(gid_extents) // sizeof(pod_id_extent))
    map.newuidmap = PyBytes_AsString(newuidmap)
    map.newgidmap = PyBytes_AsString(newgidmap)
    map.pins = pins


def probe(str name, str scratch):
    cdef bytes c_name = name.encode("ascii")
    cdef bytes c_scratch = os.fsencode(scratch)
    cdef const char *name_text = c_name
    cdef const char *scratch_text = c_scratch
    cdef pod_err err
    cdef int result
    with nogil:
        result = pod_probe(name_text, scratch_text, &err)
    if result:
        raise failure(&err)


def probe_range(bytes uid_extents, bytes gid_extents, str newuidmap, str newgidmap):
    cdef bytes c_newuidmap = os.fsencode(newuidmap)
    cdef bytes c_newgidmap = os.fsencode(newgidmap)
    cdef pod_idmap map
    cdef pod_err err
    cdef int result
    fill_map(&map, uid_extents, gid_extents, c_newuidmap, c_newgidmap, NULL)
    with nogil:
        result = pod_probe_range(&map, &err)
    if result:
        raise failure(&err)


def enter_idmap(str pins, bytes uid_extents, bytes gid_extents, str newuidmap, str newgidmap):
    cdef bytes c_pins = os.fsencode(pins)
    cdef bytes c_newuidmap = os.fsencode(newuidmap)
    cdef bytes c_newgidmap = os.fsencode(newgidmap)
    cdef pod_idmap map
    cdef pod_err err
    cdef int namespace
    cdef int result = -1
    fill_map(&map, uid_extents, gid_extents, c_newuidmap, c_newgidmap, c_pins)
    with nogil:
        namespace = pod_userns_open(&map, &err)
        if namespace >= 0:
            result = pod_userns_enter(namespace, &err)
    if namespace >= 0:
        os.close(namespace)
    if result:
        raise failure(&err)


def end_with_parent(int parent, int number):
    prctl(PR_SET_PDEATHSIG, <unsigned long> number, <unsigned long> 0, <unsigned long> 0, <unsigned long> 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def usage(list wanted, bint whole):
    cdef size_t count = len(wanted)
    cdef pod_usage *all = <pod_usage *> calloc(count + 1, sizeof(pod_usage))
    cdef pod_usage *one
    cdef pod_err err
    cdef int failed
    cdef size_t i
    if all == NULL:
        raise MemoryError
    try:
        for i in range(count):
            one = &all[i]
            one.pid, one.start, one.supervisor, one.supervisor_start, one.has_memory = wanted[i]
        with nogil:
            failed = pod_usage_read(all, count, whole, &err)
        if failed:
            raise failure(&err)
        found = []
        for i in range(count):
            one = &all[i]
            numbers = (one.at, one.cpu, one.pids, one.memory, one.read, one.written, one.received, one.sent)
            found.append(numbers if one.lives else None)
        return found
    finally:
        free(all)


def members(int32_t pid, uint64_t start):
    cdef pod_usage one
    cdef pod_crowd crowd
    cdef pod_process *process
    cdef pod_err err
    cdef int32_t world = 0
    cdef int failed
    memset(&one, 0, sizeof(one))
    one.pid, one.start = pid, start
    with nogil:
        failed = pod_crowd_look(&crowd, &err) or pod_crowd_divide(&crowd, &one, 1, &world, &err)
    try:
        if failed:
            raise failure(&err)
        found = []
        for i in range(crowd.count):
            process = &crowd.all[i]
            if process.world == 0:
                found.append((process.pid, process.parent, process.own + process.ended, process.start))
        return found
    finally:
        pod_crowd_end(&crowd)
