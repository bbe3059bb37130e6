"""A limit for log lines that a peer or a shortage can cause again and again.

`net/listener.py`, `process/lifecycle.py` and `process/callbacks.py` ask a throttle before they log.  The next line says
how many were not logged.
"""

from __future__ import annotations

#: The seconds for which a number of lines is counted.
INTERVAL = 1.0

#: How many lines the peers of one server or client may cause in that time (P18).
MOST_COMPLAINTS = 10


class Throttle:
    """Lets MOST lines pass in each second."""

    __slots__ = ("_left", "_most", "_next", "_suppressed")

    def __init__(self, most: int = 1) -> None:
        self._most = self._left = most
        # When the next MOST lines may pass; None before the first line.
        self._next: float | None = None
        self._suppressed = 0

    def passes(self, now: float) -> int | None:
        """Return how many lines have been suppressed if a line may be logged NOW (in seconds), else None."""
        if self._next is None or now >= self._next:
            self._next = now + INTERVAL
            self._left = self._most
        if not self._left:
            self._suppressed += 1
            return None
        self._left -= 1
        return self.suppressed()

    def suppressed(self) -> int:
        """Return how many lines have been suppressed since the last one, and count from 0 again."""
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


def not_logged(suppressed: int) -> str:
    """Return the text that a line adds about the number of lines SUPPRESSED before it."""
    return f" ({suppressed} more not logged)" if suppressed else ""
