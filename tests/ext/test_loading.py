"""What loading the extension modules costs: not the modules that Cython would have them import."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import places

FLAGS = places.REPOSITORY / "ext/src/core/codeflags.h"


@pytest.mark.parametrize("name", ["layer", "process"])
def test_extension_when_loaded_then_imports_no_inspect(name):
    program = (
        f"import sys; from pod.ext import {name}; print('inspect' in sys.modules, 'pod.ext.{name}' in sys.modules)"
    )
    search = [path for path in sys.path if (Path(path) / "pod").exists()]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {search!r}\n{program}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "False True\n", done.stderr


def test_codeflags_when_asked_of_python_then_are_its_own():
    flags = {name: int(value, 16) for name, value in re.findall(r"(CO_\w+) = (0x\w+)", FLAGS.read_text())}
    assert len(flags) == 7
    assert flags == {name: getattr(inspect, name) for name in flags}
