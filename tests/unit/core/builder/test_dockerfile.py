"""Reading of Dockerfiles: lines, continuation, comments, directives, flags, JSON forms, heredocs, bounds."""

from __future__ import annotations

import contextlib
import time

import pytest

from pod.core.builder import dockerfile, instructions
from pod.core.errors import BuildFailed


def read(text: str) -> dockerfile.Dockerfile:
    return dockerfile.parse(text.encode())


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("RUN a \\\n b", "a  b"),
        ("RUN a\\\nb", "ab"),
        ("RUN a \\  \t\n b", "a  b"),
        ("RUN a \\\\\nENV b c", "a \\\\"),
        ("RUN a \\\n# comment\n   # another \\\n b", "a  b"),
        ("RUN a \\\n\n b", "a  b"),
        ("RUN \\\na", "a"),
        ("RUN a # b", "a # b"),
        ("  RUN a", "a"),
        ("RUN\ta  b ", "a  b"),
        ("\ufeffRUN a", "a"),
        ("RUN a \\\r\n b\r\n", "a  b"),
        ("# escape=`\nRUN a `\n b\\", "a  b\\"),
        ("#Escape = `\nRUN a `\n b", "a  b"),
        ("# other\n# escape=`\nRUN a `", "a `"),
        ("#!/usr/bin/env x\n# escape=`\nRUN a `", "a `"),
        (" # escape=`\nRUN a `\n b", "a  b"),
        ("# unknown=1\n# escape=`\nRUN a `", "a `"),
        ("RUN a \\", "a"),
        ("RUN a \\\n", "a"),
    ],
)
def test_line_when_continued_or_commented_then_put_together_as_docker_does(text: str, rest: str) -> None:
    assert read(text).instructions[0].rest == rest


def test_lines_when_read_then_numbered_with_their_source() -> None:
    file = read("# c\nFROM a\n\nRUN x \\\n  # c\n  y\nCOPY <<A /a\none\nA\nCMD z\n")
    assert [(one.keyword, one.first, one.last) for one in file.instructions] == [
        ("FROM", 2, 2), ("RUN", 4, 6), ("COPY", 7, 9), ("CMD", 10, 10),
    ]  # fmt: skip
    assert file.instructions[1].source == "RUN x \\\n  # c\n  y"
    assert file.instructions[2].text == "COPY <<A /a"


def test_continuation_when_a_line_in_it_is_empty_then_warned_of() -> None:
    assert read("FROM a\nRUN x \\\n\n  y").warnings == [(4, "Empty continuation line")]
    assert not read("FROM a\nRUN x \\\n# c\n  y").warnings


def test_directives_when_told_then_kept() -> None:
    file = read("# syntax=docker/dockerfile:1\n# check=skip=all;error=true\n# escape=`\nFROM a")
    assert (file.syntax, file.check, file.escape) == ("docker/dockerfile:1", "skip=all;error=true", "`")


@pytest.mark.parametrize(
    ("syntax", "count"),
    [
        ("docker/dockerfile:1", 0),
        ("docker.io/docker/dockerfile:1.7-labs@sha256:0", 0),
        ("docker/dockerfile-upstream:master", 0),
        ("docker/dockerfilex", 1),
        ("example.com/frontend", 1),
    ],
)
def test_syntax_when_not_dockers_own_then_warned_of(syntax: str, count: int) -> None:
    assert len(read(f"# syntax={syntax}\nFROM a").warnings) == count


@pytest.mark.parametrize(
    ("line", "flags", "rest"),
    [
        ("COPY --from=a --link b c", [("from", "a"), ("link", None)], "b c"),
        ("COPY --chown='a b' c d", [("chown", "a b")], "c d"),
        ('RUN --mount="type=bind,src=a b" x', [("mount", "type=bind,src=a b")], "x"),
        ("RUN --mount=a\\ b x", [("mount", "a b")], "x"),
        ("RUN -- --x y", [], "--x y"),
        ("RUN x --y", [], "x --y"),
        ("RUN -x", [], "-x"),
        ("COPY --chmod= a b", [("chmod", "")], "a b"),
        ("HEALTHCHECK --interval=1s \\\n --timeout=2s CMD x", [("interval", "1s"), ("timeout", "2s")], "CMD x"),
    ],
)
def test_flags_when_before_the_arguments_then_taken(line: str, flags: list[tuple[str, str | None]], rest: str) -> None:
    found = read(line).instructions[0]
    assert (found.flags, found.rest) == (flags, rest)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('RUN ["a", "b c"]', ["a", "b c"]),
        ('RUN  [ "a" ] ', ["a"]),
        ("RUN ['a']", None),
        ('RUN ["a",]', None),
        ('RUN ["a"] b', None),
        ("RUN []", []),
        ("RUN [NaN]", None),
        ('RUN ["\\u00e9\\ud83d\\ude00"]', ["é😀"]),
        ('RUN ["\\ud800"]', ["\ufffd" * 3]),
        ('COPY ["a b", "c"]', ["a b", "c"]),
        ('ENV ["a"]', None),
        ('HEALTHCHECK CMD ["a", "b"]', ["a", "b"]),
        ("RUN " + "[" * 5000, None),
    ],
)
def test_json_form_when_it_is_none_then_left_to_the_shell(line: str, words: list[str] | None) -> None:
    assert read(line).instructions[0].words == words


def test_heredocs_when_several_then_each_has_its_lines() -> None:
    text = "RUN <<A cat <<-\"B C\" 3<<'D'\n$one\nA\n\ttwo\n\tB C\n three\nD\nCMD x"
    first, second = read(text).instructions
    assert [(one.name, one.expand, one.strip, one.content) for one in first.heredocs] == [
        ("A", True, False, "$one\n"), ("B C", False, True, "\ttwo\n"), ("D", False, False, " three\n"),
    ]  # fmt: skip
    assert first.heredocs[1].text == "two\n"
    assert second.keyword == "CMD"


@pytest.mark.parametrize(
    "line",
    ["RUN a '<<A'", "RUN a <<<A", "RUN echo $((1 << 3))", "RUN a <<", "CMD a <<A", 'RUN ["a", "<<A"]', "RUN a\\ <<A"],
)
def test_heredoc_when_it_only_looks_like_one_then_none(line: str) -> None:
    assert not read(line + "\nCMD y").instructions[0].heredocs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RUN cat << A\nx\nA", [("A", "x\n")]),
        ("RUN cat <<- 'A'\n\tx\n\tA", [("A", "\tx\n")]),
        ("RUN echo $((1 << 3))\nRUN x", []),
        ("RUN cat << A\nRUN x", []),
        ("COPY << A /x\nRUN y\nRUN A", []),
        ("RUN <<$A\nx\n$A", [("$A", "x\n")]),
        ("RUN <<E\\OF\nx\nEOF", [("EOF", "x\n")]),
        ("COPY <<X <<Y /d\nY\nX\nX\nY", [("X", "Y\n"), ("Y", "X\n")]),
        ("ONBUILD RUN <<A\nx\nA", [("A", "x\n")]),
    ],
)
def test_heredoc_when_written_in_other_ways_then_as_docker(text: str, found: list[tuple[str, str]]) -> None:
    assert [(one.name, one.content) for one in read(text).instructions[0].heredocs] == found


def test_heredoc_when_of_other_bytes_then_they_stay() -> None:
    file = dockerfile.parse(b"COPY <<A /\n\xff\\\r\n# no comment\nA\nRUN \xff")
    assert file.instructions[0].heredocs[0].content.encode("utf-8", "surrogateescape") == b"\xff\\\r\n# no comment\n"
    assert file.instructions[1].rest == "\ufffd"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "file with no instructions"),
        (b"# a\n\n", "file with no instructions"),
        (b"# escape=x\nFROM a", "dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\"),
        (b"# escape=`\n# escape=`\nFROM a", "line 2: only one escape parser directive can be used"),
        (b"FROM a\nRUN <<A\nb\n", "line 2: unterminated heredoc"),
        (b'FROM a\nCMD ["a", 1]', "line 2: when using JSON array syntax, arrays must be comprised of strings only"),
        (b"FROM a\nRUN b\0c", "line 2: a NUL byte"),
        (b"RUN " + b"a" * dockerfile.MOST_LINE, "line 1: dockerfile line greater than max allowed size of 65535"),
        (b"RUN a\n" * (dockerfile.MOST_INSTRUCTIONS + 1), "more than 4000 instructions"),
        (b"#" * (dockerfile.MOST_BYTES + 1), "Dockerfile is larger than 2 MiB"),
    ],
)
def test_file_when_it_cannot_be_read_then_one_error(raw: bytes, message: str) -> None:
    with pytest.raises(BuildFailed) as caught:
        dockerfile.parse(raw)
    assert caught.value.message.endswith(message)


@pytest.mark.parametrize(
    "line",
    [
        b"# syntax=a" + b" " * 65000 + b"b",
        b"#" + b" " * 65000 + b"x",
        b"RUN a" + b"\\ " * 32000 + b"b",
        b"RUN a\\" + b" " * 65000 + b"b",
        b"ENV " + b"a=b " * 16000,
        b"RUN " + b"--mount=target=/a " * 3600 + b"b",
        b"RUN " + b"<<a " * 16000,
        b"RUN " + b"<< a " * 13000 + b"\n#" * 100_000,
        b"FROM" + b" " * 65000 + b"a",
        b"ONBUILD" + b" " * 65000 + b"RUN b",
    ],
)
def test_line_when_made_to_be_slow_then_it_is_not(line: bytes) -> None:
    before = time.process_time()
    with contextlib.suppress(BuildFailed):
        for one in dockerfile.parse(line).instructions:
            instructions.of(one)
    assert time.process_time() - before < 2


def test_error_when_raised_then_it_shows_the_lines_around() -> None:
    with pytest.raises(BuildFailed) as caught:
        read("FROM a\nRUN b\nRUN c\n\nCMD [1]\nRUN d\nRUN e\nRUN f")
    assert (caught.value.shown, caught.value.line, caught.value.last) == ("Dockerfile", 5, 5)
    assert caught.value.excerpt.splitlines() == [
        "Dockerfile:5",
        "--------------------",
        "   3 |     RUN c",
        "   4 |     ",
        "   5 | >>> CMD [1]",
        "   6 |     RUN d",
        "   7 |     RUN e",
        "--------------------",
    ]


@pytest.mark.parametrize(
    ("word", "choices", "guess"),
    [
        ("FRUN", ["RUN", "FROM"], " (did you mean RUN?)"),
        ("frun", ["RUN", "FROM"], " (did you mean run?)"),
        ("nothing", ["RUN", "FROM"], ""),
        ("chonw", ["chown", "chmod"], " (did you mean chown?)"),
    ],
)
def test_fitting_when_two_letters_away_then_suggested(word: str, choices: list[str], guess: str) -> None:
    assert dockerfile.fitting(word, choices, fold=True) == guess
