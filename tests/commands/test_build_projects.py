"""Projects as people have them: built, pushed, fetched by skopeo and podman, and at work there as with pod.

Packages come from Debian's mirror of this host, PyPI and the npm registry, as RUN reaches them.
"""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.bench import peers
from tests.support import mirror, podcli, tools
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.trees import Others

pytestmark = [
    pytest.mark.slow, pytest.mark.docker_registry, pytest.mark.skopeo, pytest.mark.image("debian:12"),
    pytest.mark.mirror("bookworm"),
]  # fmt: skip
APT = (
    "--mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked "
    "--mount=type=bind,from=host,source=sources.list,target=/etc/apt/sources.list "
    "--mount=type=bind,from=host,source=apt.conf,target=/etc/apt/apt.conf.d/00host"
)
INSTALL = (
    "rm -f /etc/apt/sources.list.d/*; apt-get -q update && DEBIAN_FRONTEND=noninteractive"
    " apt-get -qy -o Binary::apt::APT::Keep-Downloaded-Packages=true install --no-install-recommends"
)


class Project(NamedTuple):
    """``files`` of the context, ``check``: a command of the image and what it prints."""

    files: dict[str, str]
    check: tuple[str, ...]
    prints: str


PROJECTS = {
    "servers": Project(
        {
            "Dockerfile": """
                FROM BASE:12
                RUN APT INSTALL openssh-server postgresql && mkdir -p /run/sshd
                COPY --chmod=755 check /usr/local/bin/
                EXPOSE 22 5432
                CMD ["/usr/sbin/sshd", "-D"]
                """,
            "check": """
                #!/bin/sh
                set -e
                mkdir -p /run/sshd
                /usr/sbin/sshd -t && echo sshd
                pg_ctlcluster 15 main start
                su postgres -c "psql -Atc 'select current_user, 6 * 7'"
                stat -c '%U:%G %a' /var/lib/postgresql/15/main /etc/shadow /usr/bin/ssh-agent
                """,
        },
        ("check",),
        "sshd\npostgres|42\npostgres:postgres 700\nroot:shadow 640\nroot:_ssh 2755\n",
    ),
    "c": Project(
        {
            "Dockerfile": """
                FROM BASE:12 AS build
                RUN APT INSTALL gcc libc6-dev make
                WORKDIR /src
                COPY Makefile *.c ./
                RUN make
                FROM scratch
                COPY --from=build /src/hello /bin/hello
                USER 1000:1000
                ENTRYPOINT ["/bin/hello"]
                """,
            "Makefile": "hello: hello.c words.c\n\tcc -O2 -static -o $@ $^\n",
            "words.c": 'const char *words(void) { return "hello from C"; }\n',
            "hello.c": """
                #include <stdio.h>
                #include <unistd.h>
                const char *words(void);
                int main(int count, char **argv)
                {
                    return printf("%s %d %s\\n", words(), getuid(), argv[count - 1]) < 0;
                }
                """,
        },
        ("argument",),
        "hello from C 1000 argument\n",
    ),
    "python": Project(
        {
            "Dockerfile": """
                FROM BASE:12
                RUN APT INSTALL python3-venv
                WORKDIR /app
                COPY requirements.txt .
                RUN python3 -m venv venv
                RUN --mount=type=cache,target=/wheels venv/bin/pip download -d /wheels -r requirements.txt
                RUN --mount=type=cache,target=/wheels \\
                    venv/bin/pip install --no-index --find-links /wheels -r requirements.txt
                COPY app.py .
                RUN useradd --system app
                USER app
                CMD ["venv/bin/python", "app.py"]
                """,
            "requirements.txt": "flask==3.0.3\n",
            "app.py": """
                import getpass
                from flask import Flask
                app = Flask(__name__)
                app.add_url_rule("/", "index", lambda: "hello from flask")
                print(app.test_client().get("/").text, getpass.getuser())
                """,
        },
        (),
        "hello from flask app\n",
    ),
    "node": Project(
        {
            "Dockerfile": """
                FROM BASE:12 AS tools
                RUN APT INSTALL nodejs npm
                FROM tools AS modules
                WORKDIR /app
                COPY package.json .
                RUN --mount=type=cache,target=/root/.npm npm install --no-audit --no-fund
                FROM BASE:12
                RUN APT INSTALL nodejs
                WORKDIR /app
                COPY --from=modules /app/node_modules node_modules
                COPY app.js .
                ENTRYPOINT ["node", "app.js"]
                """,
            "package.json": '{"name": "app", "version": "1.0.0", "dependencies": {"express": "4.19.2"}}\n',
            "app.js": """
                const app = require("express")();
                app.get("/", (request, answer) => answer.send("hello from node"));
                const server = app.listen(0, "127.0.0.1", () => require("http").get(
                    { host: "127.0.0.1", port: server.address().port }, (answer) => {
                        answer.on("data", (data) => console.log(String(data)));
                        answer.on("end", () => process.exit(0));
                    }));
                """,
        },
        (),
        "hello from node\n",
    ),
    "site": Project(
        {
            "Dockerfile": """
                FROM BASE:12 AS render
                COPY pages /pages
                RUN for page in /pages/*; do sed -i 's/@TITLE@/a static site/' "$page"; done
                FROM services:12
                COPY --from=render --chown=www-data:www-data /pages /srv/site
                COPY <<'EOF' /etc/nginx/nginx.conf
                user www-data;
                error_log stderr;
                events {}
                http { server { listen 127.0.0.1:8080; root /srv/site; } }
                EOF
                COPY --chmod=0755 check /check
                STOPSIGNAL SIGQUIT
                CMD ["nginx", "-g", "daemon off;"]
                """,
            "pages/index.html": "<title>@TITLE@</title>\n",
            "check": """
                #!/bin/bash
                nginx 2>/dev/null
                exec 3<>/dev/tcp/127.0.0.1/8080
                printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3
                tail -n 1 <&3
                stat -c %U:%G /srv/site/index.html
                """,
        },
        ("/check",),
        "<title>a static site</title>\nwww-data:www-data\n",
    ),
}


