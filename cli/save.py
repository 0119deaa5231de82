"""``pod save``: docker/cli: image save."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "save",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    (
        ("compress", "", "string", 'Compress layers of the OCI formats: "gzip", "zstd"'),
        ("format", "", "string", '"docker-archive", "oci-archive", "oci-dir"', "docker-archive"),
        ("output", "o", "string", "Write to a file, instead of STDOUT"),
        ("platform", "", "stringSlice", "Save only the given platform(s), as os[/arch[/variant]]"),
    ),
    min_args=1,
    aliases=("pod image save", "pod save"),
)
_FAILED = "failed to save image"


def main(engine: Engine, options: Options) -> int:
    from pod.cli import archive_output
    from pod.core.image import archive_write, save

    form, compress, path = options["format"], options["compress"], options["output"]
    if form not in save.FORMATS:
        raise UsageError(f'invalid format: "{form}": must be one of {", ".join(save.FORMATS)}')
    if compress and compress not in save.COMPRESSIONS:
        raise UsageError(f'invalid compression: "{compress}": must be one of {", ".join(save.COMPRESSIONS)}')
    if compress and form == "docker-archive":
        raise UsageError("--compress: layers of a docker-archive are plain", hint="add --format oci-archive")
    if form == "oci-dir" and not path:
        raise UsageError("--format oci-dir: a folder to write to is needed", hint="name one with -o")
    archive_output.check(path, _FAILED)
    chosen = save.choose(engine, options.args, options["platform"])
    if form == "oci-dir":
        with archive_write.whole_folder(path, _FAILED) as temporary:
            save.save(engine, chosen, archive_write.Tree(temporary), form, compress)
        return 0
    with archive_output.file(path, _FAILED) as descriptor:
        save.save(engine, chosen, archive_write.Tar(descriptor), form, compress)
    return 0
