"""Compose files of our own, each key, rule and error: what pod understands is what Docker's Compose 2.26 understands
(tests/support/compose_corpus.py has the form of tests/conformance/compose and what wrote its expectations).

compose_corpus.DIFFERENCES are those in which pod's answer is meant to be another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pod.core.compose import load, selecting
from pod.core.compose.project import Request
from pod.core.errors import PodError
from tests.support import compose_corpus
from tests.support.compose_corpus import DIFFERENCES, Case

pytestmark = pytest.mark.pure
LEAST = 200
CASES = [case for group in compose_corpus.groups() for case in compose_corpus.read(group)]


def understood(case: Case, folder: Path) -> Any:
    """pod's answer in the form of the expectations."""
    options: dict[str, list[str]] = {"-f": [], "--profile": [], "--env-file": [], "-p": [], "--project-directory": []}
    words = case.arguments()
    for name, value in zip(words[::2], words[1::2]):
        options[name].append(value)
    project = load.load(
        Request(
            environ={"HOME": "/home/someone", **case.environ},
            cwd=str(folder),
            files=options["-f"],
            profiles=options["--profile"],
            env_files=options["--env-file"],
            project_name=(options["-p"] or [None])[0],
            project_directory=(options["--project-directory"] or [None])[0],
            services=case.services,
        )
    )
    return compose_corpus.placed(doubled(selecting.select(project, case.services).document()), str(folder))


def doubled(value: Any) -> Any:
    """Dollar signs as ``config`` prints them."""
    if isinstance(value, dict):
        return {doubled(key): doubled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [doubled(inner) for inner in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def test_corpus_when_counted_then_large_and_each_difference_is_a_case() -> None:
    names = {str(case) for case in CASES}
    assert len(CASES) == len(names) >= LEAST
    assert names >= DIFFERENCES.keys()
    for group in compose_corpus.groups():
        assert set(compose_corpus.expected(group)) == {case.name for case in CASES if case.group == group}


@pytest.mark.parametrize("group", compose_corpus.groups())
def test_corpus_when_read_then_as_docker_understands_it(group: str, tmp_path: Path) -> None:
    known = compose_corpus.expected(group)
    wrong = []
    for case in [case for case in CASES if case.group == group]:
        folder = case.make(tmp_path)
        try:
            found, said = understood(case, folder), ""
        except PodError as error:
            found, said = None, error.message
        missing = [words for words in case.errors if words not in said]
        if missing:
            wrong.append(f"{case}: {missing} not in: {said or 'it did not fail'}")
        elif str(case) not in DIFFERENCES and found != known[case.name]:
            wrong.append(f"{case}:\n  pod    {said or found}\n  docker {known[case.name]}")
        elif str(case) in DIFFERENCES and found == known[case.name]:
            wrong.append(f"{case}: is no difference")
    assert not wrong, "\n".join(wrong)
