/* For Cython's glue alone: flags of Python's code objects.
 *
 * A module of the Limited API that Cython 3.1 wrote imports `inspect` when it is loaded, for these seven numbers: 20 ms,
 * more than all else that loading costs. They are the language's since Python 3.5 (inspect.CO_OPTIMIZED and so on; 3.9 to
 * 3.14 agree), so they are given here, in the place of the function that would ask. Another Cython may call it otherwise:
 * tests/ext/test_loading.py tells. */
#ifndef POD_CODEFLAGS_H
#define POD_CODEFLAGS_H

#define __Pyx_init_co_variables() \
    (CO_OPTIMIZED = 0x1, CO_NEWLOCALS = 0x2, CO_VARARGS = 0x4, CO_VARKEYWORDS = 0x8, \
     CO_GENERATOR = 0x20, CO_COROUTINE = 0x80, CO_ASYNC_GENERATOR = 0x200, 0)

#endif
