"""What a process may ask of its connection, and what it is told: the seam between the floors.

`net/stream.py`, `net/datagram.py` and `net/foreign.py` implement Channel and call a Receiver; `process/lifecycle.py` is the Receiver
and asks the Channel.  Neither imports the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..core.address import SocketAddress
from ..core.errors import ProcessError


class Receiver(Protocol):
    """Is told what happens to a connection."""

    @property
    def data(self) -> Callable[[bytes], None]:
        """To be called with bytes that have come, never none.  Asked for once: a channel keeps it
        for everything that comes.
        """

    def eof(self) -> None:
        """The peer sends no more; the writing side is still open.  Whoever is told decides what
        becomes of it: a process flushes and closes, a relay passes the end on.
        """

    def lost(self, reason: ProcessError | None) -> None:
        """The connection has ended without our asking; the descriptor is gone.  The reason is
        None if the peer closed it in order.
        """

    def output_lost(self, reason: ProcessError) -> None:
        """Nothing can be written any more; what has come may still have to be read."""

    def congested(self) -> None:
        """An event has ended and more than the high-water mark is still pending."""

    def writable(self) -> None:
        """Less than the low-water mark is pending: the answer to `when_writable`."""

    def gone(self) -> None:
        """The descriptor is closed, after `close` or `abort`."""

    def noticed(self, error: ProcessError) -> None:
        """Something went wrong with a datagram; that ends nothing."""


class Output(Protocol):
    """What has been written."""

    @property
    def pending(self) -> int:
        """Bytes taken by `write` that are not with the system yet."""


class Pieces(deque[bytes]):
    """An Output: pieces of data that wait, and how many bytes they have together."""

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


class Channel(Protocol):
    """A connection as a process sees it."""

    #: Bytes that will never be written, once that is known.
    unsent: int
    #: Why the close did not go to its end in order: a deadline, a reset.
    failure: ProcessError | None
    #: Has the input ended without the peer's word, which TLS has, that it is whole?
    truncated: bool

    @property
    def local(self) -> SocketAddress | None:
        """Our address."""

    @property
    def remote(self) -> SocketAddress | None:
        """The peer's address; of datagrams, where writes go."""

    @property
    def output(self) -> Output:
        """Where it waits until the system has it: the channel itself, or a part that knows by itself how
        much there is, since each `send` asks.
        """

    def hand_to(self, receiver: Receiver) -> None:
        """Tell RECEIVER what happens from now on."""

    def write(self, data: bytes) -> None:
        """Send DATA: with all that this event writes when the event ends, or as the peer reads.

        Channels of packets raise ProcessError for one that the system refuses, and go on.
        """

    def when_writable(self) -> None:
        """Tell `writable` once, as soon as less than the low-water mark is pending."""

    def set_marks(self, high: int, low: int) -> None:
        """The high-water mark of `congested` and the low-water mark of `writable`, in bytes; LOW is at
        least 1, since less than that has to be possible.
        """

    def check_pausable(self) -> None:
        """Raise ProcessError if `pause` cannot stop the transport from reading."""

    def pause(self) -> None:
        """Read nothing until `resume`; the end is not noticed either."""

    def resume(self) -> None:
        """Read again."""

    def write_eof(self) -> None:
        """Shut the writing side, after what is pending; reading goes on."""

    def close(self, flush: float, linger: float) -> None:
        """Write what is pending, for FLUSH seconds at most; shut the writing side; throw away
        input until the peer ends too, for LINGER seconds at most; then tell `gone`.

        A close without that lets the kernel answer unread input with a reset, which destroys what
        the peer has not read yet.
        """

    def abort(self) -> None:
        """Close at once by a reset and tell `gone`."""

    def set_option(self, name: str, value: object) -> None:
        """Set a network option of the connection's socket; raises ProcessError."""

    def peer_credentials(self) -> tuple[int, int, int] | None:
        """Process, user and group id of the peer of a UNIX connection; None for others."""


class Port(Protocol):
    """A listening socket as a process sees it."""

    @property
    def local(self) -> SocketAddress | None:
        """Where it listens."""

    def pause(self) -> None:
        """Accept nothing until `resume`; connections wait in the backlog."""

    def resume(self) -> None:
        """Accept again."""

    def close(self, gone: Callable[[], None]) -> None:
        """Listen no more; GONE is called when the descriptor is closed."""

    def set_option(self, name: str, value: object) -> None:
        """Set a network option of the listening socket; raises ProcessError."""
