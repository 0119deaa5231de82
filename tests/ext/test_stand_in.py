"""Without the header of ISA-L zlib inflates: that half of inflate.c must go on compiling, and it unpacks the same."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import places

SOURCES = places.REPOSITORY / "ext/src"
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
    if shutil.which("cc") is None or not Path("/usr/include/zlib.h").exists():
        pytest.skip("capability cc: no C compiler with zlib's header")
    text = (SOURCES / "layer/inflate.c").read_text("utf-8")
    assert "#if __has_include(<isa-l/igzip_lib.h>)" in text
    (tmp_path / "inflate.c").write_text(text.replace("__has_include(<isa-l/igzip_lib.h>)", "0"))
    (tmp_path / "main.c").write_text(MAIN)
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-I", SOURCES / "core", "-I"]
    sources = [tmp_path / "main.c", tmp_path / "inflate.c", SOURCES / "core/err.c"]
    subprocess.run([*command, SOURCES / "layer", *sources, "-lz", "-o", tmp_path / "run"], check=True, timeout=120)
    data = bytes(range(256)) * 300
    done = subprocess.run([tmp_path / "run"], input=gzip.compress(data), capture_output=True, check=True, timeout=60)
    assert done.stdout == data
