"""--filter of ``images`` and ``image prune``: Docker's names and rules (moby daemon/images, api/types/filters).

Values of ``label``, ``before``, ``since`` and ``until`` must all hold; of several ``reference`` one must.
"""

from __future__ import annotations

from pod.core import moments
from pod.core.errors import NoSuchImage, PodError
from pod.core.image import store
from pod.core.image.patterns import BadPattern, Pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pod.core.engine import Engine
    from pod.core.image.store import Image

    Test = Callable[[Image], bool]


def read(filters: Sequence[str], accepted: Sequence[str]) -> dict[str, list[str]]:
    """The values of each name of "name=value" texts. PodError in Docker's words for a name that is not ``accepted``."""
    wanted: dict[str, list[str]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        hint = "filters are " + ", ".join(accepted)
        if not equals:
            raise PodError(f"invalid filter '{text}': not of the form name=value", hint=hint)
        if key not in accepted:
            raise PodError(f"invalid filter '{key}'", hint=hint)
        wanted.setdefault(key, []).append(value)
    return wanted


def truth(wanted: dict[str, list[str]], key: str) -> bool | None:
    """The one truth of a filter, None where it is not given; PodError where it is none, or both."""
    values = wanted.get(key)
    if not values:
        return None
    yes = any(value in ("1", "true") for value in values)
    no = any(value in ("0", "false") for value in values)
    if yes == no:
        raise PodError(f"invalid filter '{key}=[{' '.join(values)}]'", hint="it is true or false")
    return yes


def patterns(wanted: dict[str, list[str]]) -> list[Pattern]:
    """The patterns of ``reference``. PodError for one that is none."""
    found = []
    for text in wanted.get("reference", []):
        try:
            found.append(Pattern(text))
        except BadPattern as error:
            hint = "*, ?, [a-z] and [^a-z] are special; a backslash before one takes that away"
            raise PodError(f"invalid filter 'reference={text}': {error}", hint=hint) from None
    return found


def tests(engine: Engine, wanted: dict[str, list[str]], now: float) -> list[Test]:
    """The tests of an image that ask for nothing but itself: label, label!, before, since, until."""
    found: list[Test] = []
    for name in wanted.get("before", []):
        found.append(_older(created(store.resolve(engine, name))))
    for name in wanted.get("since", []):
        found.append(_newer(created(store.resolve(engine, name))))
    for text in wanted.get("until", []):
        found.append(_older(moment(text, now) + 1))
    if wanted.get("label"):
        found.append(_labelled(engine, wanted["label"]))
    if wanted.get("label!"):
        found.append(_not_labelled(engine, wanted["label!"]))
    return found


def created(image: Image) -> int:
    """Nanoseconds since 1970; long ago where the image does not say it, as Docker's zero time is."""
    moment = moments.instant(image.record.get("created"))
    return _LONG_AGO if moment is None else moment


_LONG_AGO = -(1 << 63)


def _older(moment: int) -> Test:
    return lambda image: created(image) < moment


def _newer(moment: int) -> Test:
    return lambda image: created(image) > moment


def moment(text: str, now: float) -> int:
    """Nanoseconds since 1970 of an ``until``. PodError where it is no time."""
    try:
        return moments.parse(text, now)
    except ValueError:
        raise PodError(
            f"invalid filter 'until={text}': failed to parse value as time or duration",
            hint="2024-01-31T12:00:00Z, seconds since 1970, or a duration before now: 24h",
        ) from None


def _labelled(engine: Engine, texts: list[str]) -> Test:
    def test(image: Image) -> bool:
        found = labels(engine, image)
        return all(_has(found, text) for text in texts)

    return test


def _not_labelled(engine: Engine, texts: list[str]) -> Test:
    test = _labelled(engine, texts)
    return lambda image: not test(image)


def _has(found: dict[str, str], text: str) -> bool:
    key, equals, value = text.partition("=")
    return key in found and (not equals or found[key] == value)


def labels(engine: Engine, image: Image) -> dict[str, str]:
    """The labels of an image that are texts; none of an image that somebody removes at this moment."""
    try:
        inner = image.config(engine).get("config")
    except NoSuchImage:
        return {}
    found = inner.get("Labels") if isinstance(inner, dict) else None
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
