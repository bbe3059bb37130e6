"""TLS on the socket itself: OpenSSL reads and writes it, which takes less than half the time of records in memory.

`attach.py` makes this channel over the channel of `net/stream.py` with netproc's transport.  From then on the transport
reads and writes a `Wire` instead of the socket.  After the handshake, input goes from the transport to the receiver as it
does without TLS, and output waits, in clear text, in the queue of the transport.  So pausing and flow control work as
they do without TLS.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from OpenSSL import SSL

from ...core.errors import ProcessError
from ...core.limits import KIB
from ..channel import Channel
from ..dispatch import DISPATCH
from ..reads import RECORD
from ..stream import OwnChannel
from .channel import TLS_BROKEN, TLSChannel, error_of

#: How many bytes of output OpenSSL encrypts before the reactor continues with other work.
MOST_SENT = 1024 * KIB

#: Linux has it.
_TCP_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class SocketTLSChannel(TLSChannel):
    """A TLS channel whose OpenSSL connection uses the socket."""

    _below: OwnChannel

    def __init__(self, below: Channel, *arguments: Any, **keywords: Any) -> None:
        super().__init__(below, *arguments, **keywords)
        assert isinstance(below, OwnChannel)
        self._transport = below.transport
        self._wire = Wire(below.transport.getHandle(), self._connection, self)
        # Whether OpenSSL has to write before it can read more.
        self._has_no_room = False

    # -- the handshake ------------------------------------------------------------------------

    def _begin(self, unread: bytes) -> None:
        assert not unread
        # The parts of the handshake are short, and the peer waits for each.
        self._transport.setTcpNoDelay(True)
        self._transport.secure(self._wire)
        self._shake_hands()

    def go_on(self) -> None:
        """Continue the handshake, since its input has come.  Called by the wire."""
        self._shake_hands()

    def _handshake_waits(self, wanted: SSL.Error) -> None:
        if isinstance(wanted, SSL.WantWriteError):
            self.wait_for_room()

    def wait_for_room(self) -> None:
        """Stop reading until the peer has read an answer that OpenSSL must write before it can read more.

        Otherwise the reactor would call for input again and again.
        """
        self._has_no_room = True
        self._transport.pauseProducing()
        self._below.when_writable()

    def writable(self) -> None:
        """Continue reading if it waited for this, and the handshake or the output."""
        if self._has_no_room:
            self._has_no_room = False
            if self._handshaking or not self._paused:
                self._transport.resumeProducing()
        if self._handshaking:
            self._shake_hands()
        else:
            super().writable()

    def _handshake_over(self) -> None:
        self._wire.handshake_over()

    def _go_on(self) -> None:
        self._below.hand_to(self)

    def hand_to(self, receiver: Any) -> None:
        super().hand_to(receiver)
        self._below.hand_to(self)

    # -- input --------------------------------------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        """The receiver's own function: the transport calls it directly."""
        assert self._receiver is not None or self._handshaking
        return _nothing if self._handshaking else self._receiver.data  # type: ignore[union-attr]

    def _below_ended(self) -> None:
        self.truncated = not self._wire.ended
        self._input_ended()

    def broken(self, error: SSL.Error) -> None:
        """End the connection, since the input is an alert, or is not TLS.  Called by the wire."""
        self._break(error_of(TLS_BROKEN, error))

    # -- output -------------------------------------------------------------------------------

    def _encrypt(self, data: bytes) -> None:
        self._below.write(data)

    def _send_alert(self) -> None:
        """Drop the rest of the output; OpenSSL has sent the alert already."""
        self.unsent += self._transport.give_up_security()

    # -- ending -------------------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        self._below.write_eof()

    def _close_below(self, flush: float, linger: float) -> None:
        if self._handshaking:
            self._transport.give_up_security()
        else:
            self._wire.shut_socket()
        self._below.close(flush, linger)

    def _end(self, reason: ProcessError | None) -> None:
        super()._end(reason)
        del self._wire  # a cycle of references

    def _count_unsent(self) -> None:
        dropped = self.unsent
        super()._count_unsent()
        self.unsent += dropped

    @property
    def _not_missed(self) -> int:
        return 0


