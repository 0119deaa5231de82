"""Every application of docs/examples comes up and does what its first lines say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import places, podcli
from tests.support.compose import App
from tests.support.podcli import Pod

EXAMPLES = places.REPOSITORY / "docs" / "examples"
pytestmark = pytest.mark.slow


class Example(App):
    """One of the folders, copied; BUSYBOX is the test's image."""

    def __init__(self, pod: Pod, image: str, folder: Path, name: str) -> None:
        super().__init__(pod, image, folder / name, name)
        shutil.copytree(EXAMPLES / name, self.folder)
        for path in self.folder.rglob("*"):
            os.chmod(path, 0o755 if path.is_dir() else 0o644)
        self.port = podcli.free_port()

    def __call__(self, *words: str, **more: object) -> podcli.Result:
        env = {"BUSYBOX": self.image, "PORT": str(self.port), "VOTE_PORT": "0", "RESULT_PORT": "0"}
        env.update(more.pop("env", {}))  # type: ignore[call-overload]
        return self.pod("compose", *words, cwd=self.folder, env=env, timeout=120, **more)  # type: ignore[arg-type]

    def up(self, *words: str, **more: object) -> None:
        self("up", "-d", *words, **more).ok()

    def says(self, service: str, url: str, text: str) -> None:
        podcli.until(
            lambda: text in self("exec", "-T", service, "wget", "-qO-", url).out, 20, f"{service} to hear {text!r}"
        )


@pytest.fixture
def example(request: pytest.FixtureRequest, pod: Pod, busybox: str, tmp_path: Path) -> Iterator[Example]:
    made = Example(pod, busybox, tmp_path, str(request.param))
    yield made
    made.close()
    assert made.leftovers() == []


def on(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [name], indirect=True)


def test_each_example_has_a_test() -> None:
    text = Path(__file__).read_text()
    assert {path.name for path in EXAMPLES.iterdir() if f'@on("{path.name}")' not in text} == set()


@on("blog")
def test_blog_when_up_then_it_answers_with_what_the_database_has(example: Example) -> None:
    example.up()
    example.says("blog", "http://127.0.0.1", "blog with secret of 10 bytes")
    ids = example.ids()
    example.up()
    assert example.ids() == ids


@on("voting")
def test_voting_when_up_then_a_vote_comes_through_all_five(example: Example) -> None:
    example.up()
    example.says("vote", "http://127.0.0.1", "cats or dogs?")
    example.says("vote", "http://result", "one vote for cats")


@on("build")
def test_build_when_up_then_the_built_pages_are_served(example: Example) -> None:
    example.up()
    example.says("web", "http://127.0.0.1", "built here")
    example("down", "--rmi", "local").ok()


@on("profiles")
def test_profiles_when_tools_are_asked_for_then_they_run(example: Example) -> None:
    example.up()
    assert sorted(example.states()) == ["profiles-app-1"]
    assert example("run", "--rm", "-T", "check").ok() == "ready\n"


@on("include")
def test_include_when_up_then_the_other_file_is_part_of_it(example: Example) -> None:
    example.up()
    podcli.until(lambda: "hello from the database" in example("logs", "app").out, 20, "the greeting")


@on("override")
def test_override_when_read_by_itself_or_by_name_then_that_file_counts(example: Example) -> None:
    example.up()
    podcli.until(lambda: "mode is development" in example("logs").out, 20, "its mode")
    files = ("-f", "compose.yaml", "-f", "compose.production.yaml")
    example(*files, "up", "-d").ok()
    assert len(example.ids()) == 2
    podcli.until(lambda: example(*files, "logs").out.count("mode is production") == 2, 20, "the mode of both")


@on("replicas")
def test_replicas_when_changed_then_one_after_the_other_is_replaced(example: Example) -> None:
    example.up()
    before = example.ids()
    heard: set[str] = set()

    def ask() -> bool:
        heard.add(example("exec", "-T", "client", "wget", "-qO-", "http://web").out)
        return len(heard - {""}) >= 2

    podcli.until(ask, 30, "two of the three to answer")
    said = example("up", "-d", env={"RELEASE": "2"}).err
    assert said.index("web-1  Started") < said.index("web-2  Recreate\n")
    assert said.index("web-2  Started") < said.index("web-3  Recreate\n")
    after = example.ids()
    assert {name for name in before if before[name] == after[name]} == {"replicas-client-1"}
