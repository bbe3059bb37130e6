"""The seam between a connection and its user: what each may call on the other.

A Channel is one connection; `net/stream.py`, `net/foreign.py` and `net/datagram.py` implement it.  A Receiver gets the
input of a channel and is notified of its end; the receiver of an open connection is the lifecycle of its process
(`process/lifecycle.py`).  Neither side imports the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..core.address import SocketAddress
from ..core.errors import ProcessError


class Receiver(Protocol):
    """The object that a channel calls when something happens to its connection."""

    @property
    def data(self) -> Callable[[bytes], None]:
        """A function that the channel calls with each piece of received data.  A piece is never empty, unless it is an
        empty packet.

        The channel reads this property once, and keeps the function for all later input.
        """

    def eof(self) -> None:
        """The peer has ended its output; ours can still be written.

        The receiver decides what follows.  A process flushes its own output and closes.
        """

    def lost(self, reason: ProcessError | None) -> None:
        """The connection has ended without a call of `close` or `abort`, and the descriptor is closed.

        REASON is None if the peer closed the connection in order.
        """

    def output_lost(self, reason: ProcessError) -> None:
        """No more output can be sent.  The channel may still deliver input that was received before."""

    def congested(self) -> None:
        """More than the high-water mark was still pending when a dispatch ended."""

    def writable(self) -> None:
        """Less than the low-water mark is pending.  This is the answer to `when_writable`."""

    def gone(self) -> None:
        """The descriptor is closed, after `close` or `abort`."""

    def noticed(self, error: ProcessError) -> None:
        """ERROR concerns one datagram; the channel goes on."""


class Output(Protocol):
    """The output of a channel that waits to be sent."""

    @property
    def pending(self) -> int:
        """How many bytes `write` has taken that the system has not taken yet."""


class Pieces(deque[bytes]):
    """An Output: pieces of data that wait, and how many bytes they have together.

    Only `append`, `popleft` and `drop` keep the count.
    """

    pending = 0

    def append(self, data: bytes, /) -> None:
        """Add DATA as the last piece."""
        super().append(data)
        self.pending += len(data)

    def popleft(self) -> bytes:
        """Remove the first piece and return it."""
        data = super().popleft()
        self.pending -= len(data)
        return data

    def drop(self) -> int:
        """Remove all pieces; return how many bytes they had."""
        dropped, self.pending = self.pending, 0
        self.clear()
        return dropped


class Channel(Protocol):
    """One connection, or one datagram socket, as its process uses it."""

    #: The number of bytes that will never be sent; 0 until the channel knows it.
    unsent: int
    #: Why the connection could not be closed in order, for example because a deadline passed; None if it was.
    failure: ProcessError | None
    #: Whether the input may be incomplete: it has ended without the message by which a TLS peer ends it.
    truncated: bool

    @property
    def local(self) -> SocketAddress | None:
        """Our own address."""

    @property
    def remote(self) -> SocketAddress | None:
        """The address of the peer.  For datagrams it is the address that `write` sends to."""

    @property
    def output(self) -> Output:
        """The output that the system has not taken yet: the channel itself, or a part that counts it.  Each `send` of a
        process reads its size.
        """

    def hand_to(self, receiver: Receiver) -> None:
        """Call RECEIVER, and no other, from now on."""

    def write(self, data: bytes) -> None:
        """Send DATA when the running dispatch ends, with all else that it writes, or as soon as the peer reads.

        A channel of packets sends DATA as one packet.  It raises ProcessError if the system refuses the packet, and can
        be used afterwards.
        """

    def when_writable(self) -> None:
        """Call `writable` of the receiver once, as soon as less than the low-water mark is pending."""

    def set_marks(self, high: int, low: int) -> None:
        """Set the marks, in bytes: `congested` is called above HIGH, `writable` below LOW.

        LOW is at least 1, because it must be possible for less than that to be pending.
        """

    def check_pausable(self) -> None:
        """Raise ProcessError if `pause` cannot stop the transport from reading."""

    def pause(self) -> None:
        """Read nothing until `resume` is called.  The end of the input is not noticed either."""

    def resume(self) -> None:
        """Read again."""

    def write_eof(self) -> None:
        """Shut the writing side after the pending output; reading goes on."""

    def close(self, flush: float, linger: float) -> None:
        """Close the connection in order, and call `gone` of the receiver at the end.

        The channel sends the pending output, for FLUSH seconds at most, and shuts the writing side.  It then discards
        input until the peer ends its output too, for LINGER seconds at most.  If the channel did not wait for that, the
        kernel would answer unread input with a reset, which destroys data that the peer has not read yet.
        """

    def abort(self) -> None:
        """Close the connection at once, with a reset, and call `gone` of the receiver."""

    def set_option(self, name: str, value: object) -> None:
        """Set a network option of the socket.  Raises ProcessError if that is not possible."""

    def peer_credentials(self) -> tuple[int, int, int] | None:
        """Return the process, user and group id of the peer of a UNIX connection, None for other connections."""


class Port(Protocol):
    """A listening socket as its process uses it."""

    @property
    def local(self) -> SocketAddress | None:
        """The address that it listens on."""

    def pause(self) -> None:
        """Accept nothing until `resume` is called; new connections wait in the backlog."""

    def resume(self) -> None:
        """Accept connections again."""

    def close(self, gone: Callable[[], None]) -> None:
        """Stop listening, and call GONE when the descriptor is closed."""

    def set_option(self, name: str, value: object) -> None:
        """Set a network option of the listening socket.  Raises ProcessError if that is not possible."""
