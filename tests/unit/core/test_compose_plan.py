"""Plans of Compose: from what is wanted and what is there to actions, without a kernel."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.compose import execute, order, plan_down, plan_up
from pod.core.compose.existing import Existing, Instance
from pod.core.compose.plan import Action, Plan
from pod.core.compose.project import Project
from pod.core.errors import PodError


def project(**services: dict[str, Any]) -> Project:
    made = Project("app", "/app")
    made.services = {name: {"image": "busybox", "networks": {"default": None}, **one} for name, one in services.items()}
    made.networks = {"default": {"name": "app_default"}}
    return made


def targets(made: Project, names: list[str] | None = None) -> list[plan_up.Target]:
    found = []
    for name in names or sorted(made.services):
        target = plan_up.Target(name, made.services[name], plan_up.scale_of(made.services[name]))
        target.digest, target.image, target.networks = "digest", "sha256:1", ("default",)
        found.append(target)
    return found


def there(service: str, number: int = 1, **more: Any) -> Instance:
    one = Instance(f"app-{service}-{number}", service, number)
    one.digest, one.image, one.networks = "digest", "sha256:1", ("app_default",)
    for name, value in more.items():
        setattr(one, name, value)
    return one


def existing(*instances: Instance, networks: bool = True) -> Existing:
    found = Existing()
    found.instances = list(instances)
    if networks:
        found.networks = {"default": "app_default"}
    return found


def up(made: Project, found: Existing, wanted: list[plan_up.Target] | None = None, **more: Any) -> Plan:
    choices = plan_up.Choices()
    choices.selected = set(made.services)
    for name, value in more.items():
        setattr(choices, name, value)
    return plan_up.plan_up(made, wanted or targets(made), found, choices)


def shown(plan: Plan) -> list[str]:
    """The actions in an order in which they could be done."""
    lines: list[str] = []
    execute.rehearse(
        plan, lambda action, word: lines.append(f"{action.kind} {action.name}") if word == "done" else None
    )
    return lines


def before(plan: Plan, first: str, second: str) -> bool:
    """Whether ``first`` must be done before ``second``, by any way of needs."""
    positions = {f"{action.kind} {action.name}": at for at, action in enumerate(plan.actions)}
    todo, seen = [positions[second]], set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        todo += plan.actions[at].needs
    return positions[first] in seen - {positions[second]}


def test_up_when_nothing_is_there_then_networks_come_before_containers() -> None:
    plan = up(project(web={}), existing(networks=False))
    assert shown(plan) == ["network app_default", "create app-web-1", "start app-web-1"]


def test_up_when_all_is_as_wanted_then_nothing_changes() -> None:
    plan = up(project(web={}, db={}), existing(there("web"), there("db")))
    assert not plan.changes
    assert shown(plan) == ["keep app-db-1", "keep app-web-1"]


@pytest.mark.parametrize("member", ["digest", "image", "staged", "networks"])
def test_up_when_one_thing_differs_then_that_container_alone_is_made_anew(member: str) -> None:
    changed = there("web", **{member: () if member == "networks" else "other"})
    if member == "networks":
        changed.networks = ("elsewhere",)
    plan = up(project(web={}, db={}), existing(changed, there("db")))
    assert shown(plan) == ["keep app-db-1", "recreate app-web-1", "start app-web-1"]


def test_up_when_recreation_is_forbidden_or_forced_then_it_is_so() -> None:
    made, found = project(web={}), existing(there("web", digest="old"))
    assert shown(up(made, found, recreate="never")) == ["keep app-web-1"]
    assert shown(up(made, existing(there("web")), recreate="force")) == ["recreate app-web-1", "start app-web-1"]


def test_up_when_a_condition_is_asked_then_the_start_waits_for_it() -> None:
    needs = {"db": {"condition": "service_healthy"}, "job": {"condition": "service_completed_successfully"}}
    plan = up(project(web={"depends_on": needs}, db={}, job={}), existing())
    assert before(plan, "start app-db-1", "wait db")
    assert before(plan, "wait db", "start app-web-1")
    assert before(plan, "wait job", "start app-web-1")
    assert not before(plan, "start app-db-1", "create app-web-1")


def test_up_when_dependencies_are_not_taken_along_then_nobody_waits_for_them() -> None:
    made = project(web={"depends_on": {"db": {"condition": "service_healthy"}}}, db={})
    assert shown(up(made, existing(), targets(made, ["web"]))) == ["create app-web-1", "start app-web-1"]


def test_up_when_a_dependency_is_made_anew_then_who_asks_for_it_is_restarted_around_it() -> None:
    made = project(web={"depends_on": {"db": {"condition": "service_started", "restart": True}}}, db={})
    plan = up(made, existing(there("web"), there("db", digest="old")))
    assert before(plan, "stop app-web-1", "recreate app-db-1")
    assert before(plan, "start app-db-1", "start app-web-1")


def test_up_when_namespaces_are_shared_then_a_new_container_takes_the_other_along() -> None:
    made = project(web={}, side={"network_mode": "service:web"})
    plan = up(made, existing(there("web", digest="old"), there("side")))
    assert before(plan, "recreate app-web-1", "recreate app-side-1")


def test_up_when_scaled_then_the_highest_numbers_come_and_go() -> None:
    made = project(web={"scale": 3})
    assert shown(up(made, existing(there("web"))))[1:] == [
        "create app-web-2", "create app-web-3", "start app-web-2", "start app-web-3",
    ] or sorted(shown(up(made, existing(there("web"))))) == sorted([
        "keep app-web-1", "create app-web-2", "create app-web-3", "start app-web-2", "start app-web-3",
    ])  # fmt: skip
    less = project(web={"deploy": {"replicas": 1}})
    assert sorted(shown(up(less, existing(there("web"), there("web", 2))))) == ["end app-web-2", "keep app-web-1"]


def test_up_when_killed_between_two_of_a_number_then_the_wanted_one_stays_and_gets_its_name() -> None:
    old, new = there("web", digest="old", id="a"), there("web", id="b")
    new.name = "aaaa_app-web-1"
    plan = up(project(web={}), existing(old, new))
    assert shown(plan) == ["end app-web-1", "rename aaaa_app-web-1", "keep app-web-1"]
    assert before(plan, "end app-web-1", "rename aaaa_app-web-1")
    new.digest = "older"
    plan = up(project(web={}), existing(old, new))
    assert before(plan, "end app-web-1", "recreate app-web-1")


def test_up_when_services_vanished_then_orphans_are_told_or_removed() -> None:
    found = existing(there("web"), there("gone"), there("gone", 2, oneoff=True))
    plan = up(project(web={}), found)
    assert "app-gone-1" in plan.warnings[0]
    assert "app-gone-2" not in plan.warnings[0]
    assert "end app-gone-1" in shown(up(project(web={}), found, remove_orphans=True))


def test_up_when_updates_are_to_roll_then_one_container_comes_after_the_other() -> None:
    made = project(web={"deploy": {"replicas": 3, "update_config": {"parallelism": 1, "delay": "2s"}}})
    plan = up(made, existing(*(there("web", number, digest="old") for number in (1, 2, 3))))
    assert before(plan, "start app-web-1", "recreate app-web-2")
    assert before(plan, "start app-web-2", "recreate app-web-3")
    replaced = [action for action in plan.actions if action.kind == "recreate"]
    for number, action in enumerate(replaced[1:], 1):  # the one before does what it is for, not only runs
        (wait,) = [plan.actions[need] for need in action.needs if plan.actions[need].kind == "wait"]
        assert (wait.data["condition"], wait.data["names"]) == ("updated", (f"app-web-{number}",))
    assert [action.data.get("delay", "") for action in plan.actions if action.kind == "recreate"] == ["", "2s", "2s"]


def test_up_when_a_service_has_a_name_of_its_own_then_it_cannot_be_scaled() -> None:
    with pytest.raises(PodError, match="custom container name"):
        up(project(web={"container_name": "mine", "scale": 2}), existing())


def test_up_when_external_resources_are_named_then_they_are_looked_for() -> None:
    made = project(web={"volumes": [{"type": "volume", "source": "data", "target": "/d"}]})
    made.volumes = {"data": {"name": "theirs", "external": True}}
    assert "external theirs" in shown(up(made, existing()))


def test_up_when_a_network_or_volume_was_made_otherwise_then_that_is_told() -> None:
    made = project(web={"volumes": [{"type": "volume", "source": "data", "target": "/d"}]})
    made.volumes = {"data": {"driver_opts": {"type": "tmpfs", "size": 3}}}
    made.networks = {"default": {"name": "app_default", "internal": True}}
    found = existing(there("web"))
    found.volumes = {"data": "app_data"}
    found.made = {
        "app_default": {"driver": "bridge", "driver_opts": {}, "enable_ipv6": False, "internal": False},
        "app_data": {"driver_opts": {"type": "tmpfs", "size": "3"}},
    }
    (said,) = up(made, found).warnings
    assert said.startswith("network app_default is there, with another internal than the file's: 'pod compose down'")
    found.made["app_default"]["internal"], found.made["app_data"]["driver_opts"] = True, {}
    (said,) = up(made, found).warnings
    assert said.startswith("volume app_data is there, with another driver_opts than the file's")
    found.made["app_data"]["driver_opts"] = {"type": "tmpfs", "size": "3"}
    assert up(made, found).warnings == []


def test_order_when_services_need_each_other_then_the_cycle_is_named() -> None:
    made = project(a={"depends_on": {"b": {}}}, b={"depends_on": {"c": {}}}, c={"depends_on": {"a": {}}})
    with pytest.raises(PodError, match="dependency cycle detected: a -> b -> c -> a"):
        order.sort(made.services)


def test_order_when_a_chain_is_long_then_it_takes_no_recursion() -> None:
    services = {f"s{n:05}": {"depends_on": {f"s{n + 1:05}": {}}} for n in range(5000)}
    services["s05000"] = {}
    assert order.sort(services)[0] == "s05000"


def test_down_when_services_need_each_other_then_the_order_is_reversed() -> None:
    made = project(web={"depends_on": {"mid": {}}}, mid={"depends_on": {"db": {}}}, db={})
    removal = plan_down.Removal()
    removal.networks = ["app_default"]
    plan = plan_down.plan_down(made.services, [there("web"), there("db", status="exited")], removal)
    assert shown(plan) == ["end app-web-1", "remove app-db-1", "rmnetwork app_default"]


class Recorder:
    """execute.Worker that does nothing but fail where it is told to."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.said: list[str] = []

    def do(self, action: Action) -> None:
        if action.name == self.failing:
            raise PodError("no")

    def look(self, action: Action) -> bool:
        if action.name == self.failing:
            raise PodError("never")
        return True

    def say(self, action: Action, word: str) -> None:
        self.said.append(f"{word} {action.name}")

    def failed(self, action: Action, error: PodError) -> None:
        """Told in the process that failed."""


