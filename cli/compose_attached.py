"""``up`` in the foreground: the containers' output until all have ended; SIGINT stops them, a second one kills."""

from __future__ import annotations

import os
import sys
import time

from pod.cli import compose_log_view as views
from pod.cli import compose_project, output
from pod.core.container import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from pod.cli.options import Options
    from pod.core.compose.project import Project
    from pod.core.compose.work import Doing
    from pod.core.container.model import Container
    from pod.core.engine import Engine

_GRACEFUL = "Gracefully stopping... (press Ctrl+C again to force)"


def follow(engine: Engine, options: Options, project: Project, doing: Doing) -> int:
    """The exit status of ``up``."""
    from pod.core.errors import PodError

    wanted = options["exit-code-from"]
    if wanted and wanted not in project.services:
        raise PodError(f"no such service: {wanted}", hint="--exit-code-from is of a service of the file")
    return _Session(engine, options, project, doing).run()


class _Session:
    def __init__(self, engine: Engine, options: Options, project: Project, doing: Doing) -> None:
        self.engine = engine
        self.options = options
        self.project = project
        self.doing = doing
        self.interrupts = 0
        self.code = 0
        self.child = 0  # who stops the containers
        self.stage = ""  # "", stop, kill
        self.watcher = 0
        self.running: dict[str, str] = {}  # by id: the name that is shown
        self.services: dict[str, str] = {}
        self.streams: list[views.Stream] = []
        self.view = self._begin()

    def _begin(self) -> views.View:
        from pod.core.compose import existing

        options, names = self.options, []
        chosen = set(
            options["attach"] or (options.args if not options["attach-dependencies"] else ()) or self.doing.targets
        )
        chosen -= set(options["no-attach"])
        how: dict[str, object] = {"tail": -1, "since": "", "until": "", "follow": True}
        for container in sorted(existing.containers(self.engine, self.project.name), key=lambda one: one.name):
            one = existing.instance(container)
            if one.oneoff or one.service not in self.doing.targets:
                continue
            name = views.short_name(self.project.name, one.name)
            self.running[one.id], self.services[one.id] = name, one.service
            names.append(name)
            attach = self.project.services[one.service].get("attach", True)
            if one.service in chosen and attach is not False and views.readable(container):
                how = {**how, "since": _started(container)}
                self.streams.append(views.Stream(self.engine, container, name, how))
        output.line(f"Attaching to {', '.join(one.name for one in self.streams)}")
        colour = views.has_colour(options, never=options["no-color"])
        return views.View(names, prefix=not options["no-log-prefix"], colour=colour, timestamps=options["timestamps"])

    def run(self) -> int:
        import signal

        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            if self.options["watch"]:
                self._watch()
            while self.running or self.child or not all(one.ended for one in self.streams):
                busy = views.drain(self.streams, self.view)
                self._look()
                self._react()
                if not busy:
                    time.sleep(logs.POLL)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._end_watcher()
        return 130 if self.interrupts else self.code

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.interrupts += 1

    def _look(self) -> None:
        """Who has ended."""
        from pod.core.container import lifecycle, model

        for container_id, name in list(self.running.items()):
            try:
                now = lifecycle.settle(self.engine, model.read(self.engine, container_id))
            except FileNotFoundError:
                del self.running[container_id]
                continue
            if now.is_running:
                continue
            del self.running[container_id]
            views.drain([one for one in self.streams if one.name == name], self.view)
            if now.status == "exited":
                self.view.say(name, f"exited with code {now.exit_code}")
                self._ended(self.services[container_id], now.exit_code)

    def _ended(self, service: str, code: int) -> None:
        options = self.options
        if self.stage:
            if service == options["exit-code-from"]:
                self.code = code
            return
        if service == options["exit-code-from"]:
            self.code = code
            self._stop("stop", "Aborting on container exit...")
        elif options["abort-on-container-exit"] or (options["abort-on-container-failure"] and code):
            self.code = self.code if options["exit-code-from"] else code
            self._stop("stop", "Aborting on container exit...")

    def _react(self) -> None:
        if self.interrupts and not self.stage:
            self._stop("stop", _GRACEFUL)
        elif self.interrupts > 1 and self.stage == "stop":
            if self.child:
                _end(self.child)
                self.child = 0
            self._stop("kill", "Killing...")
        if self.child and os.waitpid(self.child, os.WNOHANG)[0]:
            self.child = 0

    def _stop(self, stage: str, words: str) -> None:
        """In a process of its own, so that the output goes on; a terminal's SIGINT is not for it."""
        import signal

        self.stage = stage
        output.line(words, sys.stderr)
        sys.stdout.flush()
        self.child = os.fork()
        if self.child:
            return
        status = 1
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
            status = self._stop_all(stage)
        finally:
            os._exit(status)

    def _stop_all(self, stage: str) -> int:
        from pod.cli import compose_hands
        from pod.core.compose import existing, plan_down

        with compose_project.lock(self.engine, self.project.name):
            found = existing.find(self.engine, self.project.name)
            running = [
                one for one in found.instances if one.runs and one.service in self.doing.targets and not one.oneoff
            ]
            if stage == "kill":
                plan = plan_down.plan_each("kill", running, signal=9)
            else:
                seconds = compose_project.timeout(self.options)
                plan = plan_down.plan_stop(self.project.services, running, seconds)
            voice = compose_hands.hands(self.engine, self.options, self.project)
            return compose_hands.carry_out(self.engine, self.options, plan, self.doing, voice)

    def _watch(self) -> None:
        from pod.cli import compose_watch

        self.watcher = os.fork()
        if not self.watcher:
            try:
                compose_watch.watch(self.engine, self.options, self.project)
            except KeyboardInterrupt:
                pass
            finally:
                os._exit(0)

    def _end_watcher(self) -> None:
        if self.watcher:
            _end(self.watcher)


def _end(child: int) -> None:
    try:
        os.kill(child, 15)
        os.waitpid(child, 0)
    except OSError:
        return


def _started(container: Container) -> str:
    """Since when it runs: what it wrote in earlier lives was shown then."""
    return str(container.state.get("startedAt") or "")