@pytest.fixture(scope="module")
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    place = tmp_path_factory.mktemp("projects")
    with Registry(place / "storage", place / "registry") as registry:
        yield registry


@pytest.fixture(scope="module")
def pod(registry: Registry) -> Iterator[Pod]:
    """One store for all projects: their caches are shared, as a person's are."""
    yield from podcli.fresh(registry.name)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """apt's sources and settings of this host; its certificate authorities come to RUN by themselves."""
    folder = tmp_path_factory.mktemp("host")
    mirror.options("bookworm", folder)
    conf = folder / "apt.conf"
    conf.write_text("".join(line for line in conf.read_text().splitlines(True) if "CaInfo" not in line))
    return folder


def write(pod: Pod, project: Project, folder: Path) -> None:
    for name, text in project.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        content = textwrap.dedent(text).lstrip("\n")
        if name == "Dockerfile":
            content = content.replace("RUN APT INSTALL", f"RUN {APT} {INSTALL}")
            for short in ("debian", "services"):
                word = f"FROM {'BASE' if short == 'debian' else short}:12"
                if word in content:
                    content = content.replace(word, f"FROM {pod.image(f'{short}:12')}")
        target.write_text(content)


def build(pod: Pod, folder: Path, host: Path, tag: str) -> str:
    words = ["build", "--progress", "plain", "--build-context", f"host={host}", "-t", tag, str(folder)]
    done = pod(*words, timeout=1500)
    assert done.code == 0, done.err[-6000:]
    return done.err


@pytest.mark.parametrize("name", PROJECTS)
def test_project_when_built_and_pushed_then_it_works_here_and_with_others(
    pod: Pod, own_registry: Registry, host: Path, tmp_path: Path, name: str
) -> None:
    project = PROJECTS[name]
    folder = tmp_path / "project"
    write(pod, project, folder)
    image = f"{own_registry.host}/projects/{name}:1"
    build(pod, folder, host, image)
    run = pod("run", "--rm", "--network", "none", image, *project.check, timeout=120)
    assert run.ok().replace("\r", "") == project.prints
    again = build(pod, folder, host, image)
    assert " DONE" not in "".join(line for line in again.splitlines(True) if "RUN" in line)
    pod("push", "-q", image, timeout=300).ok()
    others = Others(tmp_path)
    others.skopeo(f"docker://{image}", f"oci:{tmp_path}/copied:1")
    (entry,) = json.loads((tmp_path / "copied" / "index.json").read_text())["manifests"]
    manifest = json.loads((tmp_path / "copied" / "blobs" / "sha256" / entry["digest"][7:]).read_text())
    assert manifest["config"]["digest"] == pod("images", "-q", "--no-trunc", image).ok().strip()
    if tools.sub_ids() and tools.find("podman"):  # without, podman cannot have the owners that are compared
        with tools.short_folder() as place:
            assert by_podman(place, others, image, project.check) == project.prints


def by_podman(place: Path, others: Others, image: str, command: tuple[str, ...]) -> str:
    argv = [
        *("podman", "--root", f"{place}/root", "--runroot", f"{place}/run", "--storage-driver", "overlay"),
        *("--runtime", "crun" if peers.crun_works() else "runc", "--cgroup-manager", "cgroupfs"),
        *("--events-backend", "none", "--log-level", "error"),
        *("run", "--rm", "--network", "none", *(["--cgroups", "disabled"] if peers.crun_works() else [])),
        *("--tls-verify=false", image, *command),
    ]
    environ = {**others.environ, "XDG_RUNTIME_DIR": str(place)}
    done = subprocess.run(
        argv, env=environ, capture_output=True, text=True, timeout=400, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheels_when_requirements_change_then_they_come_from_the_cache_mount(
    pod: Pod, host: Path, tmp_path: Path
) -> None:
    project = PROJECTS["python"]
    for requirements in ("flask==3.0.3\n", "flask==3.0.3\n# more\n"):
        write(pod, Project({**project.files, "requirements.txt": requirements}, (), ""), tmp_path / "project")
        said = build(pod, tmp_path / "project", host, "wheels:1")
    assert "File was already downloaded" in said, said[-5000:]
    assert pod("run", "--rm", "--network", "none", "wheels:1").ok() == project.prints
