"""A merged, long document as Docker prints it: JSON's form, which the rest of pod takes, and YAML's.

They differ as Docker's do: JSON has ``command`` where there is none and drops extensions (``x-…``), YAML keeps these
and leaves out what is empty.
"""

from __future__ import annotations

from pod.core.compose import interpolating, scalars, short_forms
from pod.core.compose.structs import CAPITALS, TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.compose.source import Source

    Path = tuple[str, ...]

_NOTHING: Any = object()
_SECTIONS = {"networks": "network", "volumes": "volume", "secrets": "file_object", "configs": "file_object"}


class Encoding:
    """``shown`` is YAML's form."""

    __slots__ = ("shown", "source")

    def __init__(self, source: Source, *, shown: bool = False) -> None:
        self.source, self.shown = source, shown

    def service(self, name: str, service: dict[str, Any]) -> dict[str, Any]:
        return self.table("service", service, ("services", name))

    def section(self, section: str, members: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """networks, volumes, secrets or configs; what a secret or a config is in the environment is never shown."""
        found = {}
        for name in sorted(members):
            member = dict(members[name] or {})
            if section == "secrets" or member.get("environment"):
                member.pop("content", None)
            found[name] = self.table(_SECTIONS[section], member, (section, name))
        return found

    def table(self, name: str, value: dict[str, Any], path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, kind in TABLES[name]:
            given = value.get(key)
            shown = CAPITALS[key] if name in ("weight", "rate") and not self.shown else key
            try:
                found = self.member(kind, given, key in value, (*path, key))
            except ValueError as error:
                raise self.source.fail(str(error), (*path, key)) from None
            if found is not _NOTHING:
                out[shown] = found
        if self.shown:
            out.update({key: in_order(value[key]) for key in sorted(value) if key.startswith("x-")})
        return out

    def member(self, kind: str, value: Any, given: bool, path: Path) -> Any:
        shape, _, table = kind.partition(":")
        if not table:
            if value is None and shape == "command":
                return _NOTHING if self.shown else None
            if value is None and not shape.endswith("_always"):
                return _NOTHING
            return getattr(self, shape)(value)
        if shape == "struct":
            found = self.table(table, _mapping(value or {}), path)
            return _NOTHING if self.shown and not found else found
        if value is None or not given:
            return _NOTHING
        if shape == "pointer":
            return self.table(table, _mapping(value), path)
        if shape == "list":
            if not isinstance(value, list):
                raise ValueError(f"expected a list, not {short_forms.kind(value)}")
            items = [self.table(table, _mapping(one), (*path, str(index))) for index, one in enumerate(value)]
            return items or _NOTHING
        members = {
            key: None if inner is None else self.table(table, _mapping(inner), (*path, key))
            for key, inner in sorted(_mapping(value).items())
        }
        return members or _NOTHING

    # scalars: what is zero is left out, unless it is given (…_given) or always there (…_always)

    def text_always(self, value: Any) -> str:
        if isinstance(value, (bool, dict, list, float)):
            raise ValueError(f"expected a text, not {short_forms.kind(value)}")
        return "" if value is None else str(value)

    def text(self, value: Any) -> Any:
        return self.text_always(value) or _NOTHING

    def integer_always(self, value: Any) -> int:
        if isinstance(value, str):
            return interpolating.integer(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) >= 1 << 63:
            raise ValueError(f"expected a whole number, not {short_forms.kind(value)}")
        return int(value)

    def integer(self, value: Any) -> Any:
        return self.integer_always(value) or _NOTHING

    integer_given = integer_always

    def narrow(self, value: Any) -> Any:
        """A float32."""
        if isinstance(value, str):
            value = interpolating.decimal(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"expected a number, not {short_forms.kind(value)}")
        found = scalars.narrow(float(value))
        if found != found or abs(found) == float("inf"):
            raise ValueError("expected a finite number")
        return (int(found) if found == int(found) else found) or _NOTHING

    def truth_always(self, value: Any) -> bool:
        if isinstance(value, str):
            return interpolating.truth(value, self.source.warn)
        if not isinstance(value, bool):
            raise ValueError(f"expected true or false, not {short_forms.kind(value)}")
        return value

    truth_given = truth_always

    def truth(self, value: Any) -> Any:
        return self.truth_always(value) or _NOTHING

    def size_always(self, value: Any) -> str:
        """Bytes, as a text of digits."""
        if isinstance(value, str):
            found = scalars.size(value)
            if found is None:
                raise ValueError(f"expected a size such as 512m, not {value[:60]!r}")
            return str(found)
        return str(self.integer_always(value))

    def size(self, value: Any) -> Any:
        found = self.size_always(value)
        return _NOTHING if found == "0" else found

    def duration_given(self, value: Any) -> str:
        found = scalars.duration(scalars.shown(value))
        if found is None:
            raise ValueError(f"expected a duration such as 1m30s, not {scalars.shown(value)[:60]!r}")
        return scalars.duration_text(found)

    def duration(self, value: Any) -> Any:
        found = self.duration_given(value)
        return _NOTHING if found == "0s" else found

    def device_count(self, value: Any) -> Any:
        return -1 if isinstance(value, str) and value.lower() == "all" else self.integer(value)

    # lists and mappings

    def strings(self, value: Any) -> Any:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise ValueError(f"expected a list, not {short_forms.kind(value)}")
        return [scalars.shown(one) if isinstance(one, float) else self.text_always(one) for one in items] or _NOTHING

    def pairs(self, value: Any) -> dict[str, Any]:
        """KEY to its text, or to None where only the key is there; sorted."""
        if isinstance(value, dict):
            found = {key: None if inner is None else scalars.shown(inner) for key, inner in value.items()}
        elif isinstance(value, list):
            found = {}
            for item in map(scalars.shown, value):
                key, mark, inner = item.partition("=")
                found[key] = inner if mark else None
        else:
            raise ValueError(f"expected a list or a mapping, not {short_forms.kind(value)}")
        return {key: found[key] for key in sorted(found)}

    def variables(self, value: Any) -> Any:
        return self.pairs(value) or _NOTHING

    def mapping(self, value: Any) -> Any:
        return {key: inner or "" for key, inner in self.pairs(value).items()} or _NOTHING

    labels = mapping

    def hosts(self, value: Any) -> Any:
        return short_forms.hosts(value) or _NOTHING

    def command(self, value: Any) -> Any:
        return short_forms.words(value) if isinstance(value, str) else [self.text_always(one) for one in value]

    def test(self, value: Any) -> Any:
        if isinstance(value, str):
            return ["CMD-SHELL", value]
        return [self.text_always(one) for one in value] or _NOTHING

    def ssh(self, value: Any) -> Any:
        """``NAME`` or ``NAME=PATH``, which is the short form again."""
        pairs = self.pairs(value)
        return [name if place is None else f"{name}={place}" for name, place in pairs.items()] or _NOTHING

    def ulimits(self, value: Any) -> Any:
        out: dict[str, Any] = {}
        for name, limit in sorted(_mapping(value).items()):
            if isinstance(limit, dict):
                both = {key: self.integer_always(limit[key]) for key in ("soft", "hard") if key in limit}
                out[name] = both if self.shown else {key: inner for key, inner in both.items() if inner}
            else:
                out[name] = self.integer_always(limit)
        return out or _NOTHING

    def env_files(self, value: Any) -> Any:
        out: list[Any] = []
        for entry in value:
            if entry.get("required", True) is True:
                out.append(entry["path"])
            else:
                out.append({key: entry[key] for key in ("path", "required", "format") if key in entry})
        return out or _NOTHING


def in_order(value: Any) -> Any:
    """Mappings by their keys, all the way down."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(one) for one in value] if isinstance(value, list) else value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping, not {short_forms.kind(value)}")
    return value
