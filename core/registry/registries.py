"""registries.conf, version 2 and the older version 1 (containers-registries.conf(5)), and its drop-ins.

    $CONTAINERS_REGISTRIES_CONF, else ~/.config/containers/registries.conf, else /etc/containers/registries.conf
    then registries.conf.d/*.conf of /etc/containers and of ~/.config/containers (not with the variable): they add
    [[registry]] tables (same prefix: replaced) and [aliases], and replace the search list.
"""

from __future__ import annotations

import os

from pod.core import config as configuration
from pod.core.errors import ConfigError, InvalidReference, RegistryError
from pod.core.oci import reference as references
from pod.core.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.config import Config

_PULL_FROM = ("all", "digest-only", "tag-only")


class Mirror:
    """A place to try before the registry itself; ``pull_from`` is all, digest-only or tag-only."""

    __slots__ = ("insecure", "location", "pull_from")

    def __init__(self, location: str, *, insecure: bool = False, pull_from: str = "all") -> None:
        self.location = location
        self.insecure = insecure
        self.pull_from = pull_from


class Rule:
    """One [[registry]] table: names under ``prefix`` are fetched from ``location``."""

    __slots__ = ("blocked", "insecure", "location", "mirrors", "prefix")

    def __init__(self, prefix: str, location: str, *, insecure: bool, blocked: bool, mirrors: list[Mirror]) -> None:
        self.prefix = prefix
        self.location = location
        self.insecure = insecure
        self.blocked = blocked
        self.mirrors = mirrors

    def matches(self, name: str) -> bool:
        """Whether ``name`` (domain/path) is under the prefix, at a boundary; "*.example.com" takes subdomains."""
        if self.prefix.startswith("*."):
            domain, _, rest = self.prefix[1:].partition("/")
            host, _, path = name.partition("/")
            return host.endswith(domain) and len(host) > len(domain) and (not rest or _under(path, rest))
        return _under(name, self.prefix)

    def rewrite(self, name: str, location: str) -> str:
        """``name`` with the prefix replaced by ``location``; unchanged where that is empty."""
        if not location:
            return name
        if self.prefix.startswith("*."):
            return location + name[len(name.partition("/")[0]) :]
        return location + name[len(self.prefix) :]


