"""Where an answer ends that comes in pieces, found without looking through all of it for each piece.

`filters/transactions.py` feeds it what comes and asks for the end of the answer.
"""

from __future__ import annotations

import re
from typing import Any

from .decoders import Text

#: A match that begins within so many characters before the last piece is found at once.
NEAR = 1024

#: What is before those is looked at by `^`, `\\b` and their like only.
_MARGIN = 64

#: Everything is looked through again when there is so many times as much.
_GROWTH = 1.25


class Answer:
    """What has come of an answer, str or bytes."""

    __slots__ = ("_end_of_it", "_pieces", "_searched", "size")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._pieces: list[Any] = []
        # The last characters, for a look at little.
        self._end_of_it: Any = None
        # How much there was when all was looked through.
        self._searched = 0
        #: How much has come.
        self.size = 0

    def feed(self, data: Text) -> None:
        """DATA has come."""
        self._pieces.append(data)
        self.size += len(data)
        near = self._end_of_it
        self._end_of_it = data if near is None else near[-NEAR - _MARGIN :] + data

    @property
    def searched(self) -> bool:
        """Whether the last `find` has looked through all of it."""
        return self._searched == self.size

    def find(self, end: re.Pattern[Any], thorough: bool) -> int | None:
        """Return how much there is up to the end of the first match of END, or None if there is no match.

        If that is not THOROUGH, a match that begins long before the last piece may not be found yet.
        """
        grown = self.size <= NEAR or self.size >= _GROWTH * self._searched
        if not (thorough or grown or end.search(self._end_of_it, _MARGIN)):
            return None
        whole = self._joined()
        self._searched = self.size
        found = end.search(whole)
        return None if found is None else found.end()

    def take(self, size: int) -> Any:
        """Take out the first SIZE characters or bytes; what follows begins the next answer."""
        whole = self._joined()
        self._clear()
        if size < len(whole):
            self.feed(whole[size:])
        return whole[:size]

    def _joined(self) -> Any:
        if len(self._pieces) > 1:
            self._pieces = [self._pieces[0][:0].join(self._pieces)]
        return self._pieces[0]
