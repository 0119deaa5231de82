"""-c of import and commit: what each instruction makes of a configuration."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.errors import PodError
from pod.core.image import changes

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("before", "lines", "after"),
    [
        ({}, ['CMD ["a", "b c"]'], {"Cmd": ["a", "b c"]}),
        ({}, ["cmd a b"], {"Cmd": ["/bin/sh", "-c", "a b"]}),
        ({"Shell": ["/bin/bash", "-c"]}, ["CMD a"], {"Shell": ["/bin/bash", "-c"], "Cmd": ["/bin/bash", "-c", "a"]}),
        ({"Cmd": ["old"]}, ['ENTRYPOINT ["e"]'], {"Entrypoint": ["e"]}),
        ({"Cmd": ["old"]}, ["CMD new", 'ENTRYPOINT ["e"]'], {"Cmd": ["/bin/sh", "-c", "new"], "Entrypoint": ["e"]}),
        ({"Env": ["A=1", "B=2"]}, ["ENV A=3 C=$B"], {"Env": ["A=3", "B=2", "C=2"]}),
        ({}, ["ENV A one two"], {"Env": ["A=one two"]}),
        ({}, ["ENV A='$B' C=\"x y\" D=e\\ f"], {"Env": ["A=$B", "C=x y", "D=e f"]}),
        ({"Env": ["A=1"]}, ["ENV B=${A}${Z:-z}${A:+y}"], {"Env": ["A=1", "B=1zy"]}),
        ({}, ["EXPOSE 80 90/udp 1000-1002"],
         {"ExposedPorts": {"1000/tcp": {}, "1001/tcp": {}, "1002/tcp": {}, "80/tcp": {}, "90/udp": {}}}),
        ({"Labels": {"a": "1"}}, ["LABEL a=2 'b c'=d"], {"Labels": {"a": "2", "b c": "d"}}),
        ({}, ["VOLUME /a /b"], {"Volumes": {"/a": {}, "/b": {}}}),
        ({}, ['VOLUME ["/a b"]'], {"Volumes": {"/a b": {}}}),
        ({"WorkingDir": "/a"}, ["WORKDIR b/../c"], {"WorkingDir": "/a/c"}),
        ({}, ["USER web:staff"], {"User": "web:staff"}),
        ({}, ["STOPSIGNAL SIGQUIT"], {"StopSignal": "SIGQUIT"}),
        ({}, ["ONBUILD RUN x", "ONBUILD CMD y"], {"OnBuild": ["RUN x", "CMD y"]}),
        ({}, ['SHELL ["/bin/ash", "-c"]', "CMD x"], {"Shell": ["/bin/ash", "-c"], "Cmd": ["/bin/ash", "-c", "x"]}),
        ({}, ["HEALTHCHECK NONE"], {"Healthcheck": {"Test": ["NONE"]}}),
        ({}, ["HEALTHCHECK --interval=1m --retries=3 CMD curl x"],
         {"Healthcheck": {"Interval": 60 * SECOND, "Retries": 3, "Test": ["CMD-SHELL", "curl x"]}}),
        ({}, ["USER a\nWORKDIR /b"], {"User": "a", "WorkingDir": "/b"}),
    ],
)  # fmt: skip
def test_apply_when_instructions_are_given_then_the_configuration(
    before: dict[str, Any], lines: list[str], after: dict[str, Any]
) -> None:
    changes.apply(before, lines)
    assert before == after


@pytest.mark.parametrize(
    "line",
    [
        "RUN true", "FROM x", "CMD", "ENV A", "ENV A=1 B", "EXPOSE x", "EXPOSE 1-90000", "EXPOSE 80/icmp", "SHELL sh",
        "VOLUME [\"\"]", "STOPSIGNAL NOPE", "ONBUILD FROM x", "ONBUILD ONBUILD RUN x", "HEALTHCHECK --every=1s CMD x",
        "HEALTHCHECK --interval=soon CMD x", "HEALTHCHECK CMD", "USER ${A:?x}",
    ],
)  # fmt: skip
def test_apply_when_an_instruction_is_bad_then_refused(line: str) -> None:
    with pytest.raises(PodError):
        changes.apply({}, [line])
