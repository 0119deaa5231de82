# python -I -S _pod_run.py PYZ ARGS...: small, for Python compiles it at every start. run.py, in the bundle, goes on.
import gc
import posix
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import loads

ROOT = __file__[:-12]
PYZ = sys.argv[1]
NEEDED = ()
NOEXEC = False
gc.set_threshold(100000)  # a start makes no garbage to speak of, and looking for it costs 5 %
del sys.argv[0]
try:
    name = sys.argv[1] if sys.argv[1:2] in (["run"], ["exec"], ["ps"], ["rm"], ["rmi"], ["build"], ["stats"]) else ""
    with open(ROOT + ((name and "/bundle-" + name) or "/bundle"), "rb", 0) as file:
        data = file.read()
    if data[:4] != MAGIC_NUMBER or data[-4:] != b"end\n":
        raise ValueError
    BODY = memoryview(data)[8 + int.from_bytes(data[4:8], "little") :]
    run, INDEX, EAGER = loads(memoryview(data)[8:])
except (OSError, ValueError):
    from zipimport import zipimporter

    run, INDEX, EAGER, BODY = zipimporter(PYZ).get_code("_pod_run"), {}, (), b""
exec(run)
from pod.cli.main import main  # noqa: E402

status = main()
if status != 130 and "atexit" not in sys.modules and "threading" not in sys.modules:
    posix._exit(status)  # all is written (not where ^C came between: 130); taking all apart costs milliseconds
sys.exit(status)
