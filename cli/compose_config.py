"""``pod compose config``: the files as they are understood; docker/compose: cmd/compose/config.go."""

from __future__ import annotations

from pod.cli import compose_project, output
from pod.cli.options import Command
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.compose.project import Project
    from pod.core.engine import Engine

COMMAND = Command(
    "config",
    "[OPTIONS] [SERVICE...]",
    "Parse, resolve and render compose file in canonical format",
    (
        compose_project.DRY_RUN,
        ("environment", "", "bool", "Print environment used for interpolation"),
        ("format", "", "string", "Format the output. Values: [yaml | json]"),
        ("hash", "", "string", "Print the service config hash, one per line"),
        ("images", "", "bool", "Print the image names, one per line"),
        ("lock-image-digests", "", "bool", "Produces an override file with image digests"),
        ("models", "", "bool", "Print the model names, one per line"),
        ("networks", "", "bool", "Print the network names, one per line"),
        ("no-consistency", "", "bool", "Don't check model consistency: may produce invalid Compose output"),
        ("no-env-resolution", "", "bool", "Don't resolve service env files"),
        ("no-interpolate", "", "bool", "Don't interpolate environment variables"),
        ("no-normalize", "", "bool", "Don't normalize compose model"),
        ("no-path-resolution", "", "bool", "Don't resolve file paths"),
        ("output", "o", "string", "Save to file (default to stdout)"),
        ("profiles", "", "bool", "Print the profile names, one per line"),
        ("quiet", "q", "bool", "Only validate the configuration, don't print anything"),
        ("resolve-image-digests", "", "bool", "Pin image tags to digests"),
        ("services", "", "bool", "Print the service names, one per line"),
        ("variables", "", "bool", "Print model variables and default values"),
        ("volumes", "", "bool", "Print the volume names, one per line"),
    ),
    path="pod compose config",
)


def main(engine: Engine, options: Options) -> int:
    if options["format"] not in ("", "yaml", "json"):
        raise UsageError(f'unsupported format "{options["format"]}"', hint="yaml or json")
    if options["models"]:
        raise UsageError("--models: there are no models in the specification that pod reads", hint="leave it out")
    if options["variables"]:
        return _variables(engine, options)
    if options["no-interpolate"] and not _asks_for_names(options):
        return _model(engine, options)
    project = _load(engine, options)
    names = _names(project, options)
    if names is not None:
        _write(options, "".join(f"{name}\n" for name in names))
        return 0
    if options["resolve-image-digests"] or options["lock-image-digests"]:
        _pin(engine, project)
    if options["quiet"]:
        return 0
    if options["lock-image-digests"]:
        pinned = {name: {"image": one["image"]} for name, one in project.services.items() if one.get("image")}
        _document(options, {"services": pinned}, {"services": pinned})
    else:
        _document(options, project.document(), project.shown())
    return 0


def _load(engine: Engine, options: Options) -> Project:
    from pod.core.compose import load, selecting

    request = compose_project.request(
        engine, options, options.args,
        interpolate=not options["no-interpolate"], normalize=not options["no-normalize"],
        resolve_paths=not options["no-path-resolution"],
        resolve_env=not options["no-env-resolution"] and not _asks_for_names(options, but="hash"),
        consistency=not options["no-consistency"] and not options["no-interpolate"],
    )  # fmt: skip
    project = load.load(request)
    _warn(project)
    return selecting.select(project, options.args)


def _warn(project: Project) -> None:
    for text in project.warnings:
        output.warning(text)


def _asks_for_names(options: Options, but: str = "") -> bool:
    asked = ("services", "volumes", "networks", "images", "profiles", "environment", "hash")
    return any(options[name] for name in asked if name != but)


def _names(project: Project, options: Options) -> list[str] | None:
    """What is printed one a line, if that is asked for: services before the rest, as in Docker."""
    if options["services"]:
        return sorted(project.services)
    if options["volumes"]:
        return sorted(project.used("volumes"))
    if options["networks"]:
        return sorted(project.used("networks"))
    if options["hash"]:
        return _hashes(project, options["hash"])
    if options["profiles"]:
        everything = {**project.services, **project.disabled}
        return sorted({profile for one in everything.values() for profile in one.get("profiles", ())})
    if options["images"]:
        return [service.get("image") or f"{project.name}-{name}" for name, service in sorted(project.services.items())]
    if options["environment"]:
        return [f"{name}={value}" for name, value in sorted(project.environment.items())]
    return None


def _hashes(project: Project, wanted: str) -> list[str]:
    from pod.core.compose.hashing import service_hash

    names = sorted(project.services) if wanted == "*" else wanted.split(",")
    for name in names:
        if name not in project.services:
            raise PodError(f"no such service: {name}", hint=f"there are {', '.join(sorted(project.services))}")
    return [f"{name} {service_hash(project, name)}" for name in sorted(names)]


def _variables(engine: Engine, options: Options) -> int:
    """The table of what the files ask the environment for."""
    from pod.core.compose import interpolating, load

    _, model = load.load_model(compose_project.request(engine, options, interpolate=False))
    found = interpolating.found_variables(model)
    if options["format"] == "json":
        import json

        keys = ("name", "required", "defaultvalue", "presencevalue")
        _write(options, json.dumps({one[0]: dict(zip(keys, one)) for one in found}, indent=4) + "\n")
        return 0
    rows = [(name, "true" if required else "false", default, other) for name, required, default, other in found]
    output.table(("NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"), rows)
    return 0


def _model(engine: Engine, options: Options) -> int:
    """The document with its variables in it, so without types that could not hold them."""
    from pod.core.compose import load
    from pod.core.compose.encoding import in_order

    request = compose_project.request(
        engine, options, interpolate=False, normalize=not options["no-normalize"],
        resolve_paths=not options["no-path-resolution"],
    )  # fmt: skip
    project, model = load.load_model(request)
    _warn(project)
    if options["resolve-image-digests"] or options["lock-image-digests"]:
        raise UsageError("images with variables in their names have no digests", hint="leave out --no-interpolate")
    if not options["quiet"]:
        document = in_order(model)
        _document(options, document, document, escape=False)
    return 0


def _pin(engine: Engine, project: Project) -> None:
    """Images by the digests that their registries have for these names now."""
    from pod.core.compose import pinning

    pinning.pin(engine, project)


def _document(options: Options, plain: dict[str, Any], shown: dict[str, Any], *, escape: bool = True) -> None:
    """A dollar sign is doubled: what is printed may be read as a compose file again."""
    if options["format"] == "json":
        import json

        text = json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
        text = text.encode("utf-8", "backslashreplace").decode()  # bytes that are no UTF-8, as JSON can say them
    else:
        from pod.core.compose import writing

        text = writing.dump(shown)
    _write(options, text.replace("$", "$$") if escape else text)


def _write(options: Options, text: str) -> None:
    if options["quiet"]:
        return
    if not options["output"]:
        output.write(text)
        return
    try:
        with open(options["output"], "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        raise PodError(f"cannot write {options['output']}: {error.strerror}") from None
