"""How much of the pending output of a process was sent by its own filter.

`process/output.py` reports what is sent, and asks how much of the output that is not written yet was sent by the filter.
Only that part may pause the input: if all output did, two ends that are both busy sending would stop each other.

The flow is a list of the positions in the stream of sent bytes at which the sender changed.  The flow of an echo
server, in which only the filter sends, never has more than two positions.
"""

from __future__ import annotations

#: At most this many changes of the sender are kept; older output counts as not sent by the filter.
MOST_CHANGES = 1000


class OutputFlow:
    """The stream of bytes that a process has sent, in runs of one sender: the filter or any other code."""

    __slots__ = ("_by_filter", "_older", "_start", "sent")

    def __init__(self) -> None:
        #: How many bytes have been sent in all.
        self.sent = 0
        # The sender of the current run (the filter or not) and where the run began; the runs before it alternate.
        self._by_filter = False
        self._start = 0
        # Where the earlier runs began, oldest first, as far as they may still be pending.
        self._older: list[int] | None = None

    def add(self, size: int, by_filter: bool, pending: int) -> None:
        """Add SIZE bytes, sent while PENDING of the earlier bytes are not written yet."""
        if by_filter is not self._by_filter:
            self._older = self._not_written(self.sent - pending) if pending else None
            self._start = self.sent
            self._by_filter = by_filter
        self.sent += size

    def uncount(self, size: int) -> None:
        """Remove the last SIZE bytes, which were not sent after all."""
        self.sent -= size

    def filter_pending(self, pending: int) -> int:
        """Return how many of the last PENDING bytes the filter has sent."""
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
        """Return the starts of the runs, without those that end before position WRITTEN or are too many."""
        starts = [*(self._older or ()), self._start]
        gone = max(0, len(starts) - MOST_CHANGES)
        while gone + 1 < len(starts) and starts[gone + 1] <= written:
            gone += 1
        return starts[gone:]