def test_execution_when_an_action_fails_then_what_needs_it_is_not_begun() -> None:
    plan = Plan()
    first = plan.add(Action("create", "a"))
    plan.add(Action("start", "b"), [first])
    plan.add(Action("create", "c"))
    worker = Recorder("a")
    with pytest.raises(execute.Failed):
        execute.Execution(plan, worker).run()
    assert "begin b" not in worker.said
    assert "error a" in worker.said


@pytest.mark.parametrize("required", [True, False])
def test_execution_when_a_wait_fails_then_it_counts_only_if_it_is_required(required: bool) -> None:
    plan = Plan()
    wait = plan.add(Action("wait", "db", required=required))
    plan.add(Action("start", "web"), [wait])
    worker = Recorder("db")
    if required:
        with pytest.raises(execute.Failed):
            execute.Execution(plan, worker).run()
    else:
        execute.Execution(plan, worker).run()
    assert ("done web" in worker.said) is not required


def test_execution_when_bounded_then_so_many_processes_and_no_more_are_at_work() -> None:
    plan = Plan()
    for number in range(6):
        plan.add(Action("create", str(number)))
    worker = Recorder()
    execute.Execution(plan, worker, parallel=2).run()
    open_ones = most = 0
    for line in worker.said:
        open_ones += 1 if line.startswith("begin") else -1
        most = max(most, open_ones)
    assert most == 2
    assert len(worker.said) == 12
