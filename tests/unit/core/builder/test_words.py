"""Words: quotes, escapes, variables, modifiers, patterns, bounds."""

from __future__ import annotations

import time

import pytest

from pod.core.builder import words

HAVE = {"A": "foo.tar.gz", "EMPTY": "", "S": "two words", "P": "/a/b/c", "STAR": "a*b", "U_1": "u"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A", "foo.tar.gz"), ("${A}", "foo.tar.gz"), ("x${A}y$EMPTY", "xfoo.tar.gzy"), ("$NONE", ""), ("$U_1x", ""),
        ("\\$A", "$A"), ("\\\\$A", "\\foo.tar.gz"), ("'$A'", "$A"), ('"$A"', "foo.tar.gz"), ('"\\$A"', "$A"),
        ('"a\\b"', "a\\b"), ("a\\b", "ab"), ("a\\", "a"), ("'a\\'", "a\\"), ("\"'\"", "'"), ("$", "$"), ("a$", "a$"),
        ("$ ", "$ "), ("$/x", "$/x"), ("$1x", "x"), ("$@", ""), ("a b", "a b"), ("'a'\"b\"c", "abc"),
        ("é$A", "éfoo.tar.gz"),
        ("${NONE:-d}", "d"), ("${EMPTY:-d}", "d"), ("${EMPTY-d}", ""), ("${NONE-d}", "d"), ("${A:-d}", "foo.tar.gz"),
        ("${A:+d}", "d"), ("${EMPTY:+d}", ""), ("${EMPTY+d}", "d"), ("${NONE+d}", ""), ("${NONE:-$A}", "foo.tar.gz"),
        ("${NONE:-${NONE2:-x}}", "x"), ("${NONE:-'a b'}", "a b"), ("${NONE:-\\}}", "}"), ("${A:?x}", "foo.tar.gz"),
        ("${A%.*}", "foo.tar"), ("${A%%.*}", "foo"), ("${A#*.}", "tar.gz"), ("${A##*.}", "gz"),
        ("${A#x}", "foo.tar.gz"),
        ("${A#f??}", ".tar.gz"), ("${A%?}", "foo.tar.g"), ("${P##*/}", "c"), ("${P%/*}", "/a/b"), ("${STAR%\\*b}", "a"),
        ("${STAR#a\\*}", "b"), ("${NONE#x}", ""), ("${A#*o*.}", "tar.gz"), ("${A##*o*.}", "gz"),
        ("${A/o/0}", "f0o.tar.gz"), ("${A//o/0}", "f00.tar.gz"), ("${P//\\//-}", "-a-b-c"), ("${A/.*/}", "foo"),
        ("${A//?/x}", "xxxxxxxxxx"), ("${A//*/z}", "z"), ("${A/o*a/-}", "f-r.gz"), ("${A//x/y}", "foo.tar.gz"),
        ("${A/$U_1/y}", "foo.tar.gz"), ("${S// /_}", "two_words"), ("${STAR/\\*/+}", "a+b"),
        ("${A/./$P}", "foo/a/b/ctar.gz"),
    ],
)  # fmt: skip
def test_expand_when_quoted_escaped_or_modified_then_as_docker(text: str, value: str) -> None:
    assert words.expand(text, HAVE.get) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("`$A", "$A"), ("\\$A", "\\foo.tar.gz"), ('"`""', '"'), ("c:\\x", "c:\\x"), ("a``b", "a`b")],
)
def test_expand_when_the_escape_is_a_backtick_then_backslashes_stay(text: str, value: str) -> None:
    assert words.expand(text, HAVE.get, "`") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'a", "unexpected end of statement while looking for matching single-quote"),
        ('"a', "unexpected end of statement while looking for matching double-quote"),
        ("${", "syntax error: missing '}'"),
        ("${A", "syntax error: missing '}'"),
        ("${A:-x", "syntax error: missing '}'"),
        ("${A/x", "syntax error: missing '/' in ${}"),
        ("${A/x/y", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:-x}", "syntax error: bad substitution"),
        ("${{A}}", "syntax error: bad substitution"),
        ("${A!x}", "unsupported modifier (!) in substitution"),
        ("${A:x}", "unsupported modifier (:x) in substitution"),
        ("${NONE:?}", "NONE: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NONE?say it}", "NONE: say it"),
        ("${A#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"),
        ("${A:-" * 70 + "}" * 70, "more than 64 substitutions in each other"),
    ],
)
def test_expand_when_it_is_no_word_then_says_why(text: str, message: str) -> None:
    with pytest.raises(words.BadWord, match="failed to process") as caught:
        words.expand(text, HAVE.get)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a  b", ["a", "b"]), ("'a b' c", ["a b", "c"]), ("$S", ["two", "words"]), ('"$S"', ["two words"]),
        ("x$S", ["xtwo", "words"]), ("a\\ b", ["a b"]), ("", []), ("''", []), ("$NONE a", ["a"]),
    ],
)  # fmt: skip
def test_list_when_values_have_blanks_then_split_unless_quoted(text: str, found: list[str]) -> None:
    assert words.expand_list(text, HAVE.get) == found


def test_unset_when_a_modifier_says_what_to_do_then_not_named() -> None:
    text = "$A $B ${C} ${D:-x} ${E+x} ${F:-$G} ${H%x} ${I//x/y} '$J'"
    assert words.unset(text, HAVE.get) == ["B", "C", "G", "H", "I"]


def test_expand_when_it_explodes_then_refused() -> None:
    value = "x" * (words.MOST_TEXT // 2)
    with pytest.raises(words.BadWord, match="characters after expansion"):
        words.expand("$X$X$X", {"X": value}.get)


@pytest.mark.parametrize("pattern", ["#*a*a*a*a*a*a*b", "%%*a*a*a*a*a*a*b", "//*a*a*a*a*a*b/x", "//a?a?b/x", "##*?a?b"])
def test_pattern_when_it_would_backtrack_then_it_does_not(pattern: str) -> None:
    value = "a" * 100_000
    before = time.process_time()
    assert words.expand(f"${{X{pattern}}}", {"X": value}.get) == value
    assert time.process_time() - before < 2


def test_patterns_when_too_many_look_at_too_much_then_refused() -> None:
    with pytest.raises(words.BadWord, match="look at too much text"):
        words.expand("${X##*}" * 2000, {"X": "a" * 100_000}.get)
