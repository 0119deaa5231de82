"""clang-format over our C, by .clang-format: a check, or with --fix the change. Tables opt out where they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """0 when every file is as clang-format would write it."""
    files = sorted([*(ROOT / "ext/src").rglob("*.[ch]"), *(ROOT / "packaging").glob("*.c")])
    mode = ["-i"] if "--fix" in sys.argv[1:] else ["--dry-run", "--Werror"]
    found = subprocess.run([sys.executable, "-c", "import clang_format as c; print(c.get_executable('clang-format'))"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    program = found.stdout.strip() if found.returncode == 0 else "clang-format"
    return subprocess.run([program, *mode, *map(str, files)], cwd=ROOT, check=False, timeout=300).returncode


if __name__ == "__main__":
    sys.exit(main())