def _under(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name[len(prefix) : len(prefix) + 1] in ("", "/", ":", "@")


class Registries:
    """All rules, the aliases of short names and the search list."""

    __slots__ = ("aliases", "rules", "search")

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.aliases: dict[str, str] = {}
        self.search: list[str] = []

    def rule(self, name: str) -> Rule | None:
        """The rule with the longest matching prefix. RegistryError when it blocks the registry."""
        best: Rule | None = None
        for rule in self.rules:
            if rule.matches(name) and (best is None or len(rule.prefix) > len(best.prefix)):
                best = rule
        if best is not None and best.blocked:
            raise RegistryError(
                f"registry {best.prefix} is blocked by registries.conf", hint='remove "blocked = true" to use it'
            )
        return best

    def candidates(self, text: str) -> list[Reference]:
        """What ``text`` may mean, in the order to try: an alias, the search list, or Docker's default."""
        parsed = references.parse(text)
        if not references.is_short(text):
            return [parsed]
        name = parsed.familiar_name
        alias = self.aliases.get(name)
        if alias:
            target = references.parse(alias)
            return [Reference(target.domain, target.path, parsed.tag, parsed.digest)]
        found = []
        for domain in self.search:
            if domain in (references.DEFAULT_DOMAIN, references.LEGACY_DOMAIN):
                found.append(parsed)
            else:
                found.append(references.parse(f"{domain}/{text}"))
        return found or [parsed]


def of(config: Config) -> Registries:
    """What the files say, read once for each Config. ConfigError names file and line."""
    if config.registries is None:
        config.registries = load(config.environ, config.skipped)
    return config.registries


def load(environ: Mapping[str, str], skipped: list[str]) -> Registries:
    """All files together. ConfigError names file and line."""
    registries = Registries()
    explicit = environ.get("CONTAINERS_REGISTRIES_CONF", "")
    if explicit:
        if not os.path.exists(explicit):
            raise ConfigError(
                f"read configuration: {explicit}: no such file", hint="CONTAINERS_REGISTRIES_CONF names it"
            )
        _add_file(registries, explicit, skipped)
        return registries
    home = configuration.config_home(environ)
    user = home + "/containers/registries.conf" if home else ""
    _add_file(registries, user if user and os.path.exists(user) else "/etc/containers/registries.conf", skipped)
    for folder in ("/etc/containers/registries.conf.d", home and home + "/containers/registries.conf.d"):
        try:
            names = sorted(os.listdir(folder)) if folder else []
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            skipped.append(folder)
            continue
        for name in names:
            if name.endswith(".conf"):
                _add_file(registries, f"{folder}/{name}", skipped)
    return registries


def _add_file(registries: Registries, path: str, skipped: list[str]) -> None:
    data = configuration.read_file(path, skipped)
    if not data.strip():
        return
    document = configuration.parse_toml(path, data)
    try:
        if isinstance(document.get("registries"), dict):
            _add_version_1(registries, document["registries"])
            return
        for table in _tables(document.get("registry", []), "registry"):
            _add_rule(registries, _rule(table))
        if "unqualified-search-registries" in document:
            registries.search = [_location(item, "unqualified-search-registries") for item in _list(document)]
        _add_aliases(registries, document.get("aliases", {}))
    except _BadKey as error:
        raise configuration.complain(path, data, error.key, error.reason) from None


class _BadKey(Exception):
    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason


def _list(document: dict[str, Any]) -> list[Any]:
    value = document["unqualified-search-registries"]
    if not isinstance(value, list):
        raise _BadKey("unqualified-search-registries", "must be a list of strings")
    return value


def _tables(value: Any, key: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _BadKey(key, f"must be tables: [[{key}]]")
    return list(value)


def _location(value: Any, key: str) -> str:
    """A registry, perhaps with a path: "host", "host:port", "host/path"; no scheme, no trailing slash."""
    if not isinstance(value, str) or not value:
        raise _BadKey(key, "must be a registry such as registry.example.com:5000")
    if "://" in value:
        raise _BadKey(key, f"{value}: a location has no scheme; write the host and the port only")
    location: str = value.rstrip("/")
    if not location.isprintable() or any(bad in location + "/" for bad in (" ", "@", "/../", "?", "#", "//")):
        raise _BadKey(key, f"{location!r} is not a registry")
    return location


def _flag(table: dict[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise _BadKey(key, "must be true or false")
    return value


def _rule(table: dict[str, Any]) -> Rule:
    location = _location(table["location"], "location") if table.get("location") else ""
    prefix = _location(table["prefix"], "prefix") if table.get("prefix") else location
    if not prefix:
        raise _BadKey("registry", "needs a location or a prefix")
    if not location and not prefix.startswith("*."):
        location = prefix
    digest_only = _flag(table, "mirror-by-digest-only")
    mirrors = []
    for item in _tables(table.get("mirror", []), "mirror"):
        pull_from = item.get("pull-from-mirror", "digest-only" if digest_only else "all")
        if pull_from not in _PULL_FROM:
            raise _BadKey("pull-from-mirror", f"must be one of {', '.join(_PULL_FROM)}")
        mirrors.append(
            Mirror(_location(item.get("location"), "location"), insecure=_flag(item, "insecure"), pull_from=pull_from)
        )
    return Rule(
        prefix, location, insecure=_flag(table, "insecure"), blocked=_flag(table, "blocked"), mirrors=mirrors
    )


def _add_rule(registries: Registries, rule: Rule) -> None:
    registries.rules = [other for other in registries.rules if other.prefix != rule.prefix]
    registries.rules.append(rule)


def _add_aliases(registries: Registries, aliases: Any) -> None:
    if not isinstance(aliases, dict):
        raise _BadKey("aliases", "must be a table")
    for name, target in aliases.items():
        if not isinstance(target, str):
            raise _BadKey(name, "must be a string")
        if not target:
            registries.aliases.pop(name, None)
            continue
        try:
            parsed = references.parse(target)
        except InvalidReference as error:
            raise _BadKey(name, error.message) from None
        if parsed.tag or parsed.digest or references.is_short(target):
            raise _BadKey(name, f"{target}: must be registry/path without tag or digest")
        registries.aliases[name] = parsed.name


def _add_version_1(registries: Registries, document: dict[str, Any]) -> None:
    """[registries.search], [registries.insecure], [registries.block], each with a list named registries."""
    lists: dict[str, list[str]] = {}
    for kind in ("search", "insecure", "block"):
        table = document.get(kind, {})
        value = table.get("registries", []) if isinstance(table, dict) else None
        if not isinstance(value, list):
            raise _BadKey(kind, "must have registries = […]")
        lists[kind] = [_location(item, kind) for item in value]
    registries.search = lists["search"]
    for name in dict.fromkeys(lists["insecure"] + lists["block"]):
        insecure, blocked = name in lists["insecure"], name in lists["block"]
        _add_rule(registries, Rule(name, name, insecure=insecure, blocked=blocked, mirrors=[]))
