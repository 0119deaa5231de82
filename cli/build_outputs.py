"""--output, --load, --push, --cache-from and --cache-to of ``build``: fields with commas between, short forms."""

from __future__ import annotations

import os
import sys

from pod.core.builder.wishes import Output
from pod.core.errors import InvalidReference, PodError, UsageError
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.oci.reference import Reference

_KINDS = ("local", "tar", "oci", "docker", "image", "registry")
_KNOWN = {
    "local": {"dest"},
    "tar": {"dest"},
    "oci": {"dest", "name", "tar", "compression", "force-compression"},
    "docker": {"dest", "name", "compression", "force-compression"},
    "image": {"name", "push", "store", "compression", "force-compression", "oci-mediatypes", "unpack"},
}
_COMPRESSIONS = ("uncompressed", "gzip", "zstd")
_CACHES = {
    "cache-from": {"registry": "ref", "local": "src"},
    "cache-to": {"registry": "ref", "local": "dest", "inline": ""},
}
_OF_CACHES = {
    "cache-from": {"registry": {"ref"}, "local": {"src"}},
    "cache-to": {
        "registry": {"ref", "mode", "ignore-error", "compression", "oci-mediatypes", "image-manifest"},
        "local": {"dest", "mode", "ignore-error"},
        "inline": {"mode"},
    },
}
_ONLY = {"compression": "gzip", "oci-mediatypes": "true", "image-manifest": "true"}
"""Of a registry's cache: it is an OCI image."""


def fields(flag: str, text: str) -> list[str]:
    """The fields of one value, as encoding/csv reads them."""
    from pod.cli import flag_values

    try:
        return flag_values.split_csv(text)
    except ValueError as error:
        raise UsageError(f'invalid argument "{text}" for "--{flag}" flag: {error}') from None


def pairs(flag: str, text: str) -> list[tuple[str, str]]:
    """The fields as (key in lower case, value)."""
    found = []
    for field in fields(flag, text):
        key, equals, value = field.partition("=")
        if not equals:
            raise UsageError(f"--{flag}: invalid field '{field}' must be a key=value pair")
        found.append((key.strip().lower(), value))
    return found


def outputs(options: Options, tags: list[Reference]) -> list[Output]:
    """All of --output, --load and --push. Names that an output has join ``tags``."""
    found = [_output(text) for text in options["output"]]
    if options["load"] and not any(one.makes_image for one in found):
        found.append(Output("docker", {}))
    if options["push"]:
        image = next((one for one in found if one.kind == "image"), None)
        if image is None:
            image = Output("image", {})
            found.append(image)
        image.attributes["push"] = "true"
    for one in found:
        for name in one.attributes.get("name", "").split(","):
            if name:
                _name(name, tags)
        if one.attributes.get("push") == "true" and not tags:
            raise UsageError("tag is needed when pushing to registry", hint="add -t REGISTRY/NAME")
    if sum(one.attributes.get("dest") == "-" for one in found) > 1:
        raise UsageError("--output: only one can go to standard output")
    return found


def _name(text: str, tags: list[Reference]) -> None:
    try:
        one = references.parse(text).with_default_tag()
    except InvalidReference as error:
        raise UsageError(f"--output: {error.message}", hint=error.hint) from None
    if one not in tags:
        tags.append(one)


def _output(text: str) -> Output:
    if fields("output", text) == [text] and not text.startswith("type="):
        output = Output("tar" if text == "-" else "local", {"dest": text})
    else:
        attributes = dict(pairs("output", text))
        kind = attributes.pop("type", "")
        if not kind:
            raise UsageError("--output: type is required for output")
        if kind not in _KINDS:
            raise UsageError(f'--output: unsupported type "{kind}"', hint=f"there are {', '.join(_KINDS)}")
        if kind == "registry":
            kind = "image"
            attributes["push"] = "true"
        if "destination" in attributes:
            attributes["dest"] = attributes.pop("destination")
        output = Output(kind, attributes)
    _check(output)
    return output


