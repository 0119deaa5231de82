"""Stages: global ARGs, names, what stands on what, what a target needs."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.builder import dockerfile, stages
from pod.core.errors import BuildFailed
from pod.core.oci import platform

ARM = platform.parse("linux/arm/v7")
HOST = platform.parse("linux/amd64")


def plan(text: str, **options: Any) -> stages.Plan:
    options.setdefault("build_platform", HOST)
    return stages.plan(dockerfile.parse(text.encode()), **options)


def test_plan_when_the_target_needs_few_then_only_those_in_order() -> None:
    made = plan(
        "FROM a AS base\nFROM base AS one\nFROM b AS two\nFROM c AS other\n"
        "FROM base\nCOPY --from=ONE /x /y\nRUN --mount=type=bind,from=2,target=/t z\nCOPY --from=img /x /y"
    )
    assert (made.target, made.needed) == (4, [0, 1, 2, 4])
    assert made.stages[4].stages == {"ONE": 1, "2": 2}
    assert [stage.base_stage for stage in made.stages] == [None, 0, None, None, 0]
    assert [stage.shown for stage in made.stages] == ["base", "one", "two", "other", "stage-4"]


@pytest.mark.parametrize(("target", "needed"), [("one", [0]), ("ONE", [0]), ("1", [1]), ("", [0, 1, 2])])
def test_target_when_a_name_or_number_then_that_stage(target: str, needed: list[int]) -> None:
    text = "FROM a AS one\nFROM b\nFROM one\nCOPY --from=1 x y"
    assert plan(text, target=target).needed == needed


def test_stage_when_a_later_one_has_the_same_name_then_from_means_the_one_before() -> None:
    made = plan("FROM a AS x\nFROM x AS x\nFROM x\nCOPY --from=x a b")
    assert [stage.base_stage for stage in made.stages] == [None, 0, 1]
    assert made.needed == [0, 1, 2]


def test_from_when_it_names_itself_or_a_later_stage_then_an_image() -> None:
    made = plan("FROM busybox AS busybox\nFROM later\nFROM x AS later", target="1")
    assert [stage.base_stage for stage in made.stages] == [None, None, None]
    assert made.needed == [1]


def test_copy_when_from_a_later_stage_then_that_one_is_built_first() -> None:
    made = plan("FROM a AS x\nCOPY --from=y a b\nFROM c AS y\n", target="x")
    assert made.needed == [1, 0]


def test_onbuild_of_a_stage_when_it_copies_then_the_child_needs_that_stage() -> None:
    made = plan("FROM a AS src\nFROM b AS base\nONBUILD COPY --from=src x y\nFROM base")
    assert made.needed == [1, 0, 2]


def test_contexts_when_named_like_a_stage_then_they_go_before() -> None:
    made = plan("FROM a AS x\nFROM x\nCOPY --from=x a b\nCOPY --from=other! a b", contexts={"x", "other!"})
    assert (made.stages[1].base_stage, made.needed) == (None, [1])


def test_meta_args_when_used_in_from_then_replaced() -> None:
    made = plan(
        'ARG V=3 W="${V}-slim"\nARG IMAGE=${REG:-docker.io}/lib\nARG NONE\n'
        "FROM --platform=$BUILDPLATFORM ${IMAGE}:$W AS a\nFROM x:${NONE:-1}\n"
        "FROM y-$TARGETARCH$TARGETVARIANT-$TARGETSTAGE",
        platform=ARM,
    )
    assert [stage.base for stage in made.stages] == ["docker.io/lib:3-slim", "x:1", "y-armv7-default"]
    assert made.stages[0].platform == "linux/amd64"
    assert made.meta_args["TARGETPLATFORM"] == "linux/arm/v7"


def test_meta_args_when_given_then_the_default_does_not_count() -> None:
    text = "ARG V=3\nARG W\nFROM x:$V-$W-$U"
    assert plan(text, build_args={"V": "9", "W": "w", "U": "no", "Z": None}).stages[0].base == "x:9-w-"


@pytest.mark.parametrize(
    ("text", "options", "message", "line"),
    [
        ("FROM a\nFRUN x", {}, "dockerfile parse error on line 2: unknown instruction: FRUN (did you mean RUN?)", 2),
        ("RUN x", {}, "no build stage in current context", 1),
        ("ARG a", {}, "dockerfile contains no stages to build", 0),
        ("FROM a AS x", {"target": "xx"}, 'target stage "xx" could not be found (did you mean x?)', 0),
        ("FROM a AS x", {"target": "1"}, 'target stage "1" could not be found', 0),
        ("FROM a\nCOPY --from=1 a b", {}, "dockerfile parse error on line 2: invalid stage index 1", 2),
        ("FROM a AS x\nCOPY --from=x a b", {}, "circular dependency detected on stage: x", 1),
        ("FROM a\nCOPY --from=0 a b", {}, "circular dependency detected on stage: 0", 1),
        ("FROM a AS x\nCOPY --from=y a b\nFROM x AS y", {}, "circular dependency detected on stage: y", 3),
        ("FROM $X", {}, "base name ($X) should not be blank", 1),
        ("FROM ${X:?no}", {}, 'failed to process "${X:?no}": X: no', 1),
        ("FROM --platform=$X a", {}, "empty platform value from expression $X", 1),
        ("FROM --platform=a/b/c/d a", {}, "failed to parse platform a/b/c/d: invalid platform", 1),
        ("FROM A:b:c", {}, 'failed to parse stage name "A:b:c": invalid reference format', 1),
        ("FROM a\nCOPY --from=$x a b", {}, 'failed to parse stage name "$x": invalid reference format', 2),
        ("FROM a\nRUN --security=insecure x", {}, "RUN --security=insecure: a build without root", 2),
    ],
)
def test_plan_when_it_cannot_be_built_then_says_why(
    text: str, options: dict[str, Any], message: str, line: int
) -> None:
    with pytest.raises(BuildFailed) as caught:
        plan(text, **options)
    assert caught.value.message.startswith(message)
    assert caught.value.line == line


def test_plan_when_a_stage_is_not_needed_then_its_names_are_not_looked_at() -> None:
    text = "FROM A:b:c AS bad\nRUN --security=insecure x\nFROM a\n"
    assert plan(text).needed == [1]


def test_plan_when_thousands_of_stages_stand_on_each_other_then_no_recursion() -> None:
    made = plan("FROM a AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(dockerfile.MOST_INSTRUCTIONS - 1)))
    assert made.needed == list(range(dockerfile.MOST_INSTRUCTIONS))
