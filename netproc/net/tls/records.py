"""Read TLS records one at a time.

`connection.py` reads from a socket what belongs to the handshake, and `memory.py` bounds by it what OpenSSL does in one turn of
the reactor.
"""

from __future__ import annotations

from collections.abc import Callable

from ...core.limits import KIB

#: The records that OpenSSL is given before the reactor gets to do something else, see `weight`.
MOST_RECORDS = 64

#: Handshake messages can be of 4 bytes, and OpenSSL takes some 3 µs for each.  So this size counts as one record.
_WEIGHED = KIB // 4

#: Kind, version and length.
_HEADER_SIZE = 5


def weight(part: bytes) -> int:
    """How many records PART of a record counts as, which had no data in it."""
    return 1 + len(part) // _WEIGHED


class RecordReader:
    """Knows where the record ends that comes next."""

    __slots__ = ("_body_left", "_header")

    def __init__(self) -> None:
        # The beginning of a header, and how much of the record after a whole header has not come.
        self._header = b""
        self._body_left = 0

    def read(self, receive: Callable[[int], bytes]) -> bytes:
        """What has come of the next record, and nothing after it; nothing if nothing has come.

        RECEIVE is called with a size, and returns what has come: so many bytes at most.
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
    """Bytes that have come and are taken in parts."""

    __slots__ = ("_at", "_data")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def add(self, data: bytes) -> None:
        """DATA has come; it is copied only if there is something before it."""
        self._data = self._data[self._at :] + data if self else data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The first SIZE bytes, or what there is."""
        at, self._at = self._at, min(self._at + size, len(self._data))
        return self._data[at : self._at]
