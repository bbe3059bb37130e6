"""No more than so many log lines: for what a peer, or a shortage, can bring about again and again.

`net/listener.py` and `life.py` ask before they log, and say how often they did not.
"""

from __future__ import annotations

#: Seconds between two lines.
INTERVAL = 1.0


class Throttle:
    """Lets one line pass a second."""

    __slots__ = ("_next", "_suppressed")

    def __init__(self) -> None:
        self._next: float | None = None
        self._suppressed = 0

    def passes(self, now: float) -> int | None:
        """How many lines have been suppressed if one may be logged NOW (in seconds), else None."""
        if self._next is not None and now < self._next:
            self._suppressed += 1
            return None
        self._next = now + INTERVAL
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed
