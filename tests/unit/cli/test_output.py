"""cli/output: tables, formats, documents, human numbers."""

from __future__ import annotations

import json

import pytest

from pod.cli import output
from pod.core.errors import PodError

HEADERS = {"ID": "CONTAINER ID", "Names": "NAMES", "Ports": "PORTS"}
ROWS = [
    {"ID": "0123456789ab", "Names": "one", "Ports": ""},
    {"ID": "ba9876543210", "Names": "a-longer-name", "Ports": "80/tcp"},
]


def test_table_pads_columns_by_three_and_to_ten(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["REPOSITORY", "TAG", "SIZE"], [["busybox", "1", "4.26MB"], ["example/longer", "latest", "1GB"]])
    assert capsys.readouterr().out == (
        "REPOSITORY       TAG       SIZE\nbusybox          1         4.26MB\nexample/longer   latest    1GB\n"
    )


def test_table_shows_control_characters_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["A", "B"], [["\x1b[31m\tx\n", "\u202e"]])
    assert capsys.readouterr().out == "A             B\n\\x1b[31m x    \\u202e\n"


def test_align_keeps_columns_to_adjacent_lines() -> None:
    assert output.align("a\tb\nlong-long-long\tc\n\nx\ty\n") == (
        "a                b\nlong-long-long   c\n\nx         y\n"
    )


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("{{.ID}}", "0123456789ab\nba9876543210\n"),
        (r"{{.ID}}\t{{.Names}}", "0123456789ab\tone\nba9876543210\ta-longer-name\n"),
        (
            r"table {{.Names}}\t{{.ID}}",
            "NAMES           CONTAINER ID\none             0123456789ab\na-longer-name   ba9876543210\n",
        ),
        ("table {{upper .Names}}", "NAMES\nONE\nA-LONGER-NAME\n"),
        (
            "json",
            '{"ID":"0123456789ab","Names":"one","Ports":""}\n{"ID":"ba9876543210","Names":"a-longer-name","Ports":"80/tcp"}\n',
        ),
        (
            "table",
            "CONTAINER ID   NAMES           PORTS\n0123456789ab   one             \n"
            "ba9876543210   a-longer-name   80/tcp\n",
        ),
    ],
)
def test_format_rows_follows_docker(capsys: pytest.CaptureFixture[str], format: str, expected: str) -> None:
    output.format_rows(format, HEADERS, ROWS)
    assert capsys.readouterr().out == expected


def test_format_rows_of_an_unknown_field_raises() -> None:
    with pytest.raises(PodError, match='map has no entry for key "Foo"'):
        output.format_rows("{{.Foo}}", HEADERS, ROWS)
    with pytest.raises(PodError, match="template parsing error"):
        output.format_rows("{{", HEADERS, ROWS)


def test_document_without_format_is_indented_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"Id": "x", "Env": ["A=é<"], "Empty": {}, "None": None}
    output.document([document], "")
    text = capsys.readouterr().out
    assert text.startswith('[\n    {\n        "Id": "x",\n')
    assert "é<" in text
    assert json.loads(text) == [document]
    output.document([], "")
    assert capsys.readouterr().out == "[]\n"


def test_document_with_format_is_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    output.document([{"A": {"B": 1}}, {"A": {"B": [1, "x"]}}], "{{.A.B}}")
    assert capsys.readouterr().out == "1\n[1 x]\n"
    output.document([{"B": 1, "A": None}], "json")
    assert capsys.readouterr().out == '{"B":1,"A":null}\n'


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1, "1B"), (999, "999B"), (4261000, "4.26MB"), (13300000, "13.3MB"), (10**9, "1GB"), (4260, "4.26kB")],
)
def test_human_size_has_three_digits(size: int, text: str) -> None:
    assert output.human_size(size) == text


def test_human_bytes_counts_in_1024() -> None:
    assert output.human_bytes(2096000000) == "1.952GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
        (-5, "Less than a second"),
    ],
)
def test_human_duration_follows_go_units(seconds: float, text: str) -> None:
    assert output.human_duration(seconds) == text


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-02-29T12:00:00.5Z", 1709208000.5),
        ("2024-02-29T14:00:00+02:00", 1709208000),
        ("2024-02-29T09:30:00.000000001-02:30", 1709208000),
    ],
)
def test_seconds_of_reads_rfc_3339(timestamp: str, seconds: float) -> None:
    assert output.seconds_of(timestamp) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "timestamp", ["", "x", "2024-02-29", "2024-02-29T12:00:00", "2024-02-29T12:00:00.5", "2024-02-29T12:00:00?1"]
)
def test_seconds_of_nonsense_raises(timestamp: str) -> None:
    with pytest.raises(ValueError, match="not an RFC 3339 time"):
        output.seconds_of(timestamp)


def test_ago_of_gos_zero_time_is_not_available() -> None:
    assert output.ago("0001-01-01T00:00:00Z", 0) == "N/A"
    assert output.ago("1970-01-01T00:00:00Z", 120) == "2 minutes ago"


def test_error_prints_message_and_hint_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    output.error(PodError("pull: evil\x1b[2J: no", hint="look"))
    assert capsys.readouterr().err == "pod: pull: evil\\x1b[2J: no\nhint: look\n"


def test_write_of_bytes_that_are_not_utf8_gives_them_back(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output.line(b"\xff\xfe".decode("utf-8", "surrogateescape"))
    output.line("\ud800")
    assert capfdbinary.readouterr().out == b"\xff\xfe\n?\n"


def test_document_escapes_what_could_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"Label": "a\x9b31mé\u202e\U000e0001\ud800", "Plain": "本"}
    output.document([document], "")
    text = capsys.readouterr().out
    assert json.loads(text) == [document]
    assert "\\u009b31mé\\u202e\\udb40\\udc01\\ud800" in text
    assert "本" in text


def test_labelled_rows_have_a_label_and_its_heading_is_the_last_part_of_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [({"Name": "a"}, {"com.example.my-own_label": "1"}), ({"Name": "b"}, {})]
    template = 'table {{.Name}}|{{.Label "com.example.my-own_label"}}'
    output.format_labelled(template, {"Name": "NAME"}, rows)
    assert capsys.readouterr().out.splitlines() == ["NAME|my own label", "a|1", "b|"]
