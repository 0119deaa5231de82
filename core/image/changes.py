"""-c of ``import`` and ``commit``: instructions of a Dockerfile, each a line, that change a container configuration.

CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR; $NAME and ${NAME} are those of
the configuration's Env. Pure. Source: Docker's Dockerfile reference and `docker commit --change`.
"""

from __future__ import annotations

import posixpath

from pod.core import moments
from pod.core.errors import PodError
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Config = dict[str, Any]

_MAX_PORTS = 1000
_MAX_TEXT = 1 << 20
_SHELL = ["/bin/sh", "-c"]


def apply(config: Config, changes: Sequence[str]) -> None:
    """Carries out ``changes`` on ``config`` (the "config" of an image configuration). PodError for a bad one."""
    state = _State(config)
    for text in changes:
        for line in text.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                state.change(line.strip())


class _State:
    __slots__ = ("_cmd_set", "config")

    def __init__(self, config: Config) -> None:
        self.config = config
        self._cmd_set = False

    def change(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        act = _INSTRUCTIONS.get(word.upper())
        if act is None:
            raise PodError(f"{word.lower()} is not a valid change command", hint=f"one of {', '.join(_INSTRUCTIONS)}")
        rest = rest.strip()
        if not rest or len(rest) > _MAX_TEXT:
            raise _bad(word, "requires at least one argument" if not rest else "is too long")
        act(self, rest)

    def cmd(self, rest: str) -> None:
        self.config["Cmd"] = self._command(rest)
        self._cmd_set = True

    def entrypoint(self, rest: str) -> None:
        self.config["Entrypoint"] = self._command(rest)
        if not self._cmd_set:
            self.config.pop("Cmd", None)

    def _command(self, rest: str) -> list[str]:
        words = _list(rest)
        return [*(self.config.get("Shell") or _SHELL), rest] if words is None else words

    def env(self, rest: str) -> None:
        have: list[str] = list(self.config.get("Env") or [])
        for name, value in self._pairs("ENV", rest):
            setting = f"{name}={value}"
            places = [place for place, one in enumerate(have) if one.partition("=")[0] == name]
            for place in places:
                have[place] = setting
            if not places:
                have.append(setting)
        self.config["Env"] = have

    def label(self, rest: str) -> None:
        self.config["Labels"] = {**(self.config.get("Labels") or {}), **dict(self._pairs("LABEL", rest))}

    def _pairs(self, word: str, rest: str) -> list[tuple[str, str]]:
        """``name=value`` once or more, or ``name value`` of the old form."""
        words = _words(rest)
        if "=" not in words[0]:
            name, _, value = rest.partition(" ")
            if not value.strip():
                raise _bad(word, "must have two arguments")
            return [(name, self._expand(_unquoted(value.strip())))]
        pairs = []
        for one in words:
            name, equals, value = one.partition("=")
            name = _unquoted(name)
            if not equals or not name:
                raise _bad(word, f"syntax error: can't find = in {one!r}: must be of the form name=value")
            pairs.append((name, self._expand(value, quoted=True)))
        return pairs

    def expose(self, rest: str) -> None:
        ports: dict[str, Any] = dict(self.config.get("ExposedPorts") or {})
        told = [port for word in self._expand(rest).split() for port in _ports(word)]
        self.config["ExposedPorts"] = {port: {} for port in sorted({*ports, *told})}

    def user(self, rest: str) -> None:
        self.config["User"] = self._expand(rest)

    def workdir(self, rest: str) -> None:
        place = posixpath.join("/", self.config.get("WorkingDir") or "/", self._expand(_unquoted(rest)))
        self.config["WorkingDir"] = "/" + posixpath.normpath(place).lstrip("/")

    def volume(self, rest: str) -> None:
        words = _list(rest)
        names = [self._expand(word).strip() for word in (rest.split() if words is None else words)]
        if not names or not all(names):
            raise _bad("VOLUME", "specified volume can not be an empty string")
        self.config["Volumes"] = {**(self.config.get("Volumes") or {}), **{name: {} for name in names}}

    def stopsignal(self, rest: str) -> None:
        signal = self._expand(rest)
        defaults.parse_signal(signal)
        self.config["StopSignal"] = signal

    def shell(self, rest: str) -> None:
        words = _list(rest)
        if not words:
            raise _bad("SHELL", "requires the arguments to be in JSON form")
        self.config["Shell"] = words

    def onbuild(self, rest: str) -> None:
        word = rest.split()[0].upper()
        if word in ("ONBUILD", "FROM", "MAINTAINER"):
            raise _bad("ONBUILD", f"{word} isn't allowed as an ONBUILD trigger")
        self.config["OnBuild"] = [*(self.config.get("OnBuild") or []), rest]

    def healthcheck(self, rest: str) -> None:
        check: dict[str, Any] = {}
        words = rest.split(" ")
        while words and words[0].startswith("--"):
            flag, _, value = words.pop(0)[2:].partition("=")
            _health_flag(check, flag, value)
            while words and not words[0]:
                words.pop(0)
        kind, text = (words or [""])[0].upper(), " ".join(words[1:]).strip()
        if kind == "NONE" and not text and not check:
            check["Test"] = ["NONE"]
        elif kind == "CMD" and text:
            command = _list(text)
            check["Test"] = ["CMD-SHELL", text] if command is None else ["CMD", *command]
        else:
            raise _bad("HEALTHCHECK", "is [--interval=… --timeout=… --retries=…] CMD command, or NONE")
        self.config["Healthcheck"] = check

    def _expand(self, text: str, *, quoted: bool = False) -> str:
        have = dict(one.partition("=")[::2] for one in self.config.get("Env") or [])
        return _expanded(text, have) if quoted else _expanded(text.replace("'", "\\'").replace('"', '\\"'), have)


_INSTRUCTIONS: dict[str, Callable[[_State, str], None]] = {
    "CMD": _State.cmd,
    "ENTRYPOINT": _State.entrypoint,
    "ENV": _State.env,
    "EXPOSE": _State.expose,
    "HEALTHCHECK": _State.healthcheck,
    "LABEL": _State.label,
    "ONBUILD": _State.onbuild,
    "SHELL": _State.shell,
    "STOPSIGNAL": _State.stopsignal,
    "USER": _State.user,
    "VOLUME": _State.volume,
    "WORKDIR": _State.workdir,
}


def _bad(word: str, reason: str) -> PodError:
    return PodError(f"dockerfile parse error: {word.upper()} {reason}")


def _list(text: str) -> list[str] | None:
    """The words of a JSON list of texts; None for anything else, which is the shell's."""
    import json

    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return value


def _words(text: str) -> list[str]:
    """Split at spaces that no quote or backslash protects; both stay."""
    words, word, quote, escaped = [], "", "", False
    for char in text:
        if escaped or char == "\\":
            escaped = not escaped
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in " \t":
            if word:
                words.append(word)
            word = ""
            continue
        word += char
    return [*words, word] if word else words


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _expanded(text: str, have: dict[str, str]) -> str:
    """Without quotes and backslashes, with $NAME, ${NAME}, ${NAME:-word} and ${NAME:+word}; not inside of ''."""
    out, place, quote = [], 0, ""
    while place < len(text):
        char = text[place]
        if char == "\\" and quote != "'" and place + 1 < len(text):
            following = text[place + 1]
            out.append(following if not quote or following in '"$\\' else char + following)
            place += 2
        elif char in "'\"" and quote in ("", char):
            quote = "" if quote else char
            place += 1
        elif char == "$" and quote != "'":
            value, place = _variable(text, place + 1, have)
            out.append(value)
        else:
            out.append(char)
            place += 1
    return "".join(out)


def _variable(text: str, place: int, have: dict[str, str]) -> tuple[str, int]:
    """The value of what stands after a "$", and where the text goes on."""
    if text[place : place + 1] == "{":
        end = text.find("}", place)
        name, colon, rest = text[place + 1 : end].partition(":")
        if end < 0 or not name.replace("_", "a").isalnum() or (colon and rest[:1] not in ("-", "+")):
            raise _bad("change", f"unsupported modifier in substitution: ${text[place:][:40]}")
        value = have.get(name, "")
        if rest[:1] == "-":
            value = value or rest[1:]
        elif rest[:1] == "+":
            value = rest[1:] if value else ""
        return value, end + 1
    end = place
    while end < len(text) and (text[end].isalnum() or text[end] == "_") and text[end].isascii():
        end += 1
    return (have.get(text[place:end], ""), end) if end > place else ("$", place)


def _ports(text: str) -> list[str]:
    """ "80/tcp" … of "80", "80/udp", "8000-8010"."""
    numbers, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    first, dash, last = numbers.partition("-")
    last = last if dash else first
    if protocol not in ("tcp", "udp", "sctp") or not (first.isdecimal() and last.isdecimal()) or len(last) > 5:
        raise _bad("EXPOSE", f"invalid containerPort: {text[:60]}")
    if not 0 <= int(first) <= int(last) <= 65535 or int(last) - int(first) >= _MAX_PORTS:
        raise _bad("EXPOSE", f"invalid range format for containerPort: {text[:60]}")
    return [f"{port}/{protocol}" for port in range(int(first), int(last) + 1)]


_HEALTH = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


def _health_flag(check: dict[str, Any], flag: str, value: str) -> None:
    if flag == "retries" and value.isdecimal() and 0 < len(value) < 7:
        check["Retries"] = int(value)
        return
    try:
        if flag not in _HEALTH:
            raise ValueError
        check[_HEALTH[flag]] = moments.duration(value)
    except ValueError:
        raise _bad("HEALTHCHECK", f"--{flag}={value}: not known or no duration") from None