class Wire:
    """TLS of CONNECTION on SOCK, with the methods of a socket, for a transport.  It notifies CHANNEL."""

    __slots__ = (
        "_channel",
        "_connection",
        "_goodbyes",
        "_said_goodbye",
        "_shuts_socket",
        "_socket",
        "handshaking",
    )

    def __init__(
        self, sock: socket.socket, connection: SSL.Connection, channel: SocketTLSChannel
    ) -> None:
        self._socket = sock
        self._connection = connection
        self._channel = channel
        self.handshaking = True
        # Not empty when the peer has sent its close_notify.  OpenSSL must take the end of the socket without one for
        # the same: otherwise it would be an error, after which nothing can be sent.
        self._goodbyes: list[bool] = []
        # Whether we have sent our close_notify.
        self._said_goodbye = False
        self._shuts_socket = False

    def handshake_over(self) -> None:
        """Read and write application data from now on."""
        self.handshaking = False
        goodbyes = self._goodbyes

        def note(connection: SSL.Connection, where: int, what: int) -> None:
            if where == SSL.SSL_CB_READ_ALERT and not what & 0xFF:
                goodbyes.append(True)

        self._connection.set_options(SSL.OP_IGNORE_UNEXPECTED_EOF)
        self._connection.set_info_callback(note)

    @property
    def ended(self) -> bool:
        """Whether the peer has sent its close_notify."""
        return bool(self._goodbyes)

    def recv(self, size: int) -> bytes:
        """Return the data of one record, whatever its size, since epoll does not report the rest of a record."""
        if self.handshaking:
            DISPATCH.run(self._channel.go_on)
            raise BlockingIOError
        if self._said_goodbye:
            self._acknowledge_at_once()
        try:
            return self._connection.recv(RECORD)
        except SSL.WantReadError:
            raise BlockingIOError from None
        except SSL.WantWriteError:
            self._channel.wait_for_room()
            raise BlockingIOError from None
        except SSL.ZeroReturnError:
            return b""
        except SSL.SysCallError as error:
            return self._input_failed(error)
        except SSL.Error as error:
            DISPATCH.run(self._channel.broken, error)
            raise BlockingIOError from None

    def _acknowledge_at_once(self) -> None:
        """Make our kernel acknowledge at once, so that no output of the peer waits for that in the peer's kernel.

        Our close_notify is data, which many peers do not read.  When such a peer closes, its kernel resets the connection
        and drops the output that Nagle's algorithm holds back.  The kernel forgets this option, so each read sets it.
        """
        if _TCP_QUICKACK is not None:
            with suppress(OSError):  # a UNIX socket
                self._socket.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)

    def _input_failed(self, error: SSL.SysCallError) -> bytes:
        number = error.args[0]
        if number <= 0:
            return b""  # the end of the socket, without a close_notify
        raise OSError(number, os.strerror(number)) from None

    def send(self, data: bytes | memoryview) -> int:
        """Send DATA, `MOST_SENT` bytes at most however fast the peer reads; return how many bytes were sent."""
        rest = memoryview(data)[:MOST_SENT]
        size = len(rest)
        while rest:
            try:
                taken = self._connection.send(rest)
            except (SSL.WantWriteError, SSL.WantReadError):
                break
            except SSL.SysCallError as error:
                number = error.args[0] if error.args[0] > 0 else errno.EPIPE
                raise OSError(number, os.strerror(number)) from None
            except SSL.Error as error:
                raise error_of(TLS_BROKEN, error) from None
            rest = rest[taken:]
        return size - len(rest)

    def sendmsg(self, buffers: list[bytes | memoryview]) -> int:
        """Send BUFFERS, less than twice `MOST_SENT` bytes; return how many bytes were sent."""
        total = 0
        for data in buffers:
            taken = self.send(data)
            total += taken
            if taken < len(data) or total >= MOST_SENT:
                break
        return total

    def shut_socket(self) -> None:
        """Shut the sending side of the socket down after our close_notify, since the connection closes."""
        self._shuts_socket = True
        if self._said_goodbye:
            self._shut_socket()

    def shutdown(self, how: int) -> None:
        """Send our close_notify; raise BlockingIOError while there is no room for it."""
        self._say_goodbye()
        if self._shuts_socket:
            self._shut_socket()

    def _shut_socket(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            # The connection is gone already; the next read reports that.
            pass

    def _say_goodbye(self) -> None:
        if self.handshaking or self._said_goodbye:
            return
        try:
            self._connection.shutdown()
        except SSL.WantWriteError:
            # OpenSSL sends it at the next call.
            raise BlockingIOError from None
        except SSL.Error:
            # The peer is gone, or the connection is broken, and its alert was the last record.
            pass
        self._said_goodbye = True
        self._acknowledge_at_once()

    def close(self) -> None:
        """Send our close_notify if it is not sent and there is room, and close the socket."""
        with suppress(BlockingIOError):
            self._say_goodbye()
        self._socket.close()


def _nothing(data: bytes) -> None:
    """Take no data: none comes before the end of the handshake."""
