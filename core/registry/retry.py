"""When a request is made again: failures that may pass by themselves, within bounds of attempts and time.

    again    connections refused, reset, silent or too slow; bodies that end early; status 408, 429, 500, 502, 503, 504
    never    every other status, names that do not exist, TLS that fails, answers that lie

The pause doubles each time, between half and one and a half of it at random, so that many that failed together do not
come back together. A registry that says how long to wait (Retry-After, RFC 9110 10.2.3) is waited for up to MAX_WAIT.
"""

from __future__ import annotations

import time

from pod.core.errors import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import TypeVar

    Answer = TypeVar("Answer")

STATUSES = frozenset((408, 429, 500, 502, 503, 504))
ATTEMPTS = 5
PAUSE = 0.25
"""Seconds of the first pause."""
MAX_WAIT = 60.0
"""Seconds that a registry may ask us to wait at once."""
MAX_TIME = 180.0
"""Seconds for all attempts of one request together."""
ENOUGH = 1 << 20
"""Bytes of a body that count as an attempt that was worth it: the count begins anew."""


class Passing(Unreachable):
    """A failure that may pass; ``wait`` is how many seconds the other side asked for, 0 where it did not."""

    def __init__(self, message: str, *, hint: str | None = None, wait: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.wait = wait


def asked_wait(header: str) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 where it is neither or past."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    import datetime
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    try:
        return max(0.0, when.timestamp() - time.time())
    except (OverflowError, ValueError):
        return 0.0


class Patience:
    """How often and how long one request is tried. ``stop``: ends a pause early, and the trying with it."""

    __slots__ = ("_attempts", "_began", "_stop")

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop
        self._attempts = 0
        self._began = time.monotonic()

    def worth_it(self) -> None:
        """The last attempt brought something: the next failure is the first again."""
        self._attempts = 0
        self._began = time.monotonic()

    def was_at_work(self) -> None:
        """The last attempt sent or received for as long as it took: its time does not count, the attempt does."""
        self._began = time.monotonic()

    def pause(self, failure: Passing) -> None:
        """Returns when it is time for the next attempt; raises ``failure`` when there is to be none."""
        import random

        self._attempts += 1
        wait = max(failure.wait, PAUSE * 2 ** (self._attempts - 1) * random.uniform(0.5, 1.5))
        late = time.monotonic() + wait > self._began + MAX_TIME
        if self._attempts >= ATTEMPTS or failure.wait > MAX_WAIT or late:
            raise failure
        if self._stop is None:
            time.sleep(wait)
        elif self._stop.wait(wait):
            raise failure


def insist(ask: Callable[[], Answer]) -> Answer:
    """The answer of ``ask``, tried again while it raises Passing and there is patience."""
    patience = Patience()
    while True:
        try:
            return ask()
        except Passing as failure:
            patience.pause(failure)
