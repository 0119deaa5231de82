"""cli/options and cli/flag_values against the rules and messages of Docker's parser."""

from __future__ import annotations

import pytest

from pod.cli import run_flags
from pod.cli.flag_values import parse_bytes, parse_duration, split_csv
from pod.cli.options import Command, Flag, Options, parse
from pod.core.errors import UsageError

RUN = Command(
    "run",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run",
    run_flags.RUN,
    min_args=1,
    interspersed=False,
    spellings=run_flags.SPELLINGS,
)

RM = Command(
    "rm",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove",
    (
        Flag("force", "f", "bool", "Force"),
        ("volumes", "v", "bool", "Volumes"),
        ("time", "t", "int", "Seconds", 10),
        ("filter", "", "filter", "Filter"),
        ("platform", "", "stringSlice", "Platforms"),
    ),
    min_args=1,
)


def run(*words: str) -> Options:
    return parse(RUN, [*words, "image"])


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["-it"], "tty", True),
        (["-dP"], "publish-all", True),
        (["-v/a:/b"], "volume", ["/a:/b"]),
        (["-v", "/a:/b", "-v=/c:/d"], "volume", ["/a:/b", "/c:/d"]),
        (["-eA=b"], "env", ["A=b"]),
        (["-e", "A=b=c"], "env", ["A=b=c"]),
        (["-p80:80"], "publish", ["80:80"]),
        (["-itp", "80"], "publish", ["80"]),
        (["-itp80"], "publish", ["80"]),
        (["--env=A=b"], "env", ["A=b"]),
        (["--env", "--rm"], "env", ["--rm"]),
        (["--name="], "name", ""),
        (["--tty=false"], "tty", False),
        (["-t=false"], "tty", False),
        (["-t=0"], "tty", False),
        (["--sig-proxy=F"], "sig-proxy", False),
        ([], "sig-proxy", True),
        (["--net", "none"], "network", ["none"]),
        (["--net-alias", "x"], "network-alias", ["x"]),
        (["--policy", "never"], "pull", "never"),
        (["-m", "512m"], "memory", 512 << 20),
        (["--memory-swap", "-1"], "memory-swap", -1),
        (["--memory-swap=1g"], "memory-swap", 1 << 30),
        (["--cpus", "1.5"], "cpus", 1500000000),
        (["--cpus", "1/4"], "cpus", 250000000),
        (["--cpus", ".5"], "cpus", 500000000),
        (["--health-interval", "1m30s"], "health-interval", 90 * 10**9),
        (["--blkio-weight", "0x10"], "blkio-weight", 16),
        (["--stop-timeout=-1"], "stop-timeout", -1),
        (["--sysctl", "a=b", "--sysctl", "c"], "sysctl", {"a": "b", "c": ""}),
        (["--ip", "10.0.0.1"], "ip", "10.0.0.1"),
        (["--memory-swappiness", "60"], "memory-swappiness", 60),
        ([], "memory-swappiness", -1),
        ([], "pull", "missing"),
        (["--"], "tty", False),
        (["-h", "box"], "hostname", "box"),
    ],
)
def test_parse_of_run_flags_gives_pflags_values(words: list[str], name: str, value: object) -> None:
    options = run(*words)
    assert options[name] == value
    assert options.args == ["image"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--foo=1"], "unknown flag: --foo"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-itxz"], "unknown shorthand flag: 'x' in -xz"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (["-m", "foo"], 'invalid argument "foo" for "-m, --memory" flag: invalid size: \'foo\''),
        (["-m", "1x"], 'invalid argument "1x" for "-m, --memory" flag: invalid suffix: \'x\''),
        (["-m", "-1"], 'invalid argument "-1" for "-m, --memory" flag: invalid size: \'-1\''),
        (
            ["--tty=maybe"],
            'invalid argument "maybe" for "-t, --tty" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            ["--cpu-period", "x"],
            'invalid argument "x" for "--cpu-period" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            ["--blkio-weight", "70000"],
            'invalid argument "70000" for "--blkio-weight" flag:'
            ' strconv.ParseUint: parsing "70000": value out of range',
        ),
        (["--cpus", "x"], 'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number'),
        (["--cpus", "0.00000000001"], 'invalid argument "0.00000000001" for "--cpus" flag: value is too precise'),
        (
            ["--health-interval", "10"],
            'invalid argument "10" for "--health-interval" flag: time: missing unit in duration "10"',
        ),
        (["--ip", "x"], 'invalid argument "x" for "--ip" flag: failed to parse IP: "x"'),
    ],
)
def test_parse_of_a_bad_flag_says_what_docker_says(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(*words)
    assert caught.value.message == message
    assert caught.value.hint == "See 'pod run --help'."
    assert caught.value.exit_code == 125


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--name"], "flag needs an argument: --name"), (["-itv"], "flag needs an argument: 'v' in -v")],
)
def test_parse_of_a_flag_at_the_end_needs_its_argument(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(RUN, words)


def test_parse_of_run_leaves_everything_after_the_image_alone() -> None:
    options = parse(RUN, ["--rm", "consul", "--help", "-v", "--", "x"])
    assert options.args == ["consul", "--help", "-v", "--", "x"]
    assert options.given == {"rm"}


def test_parse_of_a_double_dash_ends_the_flags() -> None:
    assert parse(RUN, ["--rm", "--", "-image", "-x"]).args == ["-image", "-x"]
    assert parse(RM, ["a", "--", "-f"]).args == ["a", "-f"]


def test_parse_takes_flags_after_arguments_where_the_command_allows() -> None:
    options = parse(RM, ["a", "-f", "b", "-v", "-"])
    assert options.args == ["a", "b", "-"]
    assert options["force"]
    assert options["volumes"]


def test_parse_splits_slices_and_checks_filters() -> None:
    options = parse(RM, ["a", "--platform", 'x,"y,z"', "--platform=w", "--filter", "Label=a=b", "--filter", ""])
    assert options["platform"] == ["x", "y,z", "w"]
    assert options["filter"] == ["label=a=b"]
    with pytest.raises(UsageError, match="bad format of filter"):
        parse(RM, ["a", "--filter", "x"])


@pytest.mark.parametrize(
    ("least", "most", "words", "message"),
    [
        (1, None, [], '"pod x" requires at least 1 argument.'),
        (2, None, ["a"], '"pod x" requires at least 2 arguments.'),
        (0, 0, ["a"], '"pod x" accepts no arguments.'),
        (1, 1, ["a", "b"], '"pod x" requires exactly 1 argument.'),
        (2, 2, ["a"], '"pod x" requires exactly 2 arguments.'),
        (0, 1, ["a", "b"], '"pod x" requires at most 1 argument.'),
        (1, 2, [], '"pod x" requires at least 1 and at most 2 arguments.'),
    ],
)
def test_parse_of_a_wrong_number_of_arguments_says_what_docker_says(
    least: int, most: int | None, words: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse(Command("x", "ARG", "X", min_args=least, max_args=most), words)
    assert caught.value.message == message
    assert caught.value.exit_code == 1
    assert parse(Command("x", "ARG", "X", min_args=least, max_args=most), ["--help"])["help"]


def test_parse_gives_each_call_lists_of_its_own() -> None:
    run("-e", "A=b")["env"].append("x")
    assert run()["env"] == []


def test_parse_knows_every_flag_of_run_and_create_once() -> None:
    for table in (run_flags.RUN, run_flags.CREATE):
        flags = [Flag(*row) for row in table]
        names = [flag.name for flag in flags]
        shorts = [flag.short for flag in flags if flag.short]
        assert len(set(names)) == len(names)
        assert len(set(shorts)) == len(shorts)
        assert all(flag.help or flag.hidden for flag in flags)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("1b", 1),
        ("1k", 1024),
        ("1kb", 1024),
        ("1KiB", 1024),
        ("1.5g", 3 << 29),
        ("10 mb", 10 << 20),
        ("1t", 1 << 40),
        ("0", 0),
    ],
)
def test_parse_bytes_of_a_size_counts_in_steps_of_1024(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize(
    "text", ["", "m", "1kib2", "1mm", "1bb", "1.2.3m", "0x10", "1e999", "9" * 100, "nan", "1 m", " "]
)
def test_parse_bytes_of_nonsense_raises(text: str) -> None:
    if text == "1 m":
        assert parse_bytes(text) == 1 << 20
        return
    with pytest.raises(ValueError, match=r"invalid|parsing"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("300ms", 3 * 10**8),
        ("-1.5h", -5400 * 10**9),
        ("2h45m", 9900 * 10**9),
        ("1us", 1000),
        (".5s", 5 * 10**8),
    ],
)
def test_parse_duration_gives_nanoseconds(text: str, value: int) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    "text", ["", "-", "1", "s", ".s", "1x", "1.2.3s", "1s2", "9999999999h", "1" * 5000 + "s", "+-1s"]
)
def test_parse_duration_of_nonsense_raises(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


@pytest.mark.parametrize("text", ['"a', '"a"b', 'a"b', '"a""', '"'])
def test_split_csv_of_bad_quotes_raises(text: str) -> None:
    with pytest.raises(ValueError, match="parse error"):
        split_csv(text)


def test_split_csv_reads_quotes() -> None:
    assert split_csv('a,"b,c","d""e",') == ["a", "b,c", 'd"e', ""]
    assert split_csv("") == []
