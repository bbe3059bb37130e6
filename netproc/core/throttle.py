"""No more than so many log lines: for what a peer, or a shortage, can bring about again and again.

`net/listener.py`, `process/lifecycle.py` and `process/callbacks.py` ask before they log, and say how often they did not.
"""

from __future__ import annotations

#: The seconds in which so many lines may pass.
INTERVAL = 1.0

#: Lines that the peers of one server, or of one client, may cause in that time (P18).
MOST_COMPLAINTS = 10


class Throttle:
    """Lets MOST lines pass in a second."""

    __slots__ = ("_left", "_most", "_next", "_suppressed")

    def __init__(self, most: int = 1) -> None:
        self._most = self._left = most
        # When as many may pass again; None before the first.
        self._next: float | None = None
        self._suppressed = 0

    def passes(self, now: float) -> int | None:
        """Return how many lines have been suppressed if one may be logged NOW (in seconds), else None."""
        if self._next is None or now >= self._next:
            self._next = now + INTERVAL
            self._left = self._most
        if not self._left:
            self._suppressed += 1
            return None
        self._left -= 1
        return self.suppressed()

    def suppressed(self) -> int:
        """Return how many lines have been suppressed since the last one, and count anew."""
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


def not_logged(suppressed: int) -> str:
    """Return what a line adds about those that were SUPPRESSED before it."""
    return f" ({suppressed} more not logged)" if suppressed else ""
