"""Reading of TLS records, one at a time.

`connection.py` uses it to read only the handshake from a socket, and `memory.py` to limit the work of OpenSSL in one turn
of the reactor.
"""

from __future__ import annotations

from collections.abc import Callable

from ...core.limits import KIB

#: How many records OpenSSL gets before the reactor continues with other work, see `weight`.
MOST_RECORDS = 64

#: This many bytes of a handshake count as one record: its messages can have 4 bytes, and each takes OpenSSL some 3 µs.
_WEIGHED = KIB // 4

#: The size of kind, version and length.
_HEADER_SIZE = 5


def weight(part: bytes) -> int:
    """Return how many records PART of a record counts as, if it has no application data."""
    return 1 + len(part) // _WEIGHED


class RecordReader:
    """A reader of records, which knows where the current record ends."""

    __slots__ = ("_body_left", "_header")

    def __init__(self) -> None:
        # The beginning of an incomplete header, and how many bytes of the record after its header are missing.
        self._header = b""
        self._body_left = 0

    def read(self, receive: Callable[[int], bytes]) -> bytes:
        """Return the received part of the current record and no byte after it, or nothing if no byte has come.

        RECEIVE is called with a size, and returns received bytes, at most that many.
        """
        part = b""
        if not self._body_left:
            part = receive(_HEADER_SIZE - len(self._header))
            self._header += part
            if len(self._header) == _HEADER_SIZE:
                self._body_left = int.from_bytes(self._header[3:])
                self._header = b""
        if self._body_left:
            body = receive(self._body_left)
            self._body_left -= len(body)
            part += body
        return part


class Incoming:
    """Received bytes, which are taken in parts."""

    __slots__ = ("_at", "_data")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def add(self, data: bytes) -> None:
        """Add DATA; it is copied only if other bytes wait before it."""
        self._data = self._data[self._at :] + data if self else data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Remove and return the first SIZE bytes, or all if there are fewer."""
        at, self._at = self._at, min(self._at + size, len(self._data))
        return self._data[at : self._at]
