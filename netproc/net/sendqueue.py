"""Bytes that wait to be sent on a socket.

`net/transport.py` appends what is written to the queue and calls `send`.  Small pieces are joined; large ones are
never copied.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Protocol

from ..core.limits import KIB

#: Pieces below this size, in bytes, are joined.  Larger ones become separate chunks.
_JOIN = 16 * KIB
#: After this many small pieces they are joined, so that the list does not take more memory than the bytes.
_MOST_PIECES = 1024
#: The most buffers that sendmsg takes (UIO_MAXIOV).
_MOST_BUFFERS = 1024


class Wire(Protocol):
    """What a transport reads from and writes to: its socket, or TLS on it.

    Calls do not block; as with a socket, they raise BlockingIOError instead, or another OSError.
    """

    def recv(self, size: int, /) -> bytes:
        """Return received data: at most SIZE bytes, or one TLS record.  Empty at the end of the input."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Send DATA, and return how many bytes of it were taken."""

    def sendmsg(self, data: list[bytes | memoryview], /) -> int:
        """Send the buffers of DATA, and return how many bytes were taken."""

    def shutdown(self, how: int, /) -> None:
        """Shut the writing side."""

    def close(self) -> None:
        """Close the socket."""


class Queue(Protocol):
    """The output of a transport that the kernel has not taken yet."""

    #: The number of bytes that wait.
    pending: int

    def append(self, data: bytes) -> None:
        """Queue DATA."""

    def drop(self) -> int:
        """Drop all that waits, and return how many bytes that was."""

    def send(self, wire: Wire) -> None:
        """Send as much as WIRE takes.  Does not handle its OSErrors, BlockingIOError included."""


class SendQueue:
    """A Queue for a stream of bytes."""

    __slots__ = ("_chunks", "_small", "pending")

    def __init__(self) -> None:
        self.pending = 0
        # Neither container is made before it is needed: most connections are idle.
        self._small: list[bytes] | None = None
        # Large pieces, and the rest of what was sent in part.
        self._chunks: deque[bytes | memoryview] | None = None

    def append(self, data: bytes) -> None:
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
        """Send as much as WIRE takes in one system call.  Does not handle its OSErrors."""
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
        """Send small pieces only.  This is the usual case: one reply, one send, nothing left."""
        small = self._small
        assert small is not None
        data = small[0] if len(small) == 1 else b"".join(small)
        sent = wire.send(data)
        self._small = None
        self.pending -= sent
        if self.pending:
            self._chunks = deque((memoryview(data)[sent:],))

    def _gather(self) -> deque[bytes | memoryview]:
        """Join the small pieces to a chunk, and return the chunks."""
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
