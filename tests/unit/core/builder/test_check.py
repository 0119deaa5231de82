"""Build checks: each rule with what breaks it and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.builder import check, dockerfile
from pod.core.errors import BuildFailed


def findings(text: str, **options: Any) -> list[tuple[str, int]]:
    found, failure = check.check(dockerfile.parse(text.encode()), **options)
    assert failure is None, failure
    return [(one.rule, one.line) for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('FROM scratch\nRUN x\nCMD ["a"]\n', []),
        ("FROM scratch\ncopy a /foo\nCOPY a /bar", [("ConsistentInstructionCasing", 2)]),
        ("from scratch\nCOPY a /foo\ncopy a /bar", [("ConsistentInstructionCasing", 2)]),
        ("From scratch AS x\nRUN x", [("ConsistentInstructionCasing", 1)]),
        ("from scratch as x\nrun x", []),
        ("FROM scratch AS Bad", [("StageNameCasing", 1)]),
        ("FROM scratch as ok", [("FromAsCasing", 1)]),
        ("from scratch AS ok", [("FromAsCasing", 1)]),
        ("FROM scratch AS x\nFROM scratch AS x", [("DuplicateStageName", 2)]),
        ("FROM scratch AS context\nFROM scratch AS scratch", [("ReservedStageName", 1), ("ReservedStageName", 2)]),
        ("FROM scratch\nCMD a b", [("JSONArgsRecommended", 2)]),
        ("FROM scratch\nENTRYPOINT a b", [("JSONArgsRecommended", 2)]),
        ('FROM scratch\nSHELL ["/bin/bash", "-c"]\nCMD a', []),
        ("FROM scratch\nMAINTAINER me", [("MaintainerDeprecated", 2)]),
        ("FROM scratch\nENV a b\nLABEL c d\nENV e=f", [("LegacyKeyValueFormat", 2), ("LegacyKeyValueFormat", 3)]),
        ('FROM scratch\nCMD ["a"]\nCMD ["b"]', [("MultipleInstructionsDisallowed", 2)]),
        ("FROM scratch\nHEALTHCHECK NONE\nHEALTHCHECK NONE", [("MultipleInstructionsDisallowed", 2)]),
        ('FROM scratch AS a\nCMD ["a"]\nFROM a\nCMD ["b"]', []),
        ("FROM scratch\nRUN a \\\n\n  b", [("NoEmptyContinuation", 4)]),
        ("FROM --platform=$TARGETPLATFORM a", [("RedundantTargetPlatform", 1)]),
        ("FROM --platform=$BUILDPLATFORM a", []),
        ("FROM --platform=linux/amd64 a", [("FromPlatformFlagConstDisallowed", 1)]),
        ("FROM --platform=linux/arm64 a AS build_arm64", []),
        ("FROM scratch\nARG API_KEY\nENV DB_PASSWORD=x token=y", [("SecretsUsedInArgOrEnv", n) for n in (2, 3, 3)]),
        ("FROM scratch\nARG PUBLIC_KEY\nENV PASSWORD_FILE=x MONKEY=1 KEYBOARD=de TOKEN_VERSION=1", []),
        ("ARG V=1\nFROM a:$W", [("InvalidDefaultArgInFrom", 2), ("UndefinedArgInFrom", 2)]),
        ("ARG V=1\nFROM a:${V}", []),
        ("FROM a:${W:-1}", []),
        ("FROM scratch\nWORKDIR app", [("WorkdirRelativePath", 2)]),
        ("FROM scratch\nWORKDIR /app\nWORKDIR sub", []),
        ("FROM scratch AS a\nWORKDIR /app\nFROM a\nWORKDIR sub", []),
        ("FROM scratch\nCOPY $src /", [("UndefinedVar", 2)]),
        ("FROM scratch\nARG a\nENV b=$a\nCOPY $a$b$PATH${c:-x} /", []),
        ("FROM scratch\nARG a=1 b=$a", []),
        ("FROM scratch\nRUN echo $x", []),
        ("ARG g=1\nFROM scratch\nENV x=$g", [("UndefinedVar", 3)]),
        ("FROM scratch AS a\nENV v=1\nFROM a\nENV x=$v", []),
        ("FROM scratch AS a\nONBUILD ENV v=1\nFROM a\nENV x=$v", []),
        ("FROM image\nENV x=$unknown", []),
        ("FROM image\nARG version\nENV x=$versoin", [("UndefinedVar", 3)]),
        ("FROM scratch\nEXPOSE 80/TCP 127.0.0.1:80:80 90", [("ExposeInvalidFormat", 2), ("ExposeProtoCasing", 2)]),
        ("# check=skip=all\nFROM scratch as X\nMAINTAINER x", []),
        ("# check=skip=StageNameCasing,MaintainerDeprecated\nFROM scratch as X\nMAINTAINER x", [("FromAsCasing", 2)]),
        ("FROM scratch AS unused\nENV x=$y\nFROM scratch\nRUN x", []),
    ],
)
def test_check_when_a_rule_is_broken_then_found_on_its_line(text: str, expected: list[tuple[str, int]]) -> None:
    if "FROM a:$W" in text:
        found, failure = check.check(dockerfile.parse(text.encode()))
        assert failure is not None
        assert "failed to parse stage name" in failure.message
        assert [(one.rule, one.line) for one in found] == expected
        return
    assert findings(text) == expected


def test_undefined_when_the_image_is_known_then_its_variables_count() -> None:
    text = "FROM image\nENV x=$LANG y=$OTHER"
    assert findings(text, environment=lambda _: {"LANG": "C"}) == [("UndefinedVar", 2)]


def test_build_args_when_given_then_defaults_are_judged_without_them() -> None:
    text = "ARG TAG\nFROM busybox:${TAG}"
    assert findings(text, build_args={"TAG": "1"}) == [("InvalidDefaultArgInFrom", 2)]


def test_ignored_file_when_asked_for_then_found() -> None:
    text = "# check=experimental=all\nFROM scratch\nCOPY secret.txt other.txt *.md /\nADD https://secret.txt /x"
    assert findings(text, excluded=lambda path: "secret" in path) == [("CopyIgnoredFile", 3)]
    assert not findings(text.partition("\n")[2], excluded=lambda path: True)


def test_finding_when_shown_then_as_docker_does() -> None:
    found, _ = check.check(dockerfile.parse(b"FROM scratch\nCMD a\n"))
    assert found[0].short == (
        "JSONArgsRecommended: JSON arguments recommended for CMD "
        "to prevent unintended behavior related to OS signals (line 2)"
    )
    assert found[0].report.splitlines() == [
        "WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
        "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        "Dockerfile:2",
        "--------------------",
        "   1 |     FROM scratch",
        "   2 | >>> CMD a",
        "--------------------",
    ]
    assert check.failed(found).message == "lint violation found for rules: JSONArgsRecommended"


def test_check_when_the_file_has_a_mistake_then_findings_and_the_mistake() -> None:
    found, failure = check.check(dockerfile.parse(b"FROM scratch as x\nMAINTAINER y\nFRUN z"))
    assert [one.rule for one in found] == ["MaintainerDeprecated"]
    assert failure is not None
    assert failure.line == 3


def test_options_when_told_then_read() -> None:
    assert check.options("skip=A, b ; error=true").skip == {"a", "b"}
    assert check.options("error=true").error
    assert check.options("").skip == set()
    for text in ("skip", "error=maybe", "other=1", ";"):
        with pytest.raises(BuildFailed, match="invalid check option"):
            check.options(text)
