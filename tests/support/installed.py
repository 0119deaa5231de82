"""What an installation of PACKAGES by apt brings, and what programs do then with ids and owners (installed.txt).

Real root has the same: so has whoever has sub-ids, so must whoever has root emulated.
"""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("openssh-server", "postgresql", "sudo", "rsync")
MORE = ("gosu", "rpm", "dnf", "createrepo-c", "libcap2-bin", "acl", "python3-pip")
"""A static Go program; other package managers, and what makes a repository for them; Python's."""

TMPFILES = {"11": ("systemd",), "12": ("systemd-standalone-tmpfiles",), "13": ()}
"""What has systemd-tmpfiles, where PACKAGES did not bring it."""

OTHERS = """
    640 root:shadow /etc/gshadow
    640 root:shadow /etc/gshadow-
    755 postgres:postgres /etc/postgresql
    755 postgres:postgres /etc/postgresql/VERSION
    755 postgres:postgres /etc/postgresql/VERSION/main
    755 postgres:postgres /etc/postgresql/VERSION/main/conf.d
    644 postgres:postgres /etc/postgresql/VERSION/main/environment
    644 postgres:postgres /etc/postgresql/VERSION/main/pg_ctl.conf
    640 postgres:postgres /etc/postgresql/VERSION/main/pg_hba.conf
    640 postgres:postgres /etc/postgresql/VERSION/main/pg_ident.conf
    644 postgres:postgres /etc/postgresql/VERSION/main/postgresql.conf
    644 postgres:postgres /etc/postgresql/VERSION/main/start.conf
    640 root:shadow /etc/shadow
    640 root:shadow /etc/shadow-
    710 root:ssl-cert /etc/ssl/private
    640 root:ssl-cert /etc/ssl/private/ssl-cert-snakeoil.key
    2775 postgres:postgres /run/postgresql
    2755 root:shadow /usr/bin/chage
    2755 root:shadow /usr/bin/expiry
    700 _apt:root /var/cache/apt/archives/partial
    755 _apt:root /var/lib/apt/lists/auxfiles
    700 _apt:root /var/lib/apt/lists/partial
    755 postgres:postgres /var/lib/postgresql
    755 postgres:postgres /var/lib/postgresql/VERSION
    700 postgres:postgres /var/lib/postgresql/VERSION/main
    640 root:adm /var/log/apt/term.log
    660 root:utmp /var/log/btmp
    664 root:utmp /var/log/lastlog
    1775 root:postgres /var/log/postgresql
    640 postgres:adm /var/log/postgresql/postgresql-VERSION-main.log
    664 root:utmp /var/log/wtmp
    2775 root:mail /var/mail
"""
"""What is not root's after the installation of PACKAGES: mode, owner, path. All inside the cluster is postgres' own."""

OTHERS_OF = {
    "11": """
        2750 postgres:postgres /run/postgresql/VERSION-main.pg_stat_tmp
        2755 root:shadow /sbin/unix_chkpwd
        2755 root:ssh /usr/bin/ssh-agent
        2775 root:staff /var/local
    """,
    "12": """
        2755 root:_ssh /usr/bin/ssh-agent
        2755 root:shadow /usr/sbin/unix_chkpwd
        2775 root:staff /var/local
    """,
    "13": """
        755 systemd-network:systemd-network /run/systemd/netif
        755 systemd-network:systemd-network /run/systemd/netif/leases
        755 systemd-network:systemd-network /run/systemd/netif/links
        2755 root:_ssh /usr/bin/ssh-agent
        2755 root:shadow /usr/sbin/unix_chkpwd
        755 systemd-network:systemd-network /var/lib/systemd/network
        2755 root:systemd-journal /var/log/journal
    """,
}
"""And by Debian's version."""

PRELUDE = r"""
tree() {
    rm -rf /t /c; mkdir /t; touch -d 2001-02-03 /t/f; chmod 2640 /t/f; chown 5:6 /t/f
    ln -s f /t/l; chown -h 7:8 /t/l; mkfifo -m 600 /t/p; chown 11:12 /t/p
    install -d -o 13 -g 14 -m 3775 /t/d; install -o alice -g mail -m 4755 /bin/true /t/d/i; ln /t/d/i /t/d/h
    mknod -m 640 /t/c c 1 3; chown 17:18 /t/c; mknod /t/d/b b 259 70000; chmod 6711 /t/d/b; chown 15:16 /t; touch /t/d/r
}
list() {
    stat -c '%n %u:%g %a %F' . l p f d d/i d/h d/r; stat -c %h d/i; stat -c '%n %u:%g %a %F %t:%T' c d/b
}
"""
"""Stands before each script: files of many owners in /t, /c removed; what a copy of them has."""


def scripts() -> list[tuple[str, str, str]]:
    """installed.txt: (what, script, output)."""
    found = []
    for part in Path(__file__).with_name("installed.txt").read_text().split("\n=== ")[1:]:
        head, _, output = part.partition("\n---\n")
        what, _, script = head.partition("\n")
        found.append((what, PRELUDE + script, output))
    return found
