"""Whose output is still pending: what a process's own filter sent, or others.

`process/output.py` reports what is sent and asks how much of what its channel has not written yet came from the
filter.  Only that much may pause the input: if all output did, two ends that are both busy sending would
stop each other.

The flow is a list of the positions in the stream of sent bytes at which the sender changed.  An echo
server, where only the filter sends, never has more than two.
"""

from __future__ import annotations

#: More changes than this are not told apart: the older ones count as sent by others.
MOST_CHANGES = 1000


class OutputFlow:
    """The stream of bytes that a process has sent, in runs by sender."""

    __slots__ = ("_by_filter", "_older", "_start", "sent")

    def __init__(self) -> None:
        #: How many bytes have been sent in all.
        self.sent = 0
        # Who sends now, and since where; the run before was the other's, and so on.
        self._by_filter = False
        self._start = 0
        # Where the runs before that began, oldest first, as far as they may still be pending.
        self._older: list[int] | None = None

    def add(self, size: int, by_filter: bool, pending: int) -> None:
        """SIZE bytes are sent, while PENDING of those before are not written yet."""
        if by_filter is not self._by_filter:
            self._older = self._not_written(self.sent - pending) if pending else None
            self._start = self.sent
            self._by_filter = by_filter
        self.sent += size

    def uncount(self, size: int) -> None:
        """The last SIZE bytes were not sent after all."""
        self.sent -= size

    def filter_pending(self, pending: int) -> int:
        """How many of the last PENDING bytes the filter sent."""
        written = self.sent - pending
        total, end, by_filter = 0, self.sent, self._by_filter
        for start in (self._start, *reversed(self._older or ())):
            if end <= written:
                break
            if by_filter:
                total += end - max(start, written)
            end, by_filter = start, not by_filter
        return total

    def _not_written(self, written: int) -> list[int]:
        """The runs so far but for those that end before position WRITTEN, or are too many."""
        starts = [*(self._older or ()), self._start]
        gone = max(0, len(starts) - MOST_CHANGES)
        while gone + 1 < len(starts) and starts[gone + 1] <= written:
            gone += 1
        return starts[gone:]
