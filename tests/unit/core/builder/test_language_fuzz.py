"""The language of Dockerfiles against texts that hypothesis makes up: an error of pod's own, in time, or a plan.

The same texts each time; POD_FUZZ_ROUNDS makes it more of them.
"""

from __future__ import annotations

import contextlib
import time

from hypothesis import given
from hypothesis import strategies as st

from pod.core.builder import check, dockerfile, expanding, instructions, run_mounts, scopes, stages, words
from pod.core.errors import BuildFailed, PodError
from tests.support import fuzzing

fuzzed = fuzzing.fuzzed(150)
SECONDS = 5
"""Far more than any example takes, far less than what explodes."""

KEYWORDS = (
    "FROM ", "RUN ", "COPY ", "ADD ", "ENV ", "ARG ", "LABEL ", "CMD ", "ENTRYPOINT ", "SHELL ", "HEALTHCHECK ",
    "EXPOSE ", "VOLUME ", "USER ", "WORKDIR ", "ONBUILD ", "STOPSIGNAL ", "MAINTAINER ", "from ", "FRUN ",
)  # fmt: skip
PIECES = (
    "\n", "\n", "\n", "\\\n", " ", "\t", "\r\n", "# c\n", "# escape=`\n", "#!", "`", "\\", "'", '"', "$", "${", "}",
    ":-", "/", "*", "?", "#", "%", "=", ",", "[", "]", '["a"]', "<<", "<<-", "<<EOF", "EOF\n", "--from=",
    "--mount=type=cache,target=", "--platform=", "AS ", "scratch", "a", "x", "0", "stage", "CMD ", "NONE", "1-65535",
    "/tcp", "\0", "é", "\ufeff",
    "\udcff", "\u2028",
)  # fmt: skip
LINES = st.lists(st.sampled_from(KEYWORDS) | st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join)
WORDS = st.lists(st.sampled_from((*PIECES, "A", "B", "${A", "${A//", "${B%%", "${A:+")), max_size=30).map("".join)
LOOKUP = {"A": "some/value*" * 50, "B": "", "a": "$A", "x": "\\"}.get


@fuzzed
@given(LINES | LINES.map(lambda text: "FROM a AS x\n" + text))
def test_dockerfile_when_made_up_then_refused_with_a_line_or_planned(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass").replace(b"\xed\xb3\xbf", b"\xff")
    before = time.process_time()
    failure = None
    try:
        file = dockerfile.parse(raw)
        for one in file.instructions:
            assert 0 < one.first <= one.last <= len(file.lines)
            one.text.encode()
            for word in one.words or ():
                word.encode()
        plan = stages.plan(file)
        assert plan.needed[-1] == plan.target
        assert len(set(plan.needed)) == len(plan.needed)
        _walk(plan)
    except BuildFailed as error:
        failure = error
    assert failure is None or ("\n" not in failure.message and failure.line <= failure.last)
    assert time.process_time() - before < SECONDS


def _walk(plan: stages.Plan) -> None:
    """What the engine does with variables."""
    done = set()
    for index in plan.needed:
        stage = plan.stages[index]
        assert set(stage.needs) <= done
        done.add(index)
        scope = scopes.Scope(plan.meta_args, {}, {"A": "b"}, plan.file.escape)
        for operation, _ in stage.operations:
            with contextlib.suppress(ValueError, PodError):
                for one in expanding.texts(scope.step(operation)):
                    assert len(one) <= words.MOST_TEXT


@fuzzed
@given(LINES)
def test_check_when_a_file_is_made_up_then_findings_lie_in_it(text: str) -> None:
    with contextlib.suppress(BuildFailed):
        file = dockerfile.parse(("FROM scratch\n" + text).encode("utf-8", "replace"))
        found, _ = check.check(file)
        assert all(0 < one.line <= len(file.lines) for one in found)


@fuzzed
@given(WORDS, st.sampled_from("\\`"))
def test_words_when_made_up_then_refused_or_bounded(text: str, escape: str) -> None:
    before = time.process_time()
    with contextlib.suppress(words.BadWord):
        assert len(words.expand(text, LOOKUP, escape)) <= words.MOST_TEXT
        assert all(words.expand_list(text, LOOKUP, escape))
    assert time.process_time() - before < SECONDS


@fuzzed
@given(st.text(alphabet="ab/*.é\n", max_size=40), st.text(alphabet="ab/*?.", max_size=8))
def test_patterns_when_made_up_then_python_agrees(value: str, pattern: str) -> None:
    import re

    glob = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)
    ends = [end for end in range(len(value) + 1) if re.fullmatch(glob, value[:end], re.DOTALL)]
    starts = [start for start in range(len(value) + 1) if re.fullmatch(glob, value[start:], re.DOTALL)]
    lookup = {"V": value}.get
    written = pattern if not pattern.startswith("#") else "\\" + pattern
    assert words.expand(f"${{V#{written}}}", lookup) == (value[ends[0] :] if ends else value)
    assert words.expand(f"${{V##{written}}}", lookup) == (value[ends[-1] :] if ends else value)
    assert words.expand(f"${{V%{written}}}", lookup) == (value[: starts[-1]] if starts else value)
    assert words.expand(f"${{V%%{written}}}", lookup) == (value[: starts[0]] if starts else value)


@fuzzed
@given(st.text(alphabet="ab/*\n", min_size=0, max_size=30), st.text(alphabet="ab*?", min_size=1, max_size=5))
def test_replacement_when_made_up_then_python_agrees(value: str, pattern: str) -> None:
    import re

    glob = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)
    lookup = {"V": value}.get
    expected, place = [], 0
    for found in re.finditer(glob, value, re.DOTALL):
        if found.start() == found.end() == place and place and expected:
            continue
        expected += [value[place : found.start()], "<>"]
        place = found.end()
    assert words.expand(f"${{V//{pattern}/<>}}", lookup) == "".join([*expected, value[place:]])


@fuzzed
@given(
    st.lists(
        st.sampled_from((*run_mounts._KEYS, "=", ",", "cache", "secret", "ssh", "tmpfs", "/t", "1", '"', "$", "64m")),
        max_size=12,
    ).map("".join)
)
def test_mount_when_made_up_then_refused_or_complete(text: str) -> None:
    with contextlib.suppress(ValueError):
        mount = run_mounts.read(text)
        assert mount.pending or mount.kind in run_mounts.KINDS
        assert mount.pending or mount.target or mount.kind in ("ssh", "secret")


@fuzzed
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.data())
def test_stages_when_they_take_from_each_other_at_random_then_in_order_or_a_circle(
    bases: list[int], data: st.DataObject
) -> None:
    copies = [data.draw(st.lists(st.integers(0, len(bases) - 1), max_size=3)) for _ in bases]
    text = "".join(
        f"FROM s{base} AS s{index}\n" + "".join(f"COPY --from={one} a b\n" for one in copies[index])
        for index, base in enumerate(bases)
    )
    circle = ""
    try:
        plan = stages.plan(dockerfile.parse(text.encode()))
    except BuildFailed as error:
        circle = error.message
    assert not circle or "circular dependency" in circle
    for place, index in enumerate([] if circle else plan.needed):
        assert set(plan.stages[index].needs) <= set(plan.needed[:place])


@fuzzed
@given(LINES)
def test_trigger_when_made_up_then_refused_or_one_operation(text: str) -> None:
    with contextlib.suppress(BuildFailed):
        assert len(instructions.triggers([text.encode("utf-8", "replace").decode()])) == 1
