"""The flags of ``build`` as Wishes: every one is honoured, checked and passed on, or refused with the reason.

Messages are those of docker/buildx (build/opt.go, util/buildflags) where it has them.
"""

from __future__ import annotations

import os

from pod.cli import build_outputs, run_values
from pod.core import moments
from pod.core.builder.wishes import PREDEFINED, Wishes
from pod.core.errors import InvalidReference, UsageError
from pod.core.oci import platform as platforms
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine
    from pod.core.oci.reference import Reference

MAX_SECRET = 500 << 10
"""Bytes of a secret, as in BuildKit."""
_NETWORKS = ("default", "none", "host")


def wishes(engine: Engine, options: Options) -> Wishes:
    """All flags in checked form. UsageError names the flag at fault."""
    refuse(engine, options)
    found = Wishes(options.args[0])
    found.file, found.target = options["file"], options["target"]
    if found.file == "-" and found.context == "-":
        raise UsageError("invalid argument: can't use stdin for both build context and dockerfile")
    found.tags = tags(options["tag"])
    found.build_args = build_args(options["build-arg"], engine.environ)
    epoch = found.build_args.get("SOURCE_DATE_EPOCH")
    if epoch is not None:
        engine.environ["SOURCE_DATE_EPOCH"] = epoch
    moments.source_date_epoch(engine.environ)  # a bad one is said before anything is done
    found.labels = run_values.labels([], options["label"])
    found.annotations = manifest_annotations(options["annotation"])
    found.no_cache, found.pull = options["no-cache"], options["pull"]
    found.no_cache_filter = [name for text in options["no-cache-filter"] for name in text.split(",") if name]
    found.platform = platform(options["platform"])
    found.network = network(options["network"])
    found.add_hosts = run_values.extra_hosts(options["add-host"], found.network)
    found.shm_size = options["shm-size"]
    found.ulimits = run_values.ulimits(options["ulimit"])
    found.limits = _limits(engine, options)
    found.secrets = secrets(options["secret"], engine.environ)
    found.ssh = ssh(options["ssh"], engine.environ)
    found.build_contexts = build_contexts(options["build-context"])
    found.outputs = build_outputs.outputs(options, found.tags)
    found.squash, found.quiet = options["squash"], options["quiet"]
    found.cache_from = [build_outputs.cache("cache-from", text) for text in options["cache-from"]]
    found.cache_to = [build_outputs.cache("cache-to", text) for text in options["cache-to"]]
    return found


# ---- what is not done, or means nothing


def refuse(engine: Engine, options: Options) -> None:
    """UsageError for what nothing would carry out; a warning for what others might expect something of."""
    if options["isolation"] not in ("", "default"):
        raise UsageError(f"--isolation: invalid isolation: {options['isolation']}", hint="Linux has 'default'")
    if options["builder"] not in ("", "default"):
        raise UsageError(f'no builder "{options["builder"]}" found', hint="pod builds by itself: leave --builder out")
    if options["security-opt"]:
        raise UsageError(
            "--security-opt: RUN has the walls of every container, and no build may lower them",
            hint="leave it out; pod run takes --security-opt, and pod commit makes an image of the result",
        )
    for name in options["allow"]:
        if name != "network.host":
            raise UsageError(f"--allow {name}: a build has no rights but its caller's", hint="leave it out")
    _attestations(options)
    if not options["rm"]:
        engine.progress("warning", {"text": "--rm=false: there is nothing to keep, steps leave no containers"})


def _attestations(options: Options) -> None:
    """Refused, unless they are switched off."""
    for name in ("provenance", "sbom"):
        if options[name] not in ("", "false", "0", "mode=none", "disabled=true"):
            raise _no_attestation(f"--{name}")
    for text in options["attest"]:
        if "disabled=true" not in build_outputs.fields("attest", text):
            raise _no_attestation("--attest")


def _no_attestation(flag: str) -> UsageError:
    return UsageError(f"{flag}: pod writes no attestations", hint="leave it out; syft and cosign make them of an image")


# ---- one flag each


def _limits(engine: Engine, options: Options) -> dict[str, Any]:
    """Limits of each RUN, as of a container; what nothing enforces is told once."""
    from pod.cli import run_limits

    found = run_limits.members_of_run(options)
    if found:
        from pod.core.runtime import limits

        for sentence in limits.decide(found, "00000000", os.uname().release).lacking:
            engine.progress("warning", {"text": sentence})
    return found


def tags(given: list[str]) -> list[Reference]:
    """-t: names, with the tag "latest" where there is none; each once."""
    found: list[Reference] = []
    for text in given:
        try:
            one = references.parse(text).with_default_tag()
        except InvalidReference as error:
            said = error.message.removesuffix(f": {text}")
            raise UsageError(f'invalid argument "{text}" for "-t, --tag" flag: {said}', hint=error.hint) from None
        if one.digest:
            raise UsageError(f'invalid argument "{text}" for "-t, --tag" flag: a digest is no name for what is built')
        if one not in found:
            found.append(one)
    return found


