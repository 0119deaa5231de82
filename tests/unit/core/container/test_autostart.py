"""What is written for cron and systemd, whatever characters a path has."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pod.core.container import autostart
from pod.core.engine import Engine


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr("sys.argv", ["/no such/100% pod"])
    monkeypatch.setattr(autostart, "_command", lambda: ["/no such/100% \"$pod\""])
    return Engine({"HOME": "/home/me", "POD_CONFIG": "/c d%"}, root="/data/it's %")


def test_crontab_line_when_odd_paths_then_the_shell_gets_them_back(odd: Engine) -> None:
    line = autostart.crontab_line(odd)
    assert "%" not in line.replace("\\%", "")
    words = shlex.split(line.replace("\\%", "%"))
    assert words == [
        "@reboot", "POD_CONFIG=/c d%", "POD_ROOT=/data/it's %", "/no such/100% \"$pod\"", "system", "autostart",
    ]  # fmt: skip


def test_unit_when_odd_paths_then_systemds_quotes(odd: Engine) -> None:
    lines = autostart.user_unit(odd).splitlines()
    assert 'ExecStart="/no such/100%% \\"$$pod\\"" "system" "autostart"' in lines
    assert 'Environment="POD_CONFIG=/c d%%"' in lines
    assert 'Environment="POD_ROOT=/data/it\'s %%"' in lines


def test_store_when_the_default_then_no_variable(tmp_path: Path) -> None:
    assert autostart._variables(Engine({"HOME": str(tmp_path)})) == {}
    elsewhere = Engine({"HOME": str(tmp_path), "XDG_DATA_HOME": "/data"})
    assert autostart._variables(elsewhere) == {"POD_ROOT": "/data/pod"}
