"""Where variables are replaced, and which a stage has as its steps go by."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.builder import dockerfile, expanding, instructions, scopes, stages, words
from pod.core.errors import PodError
from pod.core.oci import platform

HAVE = {"A": "one", "B": "two words", "E": "", "P": "80", "M": "755", "U": "user", "Q": "1 2"}


def done(text: str, escape: str = "\\") -> Any:
    operation = instructions.of(dockerfile.parse(text.encode()).instructions[0])
    return expanding.expanded(operation, HAVE.get, escape)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("COPY --from=$A $A $B x/$A", "sources", ["one", "two words"]),
        ("COPY --from=$A $A x/$A", "target", "x/one"),
        ("COPY --from=$A a b", "from_", "$A"),
        ("COPY --chown=$U:$U a b", "chown", "user:user"),
        ("COPY --chmod=$M a b", "chmod", "755"),
        ("COPY --chmod=u=rwX,go-w a b", "chmod", "u=rwX,go-w"),
        ("COPY --exclude=*.$A a b", "exclude", ["*.one"]),
        ("ADD --checksum=sha256:${X:-" + "0" * 64 + "} a b", "checksum", "sha256:" + "0" * 64),
        ("ENV $A=$B b=\"$A\" c='$A' d=\\$A", "pairs", [("one", "two words"), ("b", "one"), ("c", "$A"), ("d", "$A")]),
        ("ENV x $A  'y'", "pairs", [("x", "one  y")]),
        ("LABEL a.$A=$B", "pairs", [("a.one", "two words")]),
        ("ARG x=$A y", "pairs", [("x", "one"), ("y", None)]),
        ("EXPOSE $P $P/udp 100-102 8080:81/TCP", "ports",
         ["80/tcp", "80/udp", "100/tcp", "101/tcp", "102/tcp", "81/tcp"]),
        ("EXPOSE $Q", "ports", ["1/tcp", "2/tcp"]),
        ("VOLUME $A /b", "paths", ["one", "/b"]),
        ("USER $U", "text", "user"),
        ("WORKDIR /$A/\"$B\"", "text", "/one/two words"),
        ("STOPSIGNAL SIG${X:-HUP}", "text", "SIGHUP"),
        ("CMD $A", "argv", ["$A"]),
        ("RUN $A", "script", "$A"),
        ('SHELL ["$A"]', "argv", ["$A"]),
        ("HEALTHCHECK CMD $A", "test", ["CMD-SHELL", "$A"]),
        ("ONBUILD ENV a=$A", "text", "ENV a=$A"),
    ],
)  # fmt: skip
def test_expanded_when_docker_does_it_then_there_alone(text: str, name: str, expected: Any) -> None:
    if name == "ports":
        assert sorted(getattr(done(text), name)) == sorted(expected)
        return
    assert getattr(done(text), name) == expected


def test_heredoc_when_its_name_is_plain_then_variables_are_replaced_and_quotes_stay() -> None:
    operation = done("COPY <<A <<'B' <<-C /\n$A '$B' \"x\" \\$A\nA\n$A\nB\n\t$A\nC")
    assert [doc.text for doc in operation.inline] == ["one 'two words' \"x\" $A\n", "$A\n", "one\n"]


def test_mounts_when_their_values_have_variables_then_read_again() -> None:
    operation = done("RUN --mount=type=cache,target=/$A,id=$U,uid=${X:-3} --mount=target=/x y")
    assert [(mount.target, mount.id, mount.uid) for mount in operation.mounts] == [
        ("/one", "user", 3),
        ("/x", "", None),
    ]
    with pytest.raises(ValueError, match="target required for cache mount"):
        done("RUN --mount=type=cache,target=$E y")


def test_expanded_when_done_then_the_original_stays() -> None:
    operation = instructions.of(dockerfile.parse(b"ENV a=$A").instructions[0])
    expanding.expanded(operation, HAVE.get)
    assert expanding.texts(operation) == ["a", "$A"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("COPY --chmod=999 a b", "invalid chmod parameter: '999'"),
        ("COPY --chmod=10000 a b", "invalid chmod parameter"),
        ("COPY --chmod=u+q a b", "invalid chmod parameter"),
        ("COPY a $E", "COPY needs a destination"),
        ("ADD --checksum=md5:x a b", "invalid checksum digest format"),
        ("ENV $E=x", "ENV names can not be blank"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("EXPOSE 80/icmp", "invalid proto: icmp"),
        ("EXPOSE 90-80", "invalid range format for containerPort: 90-80"),
        ("EXPOSE 65536", "invalid range format"),
        ("EXPOSE 1-60000", "more than 1000 ports"),
        ("VOLUME $E", "VOLUME specified can not be an empty string"),
        ("STOPSIGNAL x", "invalid signal: x"),
        ("WORKDIR ${A", "syntax error: missing '}'"),
    ],
)
def test_expanded_when_the_value_is_wrong_then_says_why(text: str, message: str) -> None:
    with pytest.raises((ValueError, PodError)) as caught:
        done(text)
    assert message in str(caught.value)


def run(text: str, build_args: dict[str, str | None], env: dict[str, str] | None = None) -> scopes.Scope:
    plan = stages.plan(
        dockerfile.parse(text.encode()), build_args=build_args, platform=platform.parse("linux/arm64"),
        build_platform=platform.parse("linux/amd64"),
    )  # fmt: skip
    scope = scopes.Scope(plan.meta_args, build_args, env)
    for index in plan.needed:
        scope = scope.child() if plan.stages[index].base_stage is not None else scope
        for operation, _ in plan.stages[index].operations:
            scope.step(operation)
    return scope


@pytest.mark.parametrize(
    ("text", "build_args", "args", "env"),
    [
        ("FROM a\nARG x\nARG y=1", {}, {"x": None, "y": "1"}, {}),
        ("FROM a\nARG x\nARG y=1", {"x": "2", "y": "3", "z": "4"}, {"x": "2", "y": "3"}, {}),
        ("ARG x=1\nARG y=2\nFROM a\nARG x\nARG y=3", {}, {"x": "1", "y": "3"}, {}),
        ("ARG x=1\nFROM a\nARG x", {"x": "5"}, {"x": "5"}, {}),
        ("ARG x=1\nFROM a\nENV y=$x", {}, {}, {"y": ""}),
        ("FROM a\nARG TARGETARCH\nARG BUILDARCH\nARG TARGETVARIANT", {},
         {"TARGETARCH": "arm64", "BUILDARCH": "amd64", "TARGETVARIANT": ""}, {}),
        ("FROM a\nARG TARGETARCH=x", {}, {"TARGETARCH": "x"}, {}),
        ("FROM a\nARG x=1 y=$x\nENV z=$y", {}, {"x": "1", "y": "1"}, {"z": "1"}),
        ("FROM a\nENV x=1\nARG x=2\nENV y=$x", {"x": "3"}, {"x": "3"}, {"x": "1", "y": "1"}),
        ("FROM a\nENV a=1 b=$a\nENV c=$a", {}, {}, {"a": "1", "b": "", "c": "1"}),
        ("FROM a AS one\nARG x=1\nENV e=2\nFROM one\nENV y=$x$e", {}, {"x": "1"}, {"e": "2", "y": "12"}),
        ("FROM a\nARG x=1\nARG x=2", {}, {"x": "2"}, {}),
        ("FROM a\nARG x='a b'", {}, {"x": "a b"}, {}),
    ],
)  # fmt: skip
def test_scope_when_steps_go_by_then_dockers_rules(
    text: str, build_args: dict[str, str | None], args: dict[str, Any], env: dict[str, str]
) -> None:
    scope = run(text, build_args)
    assert (scope.args, scope.env) == (args, env)


def test_scope_when_the_image_has_variables_then_they_go_before_args() -> None:
    scope = run("FROM a\nARG PATH=/x\nARG y=$PATH", {}, {"PATH": "/bin"})
    assert scope.lookup("PATH") == "/bin"
    assert scope.visible_args() == {"y": "/bin"}


def test_proxies_when_given_then_for_run_alone_unless_declared() -> None:
    given: dict[str, str | None] = {"HTTP_PROXY": "h", "no_proxy": "n", "x": "y"}
    scope = run("FROM a\nARG no_proxy", given)
    assert scope.proxies() == {"HTTP_PROXY": "h"}
    assert scope.visible_args() == {"no_proxy": "n"}
    assert scope.lookup("HTTP_PROXY") is None


def test_unused_when_no_arg_declares_a_name_then_named() -> None:
    given: dict[str, str | None] = dict.fromkeys(("a", "b", "c", "HTTP_PROXY", "BUILDKIT_X", "TARGETARCH"), "1")
    plan = stages.plan(dockerfile.parse(b"ARG a\nFROM x\nARG b"), build_args=given)
    assert scopes.unused(plan, given) == ["c"]


def test_env_when_it_doubles_each_time_then_bounded() -> None:
    scope = scopes.Scope({}, {})
    operation = instructions.of(dockerfile.parse(b"ENV A=x$A$A").instructions[0])
    while len(scope.env.get("A", "")) < words.MOST_TEXT // 2:
        scope.step(operation)
    with pytest.raises(words.BadWord, match="characters after expansion"):
        scope.step(operation)