def build_args(given: list[str], environ: Mapping[str, str]) -> dict[str, str | None]:
    """--build-arg NAME=VALUE; a bare NAME takes the caller's value, and is left out where there is none. The caller's
    proxies are given too.
    """
    found: dict[str, str | None] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f'invalid argument "{text}" for "--build-arg" flag: a name is needed')
        if equals:
            found[name] = value
        elif name in environ:
            found[name] = environ[name]
    for name in PREDEFINED:
        if name not in found and environ.get(name):
            found[name] = environ[name]  # as Docker's client does with the proxies of its config.json
    return found


def manifest_annotations(given: list[str]) -> dict[str, str]:
    """--annotation [manifest:]KEY=VALUE, of the image's manifest."""
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        kind, colon, rest = key.partition(":")
        if not equals or not key:
            raise UsageError(f'invalid annotation "{text}", expected key=value')
        if colon and kind.partition("[")[0] in ("manifest", "index", "manifest-descriptor", "index-descriptor"):
            if kind != "manifest":
                raise UsageError(
                    f'annotation "{text}": {kind} annotations are not supported for an image of one platform',
                    hint="leave the prefix out: the manifest gets it",
                )
            key = rest
        if not key or any(char.isspace() for char in key):
            raise UsageError(f'invalid annotation "{text}", expected key=value')
        found[key] = value
    return found


def platform(given: list[str]) -> str:
    """--platform: one."""
    words = [word for text in given for word in text.split(",") if word]
    if len(set(words)) > 1:
        raise UsageError(
            "--platform: one at a time",
            hint="build each with its own tag; pod manifest create and push put them together",
        )
    if words:
        platforms.parse(words[0])
    return words[0] if words else ""


def network(text: str) -> str:
    if text not in ("", *_NETWORKS):
        raise UsageError(f'network mode "{text}" not supported by builds', hint="use default, none or host")
    return text or "default"


def secrets(given: list[str], environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """--secret to id: ("file", absolute path) or ("env", variable), each there and small enough."""
    found = {}
    for text in given:
        name, kind, value = _secret(text, environ)
        if kind == "env":
            if value not in environ:
                raise UsageError(f'--secret {name}: the environment has no variable "{value}"')
            size = len(environ[value].encode("utf-8", "surrogateescape"))
        else:
            value = os.path.abspath(value)
            size = _size("--secret", value)
        if size > MAX_SECRET:
            raise UsageError(f"secret {name} too big. max size 500KB")
        found[name] = (kind, value)
    return found


def _secret(text: str, environ: Mapping[str, str]) -> tuple[str, str, str]:
    fields = {}
    for key, value in build_outputs.pairs("secret", text):
        key = "source" if key == "src" else key
        if key not in ("type", "id", "source", "env"):
            raise UsageError(f"--secret: unexpected key '{key}' in '{text}'")
        fields[key] = value
    kind, name = fields.get("type", ""), fields.get("id", "")
    if kind not in ("", "file", "env"):
        raise UsageError(f'--secret: unsupported secret type "{kind}"', hint="file or env")
    if not name:
        raise UsageError("--secret: secret missing ID", hint="the form is id=NAME,src=FILE or id=NAME,env=VARIABLE")
    source, variable = fields.get("source", ""), fields.get("env", "")
    if kind == "env":
        return name, "env", variable or source or name
    if variable:
        return name, "env", variable
    if source or kind == "file" or name not in environ:
        return name, "file", source or name
    return name, "env", name


def _size(flag: str, path: str) -> int:
    try:
        found = os.stat(path)
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        raise UsageError(f"{flag}: {path}: {(error.strerror or 'failed').lower()}") from None
    import stat

    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{flag}: {path} is no regular file")
    return found.st_size


def ssh(given: list[str], environ: Mapping[str, str]) -> dict[str, list[str]]:
    """--ssh to id: the path of a socket, or none for the agent of SSH_AUTH_SOCK, which is there then."""
    import stat

    found: dict[str, list[str]] = {}
    for text in given:
        name, _, rest = text.partition("=")
        paths = [os.path.abspath(path) for path in rest.split(",") if path]
        for path in paths:
            if not os.access(path, os.R_OK):
                raise UsageError(f"--ssh {name}: {path} cannot be read")
            if not stat.S_ISSOCK(os.stat(path).st_mode):
                raise UsageError(
                    f"--ssh {name}: {path} is no socket of an agent: keys are not read here",
                    hint=f"ssh-add {path} gives a key to your agent, then --ssh {name or 'default'}",
                )
        if len(paths) > 1:
            raise UsageError(f"--ssh {name}: one socket, not {len(paths)}", hint="give each an id of its own")
        if not paths and not environ.get("SSH_AUTH_SOCK"):
            raise UsageError(
                "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set",
                hint='start an agent (eval "$(ssh-agent)"; ssh-add), or name its socket: --ssh default=PATH',
            )
        found[name or "default"] = paths
    return found


def build_contexts(given: list[str]) -> dict[str, str]:
    """--build-context NAME=VALUE; NAME as references are compared: "alpine" for "docker.io/library/alpine:latest"."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"invalid context value: {text}, expected key=value")
        try:
            named = references.parse(name).with_default_tag()
        except InvalidReference as error:
            raise UsageError(f"invalid context name {name}: {error.message}") from None
        found[named.familiar().removesuffix(":latest")] = value
    return found
