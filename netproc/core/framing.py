"""Splitters: they divide a stream into lines, or into messages that begin with their length.

`filters/framing.py` feeds one for each process and takes the messages one by one, and at the end the unused rest.  How
the stream was divided into pieces makes no difference.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from .decoders import Text


class TooLongError(Exception):
    """A message is too long; all messages before it have been taken."""


class Splitter(Protocol):
    """Cuts a stream into messages."""

    def feed(self, data: Text) -> None:
        """Add DATA, the next piece of the stream."""

    def take(self) -> Text | None:
        """Return the next message, or None if there is no whole one; raise TooLongError if it is too long."""

    def drain_unused(self) -> Text:
        """Return everything that has not been taken, and forget it."""


class LineSplitter:
    """A splitter for lines of MAX_LENGTH at most.  They end with DELIMITER, which is not part of the line."""

    def __init__(self, delimiter: Text, max_length: int) -> None:
        self._delimiter: Any = delimiter
        self._empty: Any = delimiter[:0]
        self._max_length = max_length
        self._lines: deque[Any] = deque()
        # An incomplete line in pieces, so that a long one is not searched again and again.
        self._unfinished: list[Any] = []
        self._size = 0

    def feed(self, data: Any) -> None:
        overlap = self._overlap()
        if overlap:
            self._size -= len(overlap)
            data = overlap + data
        first, *others = data.split(self._delimiter)
        self._unfinished.append(first)
        self._size += len(first)
        if others:
            self._lines.append(self._empty.join(self._unfinished))
            self._lines.extend(others[:-1])
            self._unfinished = [others[-1]]
            self._size = len(others[-1])

    def _overlap(self) -> Any:
        """Remove and return the end of the incomplete line, which may be the beginning of a delimiter."""
        wanted = len(self._delimiter) - 1
        overlap = self._empty
        while self._unfinished and len(overlap) < wanted:
            last = self._unfinished.pop()
            split = max(0, len(last) + len(overlap) - wanted)
            overlap = last[split:] + overlap
            if split:
                self._unfinished.append(last[:split])
        return overlap

    def take(self) -> Any:
        if self._lines:
            if len(self._lines[0]) > self._max_length:
                raise TooLongError
            return self._lines.popleft()
        # The part that may be the beginning of a delimiter does not count yet.
        if self._size > self._max_length + len(self._delimiter) - 1:
            raise TooLongError
        return None

    def drain_unused(self) -> Any:
        rest = self._delimiter.join([*self._lines, self._empty.join(self._unfinished)])
        self._lines.clear()
        self._unfinished.clear()
        self._size = 0
        return rest


class LengthSplitter:
    """A splitter for messages of MAX_LENGTH bytes at most, each after its length, a number of SIZE bytes."""

    def __init__(self, size: int, byteorder: str, max_length: int) -> None:
        self._prefix_size = size
        self._byteorder: Any = byteorder
        self._max_length = max_length
        self._data = b""
        self._start = 0
        # The pieces after `_data`; they are joined when a message needs them.
        self._more: list[bytes] = []
        self._size = 0

    def feed(self, data: Any) -> None:
        self._more.append(data)
        self._size += len(data)

    def take(self) -> bytes | None:
        if self._size < self._prefix_size:
            return None
        self._join(self._prefix_size)
        end = self._start + self._prefix_size
        length = int.from_bytes(self._data[self._start : end], self._byteorder)
        if length > self._max_length:
            raise TooLongError
        if self._size < self._prefix_size + length:
            return None
        self._join(self._prefix_size + length)
        end = self._start + self._prefix_size
        message = self._data[end : end + length]
        self._start = end + length
        self._size -= self._prefix_size + length
        return message

    def _join(self, size: int) -> None:
        """Make the first SIZE bytes one piece."""
        if len(self._data) - self._start < size:
            self._data = self.drain_unused()
            self._size = len(self._data)

    def drain_unused(self) -> bytes:
        rest = b"".join((self._data[self._start :], *self._more))
        self._data, self._start, self._size = b"", 0, 0
        self._more.clear()
        return rest
