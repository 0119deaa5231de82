# cython: language_level=3
"""Thin glue over the C core: user namespaces for work in Python's own process, and probes of the host."""

from cpython.bytes cimport PyBytes_AsString, PyBytes_Size
from libc.stdint cimport int32_t, uint32_t

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
