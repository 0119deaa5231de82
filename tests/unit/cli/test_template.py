"""cli/template against a corpus of Go's own documentation and tests, its errors, and hostile templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from pod.cli import template
from pod.core.errors import PodError

CORPUS = Path(__file__).parent / "template_corpus"

DOCUMENT = {
    "X": "x",
    "S": "xyz",
    "I": 17,
    "Float": 15.1,
    "U": {"V": "v"},
    "SI": [3, 4, 5],
    "SB": [True, False],
    "MSI": {"one": 1, "two": 2, "three": 3},
    "SMSI": [{"one": 1, "two": 2}, {"eleven": 11, "twelve": 12}],
    "Map": {"b": 2, "a": 1},
    "Empty": [],
    "Nil": None,
    "ListOfNil": [None],
    "Words": ["alpha", "beta"],
}
DOCUMENT["Map"] = template.OpenMap(DOCUMENT["Map"])


def cases(name: str) -> list[tuple[str, str]]:
    """Pairs of a corpus file; a template may go over lines, its last one has the arrow."""
    found = []
    pending = ""
    for line in (CORPUS / name).read_text().splitlines():
        if line.startswith("#") and not pending:
            continue
        left, arrow, right = (pending + line).rpartition("=>")
        if not arrow:
            pending += line + "\n"
            continue
        pending = ""
        found.append((left.rstrip(" "), right.strip(" ").replace("\\s", " ")))
    return found


@pytest.mark.parametrize(("text", "expected"), cases("execute.txt"))
def test_execute_of_gos_corpus_prints_what_go_prints(text: str, expected: str) -> None:
    if expected == "!":
        with pytest.raises(PodError, match=r"^template parsing error: template: "):
            template.parse(text).execute(DOCUMENT)
    elif expected == "!NOT-EMPTY":
        assert template.parse(text).execute(DOCUMENT)
    else:
        if expected.endswith("\\n"):
            expected = expected[:-2] + "\n"
        assert template.parse(text).execute(DOCUMENT) == expected


@pytest.mark.parametrize(("text", "expected"), cases("printf.txt"))
def test_printf_of_gos_corpus_prints_what_go_prints(text: str, expected: str) -> None:
    assert template.parse("{{printf " + text + "}}").execute(DOCUMENT) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{", ":1: unclosed action"),
        ("{{.X", ":1: unclosed action"),
        ("{{\n\n.X", ":3: unclosed action started at :1"),
        ("{{range .X}}", ":1: unexpected EOF"),
        ("{{end}}", ":1: unexpected {{end}}"),
        ("{{if .X}}{{else}}{{else}}{{end}}", ":1: expected end; found {{else}}"),
        ("{{foo}}", ':1: function "foo" not defined'),
        ("{{$x}}", ':1: undefined variable "$x"'),
        ("{{}}", ":1: missing value for command"),
        ("{{if}}{{end}}", ":1: missing value for if"),
        ("{{.X | 3}}", ":1: non executable command in pipeline stage 2"),
        ("{{1.X}}", ":1: bad number syntax"),
        ("{{true.X}}", ':1: unexpected . after term "true"'),
        ("{{(1}}", ":1: unclosed left paren"),
        ("{{1)}}", ":1: unexpected right paren"),
        ('{{"x}}', ":1: unterminated quoted string"),
        ("{{`x}}", ":1: unterminated raw quoted string"),
        ("{{'x}}", ":1: unterminated character constant"),
        ("{{/* x }}", ":1: unclosed comment"),
        ("{{/* x */ y}}", ":1: comment ends before closing delimiter"),
        ("{{$x+2}}", ":1: bad character U+002B '+'"),
        ("{{.X:y}}", ":1: expected :="),
        ("{{break}}", ":1: {{break}} outside {{range}}"),
        ("{{template .X}}", ":1: unexpected"),
        ("{{range $x, $y, $z := .SI}}{{end}}", ":1: too many declarations in range"),
        ('{{define "a"}}x{{end}}{{define "a"}}y{{end}}', ':1: template: multiple definition of template "a"'),
        ("\n{{\x01}}", ":2: unrecognized character in action: U+0001"),
        ("{{1 2 end}}", ":1: unexpected <end> in operand"),
    ],
)
def test_parse_of_a_bad_template_says_what_go_says(text: str, message: str) -> None:
    with pytest.raises(PodError) as caught:
        template.parse(text)
    assert caught.value.message.startswith("template parsing error: template: " + message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Foo}}", ':1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("a\n é{{.U.W}}", ':2:7: executing "" at <.U.W>: map has no entry for key "W"'),
        ("{{.Nil.X}}", ':1:6: executing "" at <.Nil.X>: nil pointer evaluating interface {}.X'),
        ("{{.X.Y}}", ':1:4: executing "" at <.X.Y>: can\'t evaluate field Y in type interface {}'),
        ("{{len 3}}", ':1:2: executing "" at <len 3>: error calling len: len of type int'),
        ("{{index .SI 10}}", ':1:2: executing "" at <index .SI 10>: error calling index: index out of range: 10'),
        ('{{template "x"}}', ':1:11: executing "" at <{{template "x"}}>: template "x" not defined'),
        ("{{eq 1}}", ':1:2: executing "" at <eq 1>: error calling eq: missing argument for comparison'),
        ("{{nil}}", ':1:2: executing "" at <nil>: nil is not a command'),
        ("{{range .I}}{{.Foo}}{{end}}", ':1:14: executing "" at <.Foo>: can\'t evaluate field Foo in type int'),
        ("{{$x := .Nil}}{{$x.Y}}", ':1:18: executing "" at <$x.Y>: nil data; no entry for key "Y"'),
        ("{{lower 3}}", ':1:8: executing "" at <3>: expected string; found 3'),
        (
            "{{lower .Map}}",
            ':1:8: executing "" at <.Map>: wrong type for value; expected string; got map[string]interface {}',
        ),
        ("{{truncate `x` nil}}", ':1:15: executing "" at <nil>: cannot assign nil to int'),
        ("{{(print 1).V}}", ':1:9: executing "" at <1>: can\'t evaluate field V in type string'),
        ("{{lower}}", ':1:2: executing "" at <lower>: wrong number of args for lower: want 1 got 0'),
    ],
)
def test_execute_that_fails_says_what_go_says(text: str, message: str) -> None:
    with pytest.raises(PodError) as caught:
        template.parse(text).execute(DOCUMENT, strict=True)
    assert caught.value.message == "template parsing error: template: " + message


def test_execute_of_a_missing_label_is_no_value_even_when_strict() -> None:
    document = template.with_open_maps({"Config": {"Labels": {"a": "1"}}})
    parsed = template.parse("{{.Config.Labels.a}} {{.Config.Labels.b}}")
    assert parsed.execute(document, strict=True) == "1 <no value>"


def test_execute_of_nulls_prints_them_by_dockers_types() -> None:
    document = template.with_open_maps({"Binds": None, "Labels": None, "Init": None})
    parsed = template.parse("{{.Binds}} {{.Labels}} {{.Init}} {{json .}}")
    assert parsed.execute(document) == '[] map[] <nil> {"Binds":null,"Labels":null,"Init":null}'


@pytest.mark.parametrize(
    "text",
    [
        "{{range 100000000}}{{end}}",
        "{{range 10000}}{{range 10000}}{{end}}{{end}}",
        '{{define "a"}}{{template "a"}}{{template "a"}}{{end}}{{template "a"}}',
        '{{$x := "xxxxxxxxxxxxxxxx"}}{{range 40}}{{$x = printf "%s%s" $x $x}}{{end}}',
        '{{range 100}}{{printf "%999999d" 1}}{{end}}',
        '{{pad "x" 1000000000 0}}',
        "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
        "{{if 1}}" * 5000 + "{{end}}" * 5000,
        "{{if 0}}" + "{{else if 0}}" * 5000 + "{{end}}",
        "x" * ((1 << 20) + 1),
        "{{" + "9" * 5000 + "}}",
        "{{1e" + "9" * 5000 + "}}",
        "{{.X" + ".X" * 5000 + "}}",
        '{{$x := split "a" ""}}{{range 1000000}}{{$y := $x}}{{$z := $x}}{{end}}',
    ],
)
def test_execute_of_a_hostile_template_ends_with_an_error(text: str) -> None:
    with pytest.raises(PodError):
        template.parse(text).execute({"X": None}, strict=True)


def test_execute_of_a_deep_document_ends() -> None:
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    assert "..." in template.parse("{{.}}").execute(deep)
    with pytest.raises(PodError):
        template.parse("{{json .}}").execute(deep)


def test_heading_of_a_function_is_the_heading_itself() -> None:
    parsed = template.parse("{{upper .a}} {{json .b}} {{truncate .c 1}}")
    assert parsed.execute({"a": "Aa", "b": "Bb", "c": "Cc"}, headings=True) == "Aa Bb Cc"