def _check(output: Output) -> None:
    kind, attributes = output.kind, output.attributes
    for name in attributes:
        if name not in _KNOWN[kind]:
            known = ", ".join(sorted(_KNOWN[kind]))
            raise UsageError(f'--output type={kind}: "{name}" means nothing here', hint=f"there are {known}")
    for name in ("push", "store", "tar", "force-compression", "oci-mediatypes", "unpack"):
        if name in attributes:
            attributes[name] = _truth(kind, name, attributes[name])
    if attributes.get("compression", "gzip") not in _COMPRESSIONS:
        raise UsageError(
            f'--output type={kind}: unsupported compression "{attributes["compression"]}"',
            hint=f"there are {', '.join(_COMPRESSIONS)}",
        )
    if attributes.get("oci-mediatypes") == "false":
        raise UsageError("--output type=image: images that pod builds are OCI images", hint="leave oci-mediatypes out")
    if kind == "docker" and attributes.get("compression", "uncompressed") != "uncompressed":
        raise UsageError("--output type=docker: layers of this archive are plain", hint="use type=oci")
    if kind == "image" and not {"compression", "force-compression"}.isdisjoint(attributes):
        raise UsageError(
            "--output type=image: the store keeps layers plain, and a push compresses them with gzip",
            hint="leave compression out, or use type=oci",
        )
    if kind == "local" and not attributes.get("dest"):
        raise UsageError("--output: dest is required for local output")
    _place(output)


def _truth(kind: str, name: str, text: str) -> str:
    if text.lower() not in ("true", "false", "1", "0"):
        raise UsageError(f"--output type={kind}: {name} is true or false, not {text!r}")
    return "true" if text.lower() in ("true", "1") else "false"


def _place(output: Output) -> None:
    """Where it goes can be written, as far as can be seen beforehand."""
    attributes = output.attributes
    folder = output.kind == "local" or attributes.get("tar") == "false"
    dest = attributes.get("dest", "")
    if output.kind in ("tar", "oci") and not dest and not folder:
        dest = attributes["dest"] = "-"
    if output.kind in ("image", "docker") and not dest:
        return
    if dest == "-":
        if folder:
            raise UsageError(f"--output type={output.kind}: a folder cannot go to standard output")
        if sys.stdout is None or sys.stdout.isatty():
            raise UsageError(f"dest file is required for {output.kind} exporter. refusing to write to console")
        return
    if not dest:
        raise UsageError(f"--output type={output.kind}: a folder is needed", hint="name it with dest=")
    if folder:
        if os.path.lexists(dest) and not os.path.isdir(dest):
            raise UsageError(f"--output type={output.kind}: {dest} is no folder")
        return
    check_writable("output", dest)


def cache(flag: str, text: str) -> dict[str, str]:
    """One --cache-from or --cache-to as its attributes, "type" among them; a lone name is a registry's."""
    alone = fields(flag, text) == [text] and "=" not in text
    found = {"type": "registry", "ref": text} if alone else dict(pairs(flag, text))
    kinds = _CACHES[flag]
    kind = found.get("type", "")
    if not kind:
        raise UsageError(f'--{flag}: type required form> "{text}"')
    if kind not in kinds:
        raise UsageError(f'--{flag}: pod has no cache of type "{kind}"', hint=f"there are {', '.join(kinds)}")
    needed = kinds[kind]
    if needed and not found.get(needed):
        raise UsageError(f"--{flag} type={kind}: {needed} is required")
    _check_cache(flag, found)
    if kind == "registry":
        try:
            references.parse(found["ref"])
        except InvalidReference as error:
            raise UsageError(f"--{flag}: {error.message}", hint=error.hint) from None
    return found


def _check_cache(flag: str, found: dict[str, str]) -> None:
    """What the attributes say besides the place."""
    kind = found["type"]
    for name, value in found.items():
        known = sorted(_OF_CACHES[flag][kind])
        if name != "type" and name not in known:
            raise UsageError(f'--{flag} type={kind}: "{name}" means nothing here', hint=f"there are {', '.join(known)}")
        if _ONLY.get(name, value) != value:
            raise UsageError(f"--{flag} type={kind}: {name} is {_ONLY[name]} here, not {value!r}", hint="leave it out")
    if found.get("mode", "min") not in ("min", "max"):
        raise UsageError(f"--{flag}: invalid mode {found['mode']!r}", hint="min or max")
    if found.get("ignore-error", "false") not in ("true", "false"):
        raise UsageError(f"--{flag}: ignore-error is true or false, not {found['ignore-error']!r}")


def check_writable(flag: str, path: str) -> None:
    """UsageError where no file can be written at ``path`` ("": there is nothing to write)."""
    if not path:
        return
    from pod.core.image.archive_write import check_output

    try:
        check_output(path)
    except PodError as error:
        raise UsageError(f"--{flag}: {error.message}", hint=error.hint) from None
    if os.path.isdir(path):
        raise UsageError(f"--{flag}: {path} is a directory", hint="name a file")
