"""Instructions: forms told apart, flags, arguments counted, Docker's messages."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.builder import dockerfile, instructions
from pod.core.errors import BuildFailed

SECOND = 1_000_000_000


def one(text: str) -> Any:
    return instructions.of(dockerfile.parse(text.encode()).instructions[0])


def fields(operation: Any, *names: str) -> list[Any]:
    return [getattr(operation, name) for name in names]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a", ["a", "", ""]),
        ("FROM --platform=linux/arm64 a:1 As Name-1.x", ["a:1", "linux/arm64", "name-1.x"]),
        ("FROM $A", ["$A", "", ""]),
    ],
)
def test_from_when_read_then_image_platform_and_name(text: str, expected: list[str]) -> None:
    assert fields(one(text), "image", "platform", "name") == expected


@pytest.mark.parametrize(
    ("text", "shell", "argv", "script"),
    [
        ("RUN a  'b c'", True, [], "a  'b c'"),
        ('RUN ["a", "b c"]', False, ["a", "b c"], ""),
        ("RUN ['a']", True, [], "['a']"),
        ("RUN <<E\na\nb\nE", True, [], "a\nb\n"),
        ("RUN <<-E\n\ta\n\tE", True, [], "a\n"),
        ("RUN << E\na\nE", True, [], "a\n"),
        ("RUN <<E cat >x\na\nE", True, [], "<<E cat >x\na\nE"),
        ("RUN cat <<A <<B\na\nA\nb\nB", True, [], "cat <<A <<B\na\nA\nb\nB"),
        ("RUN <<E\n#!/bin/x\na\nE", False, ["/dev/pipes/E"], ""),
    ],
)
def test_run_when_of_each_form_then_a_script_or_words(text: str, shell: bool, argv: list[str], script: str) -> None:
    assert fields(one(text), "shell", "argv", "script") == [shell, argv, script]


def test_run_when_a_heredoc_names_its_program_then_that_is_a_file() -> None:
    program = one("RUN <<-E\n#!/bin/x\n\ta\nE").program
    assert (program.name, program.text) == ("E", "#!/bin/x\na\n")


def test_run_when_flags_are_told_then_kept() -> None:
    operation = one("RUN --mount=type=cache,target=/c --mount=target=/b --network=none --security=sandbox x")
    assert [mount.kind for mount in operation.mounts] == ["cache", "bind"]
    assert fields(operation, "network", "security") == ["none", "sandbox"]


@pytest.mark.parametrize(
    ("fields_text", "expected"),
    [
        ("target=/t", {"kind": "bind", "readonly": True, "source": "", "origin": ""}),
        ("type=bind,from=x,src=/s,dst=/t,rw", {"origin": "x", "source": "/s", "readonly": False}),
        ("type=cache,target=/t", {"readonly": False, "sharing": "shared", "id": ""}),
        ("type=CACHE,id=i,destination=/t,sharing=Locked,mode=0750,uid=1,gid=2,ro",
         {"id": "i", "sharing": "locked", "mode": 0o750, "uid": 1, "gid": 2, "readonly": True}),
        ("type=tmpfs,target=/t,size=64m", {"size": 64 << 20, "readonly": False}),
        ("type=tmpfs,target=/t,size=1.5GiB", {"size": 3 << 29}),
        ("type=secret,id=k", {"id": "k", "target": "/run/secrets/k", "required": False, "mode": None}),
        ("required,type=secret,src=k,target=/x", {"id": "k", "target": "/x", "required": True, "source": ""}),
        ("type=secret,target=/a/k", {"id": "k", "target": "/a/k"}),
        ("type=secret,id=k,env=K", {"env": "K", "target": ""}),
        ("type=ssh,required=true,mode=0666", {"id": "default", "required": True, "mode": 0o666, "target": ""}),
        ("readwrite=false,target=/t", {"readonly": True}),
        ('type=bind,\\"source=a,b\\",target=/t', {"source": "a,b"}),
        ("type=cache,target=$HOME/x", {"pending": True}),
    ],
)  # fmt: skip
def test_mount_when_read_then_its_fields_and_what_is_meant(fields_text: str, expected: dict[str, Any]) -> None:
    mount = one(f"RUN --mount={fields_text} x").mounts[0]
    assert {name: getattr(mount, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=x,target=/t", 'unsupported mount type "x"'),
        ("type=cahce,target=/t", 'unsupported mount type "cahce" (did you mean cache?)'),
        ("type=bind", "target required for bind mount"),
        ("target=/", 'invalid mount target "/"'),
        ("targte=/t", "unexpected key 'targte' in 'targte=/t' (did you mean target?)"),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("target=/t,mode=755", 'mode not allowed for "bind" type mounts'),
        ("type=cache,target=/t,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/t,uid=-1", "invalid value -1 for uid"),
        ("type=cache,target=/t,uid=4294967296", "invalid value 4294967296 for uid"),
        ("type=cache,target=/t,sharing=x", 'unsupported sharing value "x"'),
        ("type=bind,target=/t,sharing=shared", "invalid cache sharing set for bind mount"),
        ("type=bind,target=/t,required", "unexpected key 'required' for mount type 'bind'"),
        ("type=cache,target=/t,size=1", "unexpected key 'size' for mount type 'cache'"),
        ("type=tmpfs,target=/t,size=x", "invalid value for size: x"),
        ("type=bind,target=/t,ro=maybe", "invalid value for ro: maybe"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,src=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("target=/t,from=$X", "'from' doesn't support variable expansion, define alias stage instead"),
    ],
)
def test_mount_when_it_is_none_then_says_why(text: str, message: str) -> None:
    with pytest.raises(BuildFailed) as caught:
        one(f"RUN --mount={text} x")
    assert caught.value.message == f"dockerfile parse error on line 1: {message}"


def test_copy_when_every_flag_is_told_then_kept() -> None:
    operation = one("COPY --from=x --chown=1:2 --chmod=755 --link --parents=true --exclude=a --exclude=b s1 s2 d/")
    assert fields(operation, "from_", "chown", "chmod", "link", "parents", "exclude", "sources", "target") == [
        "x", "1:2", "755", True, True, ["a", "b"], ["s1", "s2"], "d/",
    ]  # fmt: skip
    assert one('COPY ["a b", "<<c", "/d e"]').sources == ["a b", "<<c"]


def test_copy_when_heredocs_are_sources_then_files_of_that_name() -> None:
    operation = one("COPY a <<-'B' <<C /d/\n\tx$y\n\tB\nz\nC")
    assert operation.sources == ["a"]
    assert [(doc.name, doc.text, doc.expand) for doc in operation.inline] == [("B", "x$y\n", False), ("C", "z\n", True)]


def test_add_when_every_flag_is_told_then_kept() -> None:
    operation = one("ADD --checksum=sha256:x --keep-git-dir --unpack=false --link=false https://a/b /c")
    assert fields(operation, "checksum", "keep_git_dir", "unpack", "link") == ["sha256:x", True, False, False]
    assert one("ADD a /b").unpack is None


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV a=b", [("a", "b")]),
        ("ENV a=b c='d e' \"f g\"=h i=j\\ k", [("a", "b"), ("c", "'d e'"), ('"f g"', "h"), ("i", "j\\ k")]),
        ("ENV a b  c=d", [("a", "b  c=d")]),
        ("ENV a=", [("a", "")]),
        ("ENV a=b=c", [("a", "b=c")]),
        ("LABEL a.b=c", [("a.b", "c")]),
        ("ARG a b=c d=", [("a", None), ("b", "c"), ("d", "")]),
        ("# escape=`\nENV a=b` c d=e\\", [("a", "b` c"), ("d", "e\\")]),
    ],
)
def test_pairs_when_of_each_form_then_split_and_not_unquoted(text: str, pairs: list[tuple[str, str]]) -> None:
    assert one(text).pairs == pairs


@pytest.mark.parametrize(
    ("text", "argv", "shell"),
    [
        ("CMD a b", ["a b"], True),
        ('CMD ["a", "b"]', ["a", "b"], False),
        ("CMD []", [], False),
        ("ENTRYPOINT []", [], False),
        ('ENTRYPOINT ["a"', ['["a"'], True),
    ],
)
def test_command_when_of_each_form_then_words(text: str, argv: list[str], shell: bool) -> None:
    assert fields(one(text), "argv", "shell") == [argv, shell]


def test_healthcheck_when_flags_are_told_then_in_nanoseconds() -> None:
    operation = one(
        "HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=0 --start-interval=1ms --retries=3 CMD x y"
    )
    assert fields(operation, "interval", "timeout", "start_period", "start_interval", "retries", "test") == [
        90 * SECOND, 3 * SECOND // 2, 0, 1_000_000, 3, ["CMD-SHELL", "x y"],
    ]  # fmt: skip
    assert one('HEALTHCHECK cmd ["x", "y"]').test == ["CMD", "x", "y"]
    assert one("HEALTHCHECK none").test == ["NONE"]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("EXPOSE 80 $P/tcp 1-2", "ports", ["$P/tcp", "1-2", "80"]),
        ("VOLUME /a /b", "paths", ["/a", "/b"]),
        ('VOLUME ["/a b"]', "paths", ["/a b"]),
        ("USER a b", "text", "a b"),
        ("WORKDIR /a b", "text", "/a b"),
        ("STOPSIGNAL $S", "text", "$S"),
        ("MAINTAINER a <b@c>", "text", "a <b@c>"),
        ('SHELL ["a", "-c"]', "argv", ["a", "-c"]),
        ("ONBUILD  RUN a \\\n b", "text", "RUN a  b"),
        ("onbuild COPY <<A /b\nx\nA", "text", "COPY <<A /b\nx\nA"),
    ],
)
def test_others_when_read_then_their_arguments(text: str, name: str, expected: Any) -> None:
    assert getattr(one(text), name) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("QUUX a", "unknown instruction: QUUX"),
        ("frmo a", "unknown instruction: frmo (did you mean from?)"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS", "FROM requires either one or three arguments"),
        ("FROM a AS 1x", 'invalid name for build stage: "1x", name can\'t start with a number or contain symbols'),
        ("FROM --platfrom=x a", "unknown flag: --platfrom (did you mean platform?)"),
        ("RUN", "RUN requires at least one argument"),
        ("RUN []", "RUN requires at least one argument"),
        ("RUN --network=x a", 'network mode "x" is not supported'),
        ("RUN --security=x a", 'security "x" is not valid'),
        ("RUN <<A\n\0\nA", "a NUL byte"),
        ("RUN --network=none --network=none a", "duplicate flag specified: --network"),
        (
            "COPY a",
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("ADD", "ADD requires at least two arguments, but only one was provided. Destination could not be determined"),
        ("COPY a <<B\nB", "COPY cannot accept a heredoc as a destination"),
        ("COPY <<../x /y\n../x", 'invalid name of a file: "../x"'),
        ("COPY <<'/etc/x' /y\n/etc/x", 'invalid name of a file: "/etc/x"'),
        ("ADD <<.. /y\n..", 'invalid name of a file: ".."'),
        (f"COPY <<{'n' * 256} /y\n{'n' * 256}", f'invalid name of a file: "{"n" * 200}"'),
        ("RUN <<../x\n#!/bin/sh\n../x", 'invalid name of a file: "../x"'),
        ("ONBUILD COPY <<../x /y\n../x", 'invalid name of a file: "../x"'),
        ("COPY --chown a b", "missing a value on flag: --chown"),
        ("COPY --link= a b", "missing a value on flag: --link"),
        ("COPY --link=x a b", "expecting boolean value for flag --link, not: x"),
        ("COPY --checksum=x a b", "unknown flag: --checksum"),
        ("ADD --from=x a b", "unknown flag: --from"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        ("ENV =b", "ENV names can not be blank"),
        ("ENV --x a=b", "unknown flag: --x"),
        ("LABEL a", "LABEL must have two arguments"),
        ("ARG", "ARG requires at least one argument"),
        ("ARG =x", "ARG names can not be blank"),
        ("CMD", "CMD requires at least one argument"),
        ("CMD --x", "unknown flag: --x"),
        ("SHELL a", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK x", 'Unknown type "X" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --interval=5 CMD x", '--interval: time: invalid duration "5"'),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD from a", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD MAINTAINER a", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("ONBUILD QUUX", "unknown instruction: QUUX"),
        ("ONBUILD ENV a", "ENV must have two arguments"),
    ],
)
def test_instruction_when_it_is_wrong_then_dockers_words(text: str, message: str) -> None:
    with pytest.raises(BuildFailed) as caught:
        one(text)
    assert caught.value.message == f"dockerfile parse error on line 1: {message}"


def test_triggers_when_an_image_has_some_then_read_as_instructions() -> None:
    found = instructions.triggers(["RUN a", "COPY <<A /b\nx\nA", "ENV a=b"])
    assert [operation.keyword for operation, _ in found] == ["RUN", "COPY", "ENV"]
    assert found[1][1].heredocs[0].content == "x\n"


@pytest.mark.parametrize("text", ["FROM a", "ONBUILD RUN a", "RUN a\nRUN b", "", "FOO", "RUN <<A"])
def test_triggers_when_one_is_not_allowed_then_refused(text: str) -> None:
    with pytest.raises(BuildFailed):
        instructions.triggers([text])
