"""cli/main: dispatch, help, exit codes, wording of failures."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pod.cli import main as cli
from pod.cli import version
from pod.cli.options import Command, Options
from pod.core.engine import Engine
from pod.core.errors import PodError


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["foo"], 1, "pod: 'foo' is not a pod command.\nhint: See 'pod --help'\n"),
        (["rn"], 1, "pod: 'rn' is not a pod command.\nhint: See 'pod --help' (did you mean 'run'?)\n"),
        (["container", "rn"], 1, "pod: 'container rn' is not a pod command.\nhint: See 'pod container --help'"),
        (["context", "ls"], 1, "pod: 'context' is not there yet in this version\n"),
        (["context", "ls", "-q"], 1, "pod: 'context' is not there yet in this version\n"),
        (["swarm", "init", "--advertise-addr", "x"], 1, "pod: swarm, service, stack and node: "),
        (["stack"], 1, "pod: swarm, service, stack and node: "),
        (["--nonsense"], 125, "pod: unknown flag: --nonsense\nhint: See 'pod --help'.\n"),
        (["-H", "tcp://x", "version"], 125, "pod: --host: pod has no daemon to connect to\n"),
        (["--tlsverify", "version"], 125, "pod: --tlsverify: pod has no daemon to connect to\n"),
        (["-l", "loud", "version"], 125, "pod: unable to parse logging level: loud\n"),
        (["version", "--foo"], 125, "pod: unknown flag: --foo\nhint: See 'pod version --help'.\n"),
        (["version", "--debug"], 125, "pod: unknown flag: --debug\nhint: global flags go before the command"),
        (["version", "x"], 1, 'pod: "pod version" accepts no arguments.\n'),
        (["version", "-f", "{{"], 1, "pod: template parsing error: template: :1: unclosed action\n"),
        (["help", "foo"], 1, "pod: 'foo' is not a pod command.\n"),
    ],
)
def test_main_of_a_mistake_prints_one_line_and_a_hint(
    capsys: pytest.CaptureFixture[str], argv: list[str], status: int, message: str
) -> None:
    assert cli.main(argv) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(message)


@pytest.mark.parametrize("argv", [["--help"], ["help"], ["-h"], ["--help", "version"]])
def test_main_of_help_lists_the_commands(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage:  pod [OPTIONS] COMMAND\n")
    assert "  run       Create and run a new container from an image\n" in out
    assert "__explain" not in out
    assert "swarm" not in out


def test_main_without_arguments_prints_help_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert capsys.readouterr().err.startswith("Usage:  pod")


@pytest.mark.parametrize("argv", [["version", "--help"], ["help", "version"], ["version", "-h", "--help"]])
def test_main_of_a_commands_help_prints_its_page(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert cli.main(argv) == 0
    assert capsys.readouterr().out == (
        "Usage:  pod version [OPTIONS]\n\nShow the version of pod and of what it is made with\n\n"
        "Options:\n  -f, --format string   Format output: 'json', or a Go template\n"
    )


def test_main_of_a_group_prints_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["container", "--help"]) == 0
    out = capsys.readouterr().out
    assert "  ls        List containers\n" in out
    assert "  list " not in out
    assert cli.main(["container"]) == 0
    assert capsys.readouterr().err == out


def test_main_of_version_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-v"]) == 0
    assert capsys.readouterr().out.startswith(f"pod version {version.VERSION}, build ")
    assert cli.main(["version", "--format", "{{.Client.Version}}"]) == 0
    assert capsys.readouterr().out == version.VERSION + "\n"


def test_version_is_that_of_the_package() -> None:
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.*)"$', project, re.MULTILINE) == [version.VERSION]


class Probe(ModuleType):
    """A command whose main does what a test wants."""

    COMMAND = Command("probe", "", "Probe")
    failure: BaseException | None = None
    engine: Engine | None = None

    def main(self, engine: Engine, options: Options) -> int:
        self.engine = engine
        if self.failure:
            raise self.failure
        return 7


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Probe:
    module = Probe("pod.cli.probe")
    monkeypatch.setitem(sys.modules, "pod.cli.probe", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", ("probe", "Probe", ""))
    monkeypatch.setitem(cli.COMMANDS, "run", ("probe", "Probe", ""))
    return module


def test_main_returns_the_commands_status_and_gives_it_an_engine(probe: Probe, tmp_path: Path) -> None:
    assert cli.main(["--root", str(tmp_path / "s"), "--config", str(tmp_path), "probe"]) == 7
    assert probe.engine is not None
    assert probe.engine.paths.root == str(tmp_path / "s")
    assert probe.engine.environ["DOCKER_CONFIG"] == str(tmp_path)


@pytest.mark.parametrize(
    ("failure", "command", "status", "message"),
    [
        (PodError("no: good", hint="better"), "probe", 1, "pod: no: good\nhint: better\n"),
        (PodError("no: good"), "run", 125, "pod: no: good\n"),
        (
            KeyError("x"),
            "probe",
            1,
            "pod: probe: KeyError: 'x': this is a bug in pod\nhint: 'pod --debug probe …' shows",
        ),
        (KeyError("x"), "run", 125, "pod: run: KeyError: 'x': this is a bug in pod\n"),
        (OSError(28, "No space left on device", "/x"), "probe", 1, "pod: probe: /x: No space left on device\nhint: "),
        (RecursionError("deep"), "probe", 1, "pod: probe: RecursionError: deep: this is a bug in pod\n"),
        (KeyboardInterrupt(), "probe", 130, ""),
    ],
)
def test_main_of_a_failing_command_words_it(
    capsys: pytest.CaptureFixture[str], probe: Probe, failure: BaseException, command: str, status: int, message: str
) -> None:
    probe.failure = failure
    assert cli.main([command]) == status
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert "Traceback" not in captured.err


def test_main_when_interrupted_while_c_imports_a_module_then_it_is_an_interrupt(
    capsys: pytest.CaptureFixture[str], probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def imports(*_: object) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("PyCapsule_Import could not import module") from None
        return 0

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(probe, "main", imports)
        assert cli.main(["probe"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(probe, "main", Probe("other").main)
    assert cli.main(["probe"]) == 7


def test_main_with_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], probe: Probe) -> None:
    probe.failure = KeyError("x")
    assert cli.main(["--debug", "probe"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_every_table_entry_says_what_it_is() -> None:
    for name, (module, summary, section) in cli.COMMANDS.items():
        assert module, name
        assert summary or section == "hidden", name
