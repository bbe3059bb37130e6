"""Bytes that wait to be sent on a socket.

`net/transport.py` appends what is written and lets the queue send itself: small pieces are joined, large
ones are never copied.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Protocol

from ..core.limits import KIB

#: Pieces below this size are joined; larger ones are chunks.
_JOIN = 16 * KIB
#: So many pieces are a chunk, lest the list weigh more than the bytes.
_MOST_PIECES = 1024
#: sendmsg takes no more buffers than this (UIO_MAXIOV).
_MOST_BUFFERS = 1024


class Wire(Protocol):
    """What a transport reads and writes: its socket, or TLS on it; non-blocking, as sockets are."""

    def recv(self, size: int, /) -> bytes:
        """What has come: of SIZE bytes at most, or one record of TLS."""

    def send(self, data: bytes | memoryview, /) -> int:
        """How much of DATA has been taken."""

    def sendmsg(self, data: list[bytes | memoryview], /) -> int:
        """How much of DATA has been taken."""

    def shutdown(self, how: int, /) -> None:
        """Shut the writing side."""

    def close(self) -> None:
        """Close the socket."""


class Queue(Protocol):
    """What a transport asks of its queue."""

    #: Bytes that wait.
    pending: int

    def append(self, data: bytes) -> None:
        """Queue DATA."""

    def drop(self) -> int:
        """Drop all that waits, and return how many bytes that was."""

    def send(self, wire: Wire) -> None:
        """Give WIRE what it takes; OSErrors are the caller's."""


class SendQueue:
    """Bytes in order; `pending` counts them."""

    __slots__ = ("_chunks", "_small", "pending")

    def __init__(self) -> None:
        self.pending = 0
        # These are made when there is something: most connections are idle.
        self._small: list[bytes] | None = None
        # What cannot be sent at once.
        self._chunks: deque[bytes | memoryview] | None = None

    def append(self, data: bytes) -> None:
        """Queue DATA."""
        size = len(data)
        self.pending += size
        small = self._small
        if size >= _JOIN:
            self._gather().append(data)
        elif small is None:
            self._small = [data]
        else:
            small.append(data)
            if len(small) >= _MOST_PIECES:
                self._gather()

    def drop(self) -> int:
        dropped, self.pending = self.pending, 0
        self._small = None
        self._chunks = None
        return dropped

    def send(self, wire: Wire) -> None:
        """Give WIRE as much as it takes in one system call; OSErrors are the caller's."""
        if self._chunks is None:
            self._send_small(wire)
            return
        chunks = self._gather()
        if len(chunks) == 1:
            sent = wire.send(chunks[0])
        else:
            sent = wire.sendmsg(list(islice(chunks, _MOST_BUFFERS)))
        self._forget_sent(chunks, sent)

    def _send_small(self, wire: Wire) -> None:
        """What nearly always happens: one reply, one send, nothing left."""
        small = self._small
        assert small is not None
        data = small[0] if len(small) == 1 else b"".join(small)
        sent = wire.send(data)
        self._small = None
        self.pending -= sent
        if self.pending:
            self._chunks = deque((memoryview(data)[sent:],))

    def _gather(self) -> deque[bytes | memoryview]:
        """Make the small pieces a chunk."""
        if self._chunks is None:
            self._chunks = deque()
        if self._small is not None:
            self._chunks.append(b"".join(self._small))
            self._small = None
        return self._chunks

    def _forget_sent(self, chunks: deque[bytes | memoryview], sent: int) -> None:
        self.pending -= sent
        while sent:
            chunk = chunks[0]
            if len(chunk) > sent:
                chunks[0] = memoryview(chunk)[sent:]
                break
            sent -= len(chunk)
            chunks.popleft()
        if not chunks:
            self._chunks = None
