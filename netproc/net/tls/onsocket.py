"""TLS on the socket itself: OpenSSL reads and writes it, which takes less than half the time of passing records through.

`attach.py` makes it over `net/stream.py`'s channel on a transport of ours, which from then on reads and writes a `Wire`.
Once the handshake is done, what comes goes from the transport to the receiver as it does without TLS, and what is
written waits, in clear text, in the transport's queue: so all that says about pausing and flow control holds.
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

#: The bytes of output that OpenSSL encrypts before the reactor gets to do something else.
MOST_SENT = 1024 * KIB

#: Linux has it.
_TCP_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class SocketTLSChannel(TLSChannel):
    """See TLSChannel."""

    _below: OwnChannel

    def __init__(self, below: Channel, *arguments: Any, **keywords: Any) -> None:
        super().__init__(below, *arguments, **keywords)
        assert isinstance(below, OwnChannel)
        self._transport = below.transport
        self._wire = Wire(below.transport.getHandle(), self._connection, self)
        # Whether TLS has to write before it can read on.
        self._has_no_room = False

    # -- the handshake ------------------------------------------------------------------------

    def _begin(self, unread: bytes) -> None:
        assert not unread
        # The parts of the handshake are short, and the peer waits for each.
        self._transport.setTcpNoDelay(True)
        self._transport.secure(self._wire)
        self._shake_hands()

    def go_on(self) -> None:
        """Told by the wire: more of the handshake has come."""
        self._shake_hands()

    def _handshake_waits(self, wanted: SSL.Error) -> None:
        if isinstance(wanted, SSL.WantWriteError):
            self.wait_for_room()

    def wait_for_room(self) -> None:
        """Called when OpenSSL cannot read on before it has written: an answer to what it has read.

        Reading stops until the peer has read that.  Otherwise the reactor would call again and again.
        """
        self._has_no_room = True
        self._transport.pauseProducing()
        self._below.when_writable()

    def writable(self) -> None:
        """See Receiver; during the handshake its next part can be sent now."""
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
        """See Channel."""
        super().hand_to(receiver)
        self._below.hand_to(self)

    # -- input --------------------------------------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        """See Receiver: nothing stands between the transport and who is told."""
        assert self._receiver is not None or self._handshaking
        return _nothing if self._handshaking else self._receiver.data  # type: ignore[union-attr]

    def _below_ended(self) -> None:
        self.truncated = not self._wire.ended
        self._input_ended()

    def broken(self, error: SSL.Error) -> None:
        """Told by the wire: what has come is no TLS, or an alert."""
        self._break(error_of(TLS_BROKEN, error))

    # -- output -------------------------------------------------------------------------------

    def _encrypt(self, data: bytes) -> None:
        self._below.write(data)

    def _send_alert(self) -> None:
        """OpenSSL has sent it."""
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
        del self._wire  # the two would keep each other

    def _count_unsent(self) -> None:
        dropped = self.unsent
        super()._count_unsent()
        self.unsent += dropped

    @property
    def _not_missed(self) -> int:
        return 0


class Wire:
    """TLS of CONNECTION on SOCK, in the place of a socket for a transport; CHANNEL is told."""

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
        # Set when the peer says that it sends no more.  OpenSSL has to take a bare end of the socket for that as
        # well: otherwise it would be an error, behind which nothing can be sent.
        self._goodbyes: list[bool] = []
        # Have we said that we send no more?
        self._said_goodbye = False
        self._shuts_socket = False

    def handshake_over(self) -> None:
        """Read and write from now on."""
        self.handshaking = False
        goodbyes = self._goodbyes

        def note(connection: SSL.Connection, where: int, what: int) -> None:
            if where == SSL.SSL_CB_READ_ALERT and not what & 0xFF:
                goodbyes.append(True)

        self._connection.set_options(SSL.OP_IGNORE_UNEXPECTED_EOF)
        self._connection.set_info_callback(note)

    @property
    def ended(self) -> bool:
        """Has the peer said that it sends no more?"""
        return bool(self._goodbyes)

    def recv(self, size: int) -> bytes:
        """One record, whatever its size: epoll knows nothing of the rest of one."""
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
        """Let nothing that the peer writes wait in its kernel for our acknowledgement.

        Our goodbye is data, which many a peer does not read.  When that peer closes, its kernel resets the connection
        and drops what Nagle's algorithm holds back.  The kernel forgets this option again, so each read sets it.
        """
        if _TCP_QUICKACK is not None:
            with suppress(OSError):  # a UNIX socket
                self._socket.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)

    def _input_failed(self, error: SSL.SysCallError) -> bytes:
        number = error.args[0]
        if number <= 0:
            return b""  # the end of the socket, without a goodbye
        raise OSError(number, os.strerror(number)) from None

    def send(self, data: bytes | memoryview) -> int:
        """How much of DATA has been taken: `MOST_SENT` bytes at most, however fast the peer reads."""
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
        """How much of BUFFERS has been taken: less than twice `MOST_SENT`."""
        total = 0
        for data in buffers:
            taken = self.send(data)
            total += taken
            if taken < len(data) or total >= MOST_SENT:
                break
        return total

    def shut_socket(self) -> None:
        """The connection is to be closed: behind the goodbye, which may be said already, comes its end."""
        self._shuts_socket = True
        if self._said_goodbye:
            self._shut_socket()

    def shutdown(self, how: int) -> None:
        """Say goodbye; raises BlockingIOError while there is no room for that."""
        self._say_goodbye()
        if self._shuts_socket:
            self._shut_socket()

    def _shut_socket(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            # The connection is gone already; reading will tell.
            pass

    def _say_goodbye(self) -> None:
        if self.handshaking or self._said_goodbye:
            return
        try:
            self._connection.shutdown()
        except SSL.WantWriteError:
            # OpenSSL sends it when it is asked again.
            raise BlockingIOError from None
        except SSL.Error:
            # Nobody listens, or it has been broken: then its alert was the last word.
            pass
        self._said_goodbye = True
        self._acknowledge_at_once()

    def close(self) -> None:
        """Say goodbye, if that is due and there is room, and close the socket."""
        with suppress(BlockingIOError):
            self._say_goodbye()
        self._socket.close()


def _nothing(data: bytes) -> None:
    """Before the handshake is done nothing comes."""
