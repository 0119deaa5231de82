"""What the machines should say: pure."""

from __future__ import annotations

import json

Table = dict[tuple[str, str, str], str]
"""(scenario, user, check) to its value."""

SCENARIOS = (
    ("session", "one"), ("session", "sub"), ("bare", "one"), ("given", "one"), ("delegated", "one"), ("hidepid", "one"),
    ("hidepid", "sub"), ("no-userns", "one"), ("max-userns", "one"), ("no-nft", "one"), ("clock-1970", "one"),
    ("clock-2100", "one"), ("home-overlay", "one"),
)  # fmt: skip
_WHOLE = (("session", "one"), ("bare", "one"), ("given", "one"))
"""Where checks.sh tries all that it knows."""
_REFUSED = ("no-userns", "max-userns")
_SCOPE = "cgroup v2, a scope of systemd's"


def parse(lines: list[str]) -> Table:
    """Lines "RESULT SCENARIO USER CHECK VALUE"; the first of a name counts."""
    found: Table = {}
    for line in lines:
        words = line.split(" ", 4)
        if words[0] == "RESULT" and len(words) >= 4:
            found.setdefault((words[1], words[2], words[3]), words[4] if len(words) == 5 else "")
    return found


def judge(kernel: str, table: Table) -> list[str]:
    """Sentences about what is not as docs/limits.md, docs/hosts.md and docs/doctor.md have it."""
    wrong: list[str] = []

    def check(scenario: str, user: str, name: str, good: bool, wanted: str) -> None:
        if not good:
            found = table.get((scenario, user, name), "(nothing)")
            wrong.append(f"{scenario}, {user}: {name}: {found}; wanted: {wanted}")

    for scenario, user in SCENARIOS:
        value = {name: text for (one, other, name), text in table.items() if (one, other) == (scenario, user)}
        if scenario in _REFUSED:
            check(scenario, user, "start", value.get("start", "").split(" ")[0] == "125", "refused")
            check(scenario, user, "cause", "the sysctl" in value.get("cause", ""), "who forbids it")
            continue
        if scenario == "no-nft" and not value:
            continue  # built in, or there from the start
        check(scenario, user, "start", value.get("start") == "0 started", "0 started")
        if scenario.startswith(("clock-", "home-")):
            for name, wanted in (("health", "healthy"), ("life", "1 0"), ("build", "made")):
                check(scenario, user, name, value.get(name) == wanted, wanted)
            continue
        overlay = "plain" if kernel == "5.10" else "overlay"
        check(scenario, user, "overlay", value.get("overlay") == overlay, overlay)
        check(scenario, user, "memory", value.get("memory") == "137 true", "137 true")
        if (scenario, user) in _WHOLE:
            check(scenario, user, "exec", value.get("exec") == "in", "in")
            check(scenario, user, "containers", value.get("containers") == "0", "0")
        _judge_limits(check, kernel, scenario, user, value)
        network = value.get("network", "")
        good = network.startswith("125 ") if scenario == "no-nft" else network.startswith("0 ")
        check(scenario, user, "network", good, "refused" if scenario == "no-nft" else "0")
    check("end", "root", "left", ("end", "root", "left") not in table, "no control group left")
    return wrong


def _judge_limits(check, kernel: str, scenario: str, user: str, value: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    by = json.loads(value.get("enforced") or "{}")
    session = scenario in ("session", "delegated", "hidepid", "given")
    if (kernel, scenario, user) == ("5.10", "hidepid", "sub"):
        session = False  # systemd 247 begins no user manager where it cannot see process 1; that of "one" began before
    group = "cgroup v2" if scenario == "given" else _SCOPE
    controllers = {"Memory", "PidsLimit"} if session else set()
    if session and (kernel != "5.10" or scenario in ("delegated", "hidepid", "given")):
        controllers.add("NanoCpus")
    for name in ("Memory", "PidsLimit", "NanoCpus"):
        wanted = group if name in controllers else {"Memory": "supervisor", "NanoCpus": "affinity"}.get(name, "")
        if name == "PidsLimit" and name not in controllers:
            wanted = "RLIMIT_NPROC" if kernel != "5.10" else ""
        check(scenario, user, "enforced", by.get(name, "") == wanted, f"{name} by {wanted or 'nothing'}")
    if "NanoCpus" in controllers and (scenario, user) in _WHOLE:
        share = int(value.get("processor", "0%").rstrip("%") or 0)
        check(scenario, user, "processor", 45 <= share <= 55, "50% of a processor")
    if scenario in ("given", "delegated"):
        slow, free = (int(word) for word in (value.get("io") or "0 0").split())
        check(scenario, user, "io", 3000 <= slow <= 8000 and free < slow / 2, "4000 ms for 4 MB at 1 MB a second")


def table(tables: dict[str, Table]) -> str:
    """Markdown: a row for each scenario, user and check, a column for each suite."""
    suites = list(tables)
    lines = ["| scenario | user | feature | " + " | ".join(suites) + " |", "|--|--|--|" + "--|" * len(suites)]
    rows: list[tuple[str, str, str]] = []
    for one in tables.values():
        rows += [key for key in one if key not in rows]
    for key in rows:
        cells = [tables[suite].get(key, "-").replace("|", "\\|") for suite in suites]
        lines.append("| " + " | ".join((*key, *cells)) + " |")
    return "\n".join(lines) + "\n"
