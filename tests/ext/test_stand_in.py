"""Without the header of ISA-L zlib inflates: that half of inflate.c must go on compiling, and it unpacks the same."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

from tests.support import compilers

MAIN = r"""
#include <stdio.h>
#include "inflate.h"

int main(void)
{
    static unsigned char in[1 << 16], out[1 << 20];
    struct pod_err err = {0};
    struct pod_inflate *inflate;
    struct pod_inflate_buffers buffers = {.in = in, .out = out, .out_length = sizeof out};

    buffers.in_length = fread(in, 1, sizeof in, stdin);
    if (pod_inflate_open(&inflate, &err) || pod_inflate_run(inflate, &buffers, &err) != 1)
        return 1;
    pod_inflate_close(&inflate);
    return fwrite(out, 1, sizeof out - buffers.out_length, stdout) == 0;
}
"""


def test_inflate_without_isal_unpacks_the_same(tmp_path: Path) -> None:
    program = compilers.without_isal(tmp_path, "inflate", MAIN)
    data = bytes(range(256)) * 300
    done = subprocess.run([program], input=gzip.compress(data), capture_output=True, check=True, timeout=60)
    assert done.stdout == data
