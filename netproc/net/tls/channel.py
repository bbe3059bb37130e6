"""The TLS channel, between the channel of a connection and its receiver.

`attach.py` puts it on a channel (`net/channel.py`): the TLS channel is the receiver of the channel below, and a channel
for its own receiver.  The engine (`interfaces.py`) has the connection of pyOpenSSL and checks the peer.

No data passes in either direction before the handshake is done and the peer is checked.  Any failure ends the connection,
and nothing is ever sent in clear text.  There are two kinds: `memory.py` passes records through the channel below,
`onsocket.py` lets OpenSSL use the socket.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall

from ...core.address import SocketAddress
from ...core.errors import ProcessError
from ...core.limits import Limits
from ..channel import Channel, Receiver
from ..interfaces import INetprocReactor
from .interfaces import Engine

HANDSHAKE_FAILED = "TLS handshake failed"
TLS_BROKEN = "TLS connection broken"

#: OpenSSL's reason when the engine has refused a certificate.
_UNVERIFIED = "certificate verify failed"


class TLSChannel(ABC):
    """TLS over the channel BELOW; the caller makes this channel its receiver.

    When the connection can be used, OPENED is called with this channel, and hands it to a receiver.  If the handshake
    fails, FAILED is called with the error instead, after the descriptor is closed.  A connection that was used before TLS
    has a RECEIVER from the beginning, which is notified of the end too.
    """

    def __init__(
        self,
        below: Channel,
        engine: Engine,
        reactor: INetprocReactor,
        limits: Limits,
        *,
        opened: Callable[[TLSChannel], None],
        failed: Callable[[ProcessError], None],
        receiver: Receiver | None = None,
    ) -> None:
        self._below = below
        self._engine = engine
        self._connection = engine.connection
        self._reactor = reactor
        self._limits = limits
        self._opened = opened
        self._failed = failed
        self._receiver = receiver

        self.unsent = 0
        self.failure: ProcessError | None = None
        #: Whether the input ended without the close_notify that tells that it is complete.
        self.truncated = False

        # Output written before the end of the handshake.
        self._early: list[bytes] = []
        self._early_size = 0
        self._handshaking = True
        self._timer: IDelayedCall | None = None
        self._paused = False
        self._tell_writable = False
        self._write_shut = False
        self._input_over = False
        # The arguments of a close that waits for the handshake.
        self._close_due: tuple[float, float] | None = None
        self._closing = False
        self._gone = False

    def start(self, unread: bytes = b"") -> None:
        """Begin the handshake; UNREAD is input that has come from the peer already."""
        self._wait(self._limits.handshake_timeout)
        self._begin(unread)
        if self._paused and self._handshaking:
            self._below.resume()

    @abstractmethod
    def _begin(self, unread: bytes) -> None:
        """Take the first step of the handshake."""

    def hand_to(self, receiver: Receiver) -> None:
        self._receiver = receiver

    # -- the handshake ------------------------------------------------------------------------

    def _shake_hands(self) -> None:
        """Continue the handshake as far as the received input allows."""
        try:
            self._connection.do_handshake()
        except (SSL.WantReadError, SSL.WantWriteError) as wanted:
            self._handshake_waits(wanted)
        except Exception as error:
            # Also an exception of a function of the context: any error makes the handshake fail.
            self._break(self._refusal(error) or error_of(HANDSHAKE_FAILED, error))
        else:
            self._judge()

    @abstractmethod
    def _handshake_waits(self, wanted: SSL.Error) -> None:
        """Arrange that the handshake continues when there is input, or room for output."""

    def _refusal(self, error: Exception) -> ProcessError | None:
        """Return the engine's objection to the peer if that made the handshake fail, else None."""
        return self._engine.check() if _UNVERIFIED in reasons(error) else None

    def _judge(self) -> None:
        """Check the peer after the handshake."""
        try:
            problem = self._engine.check()
        except Exception as error:
            problem = error_of(HANDSHAKE_FAILED, error)
        if problem is None:
            self._open()
        else:
            self._refuse(problem)

    def _refuse(self, problem: ProcessError) -> None:
        try:
            self._connection.shutdown()
        except SSL.Error:
            # The peer may be gone; the connection ends in any case.
            pass
        self._break(problem)

    def _open(self) -> None:
        """Pass on the output that waits, and this channel to its receiver."""
        self._stop_waiting()
        self._handshaking = False
        opened = self._opened
        del self._opened, self._failed
        early, self._early = self._early, []
        self._early_size = 0
        self._handshake_over()
        for data in early:
            self._encrypt(data)
        # First the calls that were made during the handshake, then those that OPENED makes.
        if self._paused:
            self._below.pause()
        if self._tell_writable:
            self._below.when_writable()
        if self._write_shut:
            self._say_goodbye()
        if self._close_due is not None:
            self._close_below(*self._close_due)
        opened(self)
        self._go_on()

    @abstractmethod
    def _handshake_over(self) -> None:
        """Do what is needed before the first output."""

    @abstractmethod
    def _go_on(self) -> None:
        """Pass the input that has come to the receiver, since there is one now."""

    def _too_late(self) -> None:
        self._timer = None
        self._set_failure(ProcessError(errno.ETIMEDOUT, f"{HANDSHAKE_FAILED}: timed out"))
        self._below.abort()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self._reactor.callLater(seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- called by the channel below -------------------------------------------------------------

    @property
    @abstractmethod
    def data(self) -> Callable[[bytes], None]:
        """The function that takes input, see `Receiver`."""

    def eof(self) -> None:
        """Take the end of the input; without a close_notify before it, an attacker may have cut off the rest."""
        if self._handshaking:
            self._break(ProcessError(None, f"{HANDSHAKE_FAILED}: the peer closed the connection"))
        else:
            self._below_ended()

    @abstractmethod
    def _below_ended(self) -> None:
        """The channel below has no more input."""

    def lost(self, reason: ProcessError | None) -> None:
        self.truncated = self.truncated or not self._input_over
        self._end(reason)

    def gone(self) -> None:
        self._end(None)

    def output_lost(self, reason: ProcessError) -> None:
        if self._receiver is not None:
            self._receiver.output_lost(reason)

    def congested(self) -> None:
        if self._receiver is not None:
            self._receiver.congested()

    def writable(self) -> None:
        """Report room for output; during the handshake remember it for later."""
        if self._handshaking:
            self._tell_writable = True
        elif self._receiver is not None:
            self._receiver.writable()

    def noticed(self, error: ProcessError) -> None:
        if self._receiver is not None:
            self._receiver.noticed(error)

    def _input_ended(self) -> None:
        self._input_over = True
        assert self._receiver is not None
        self._receiver.eof()

    # -- input ----------------------------------------------------------------------------------

    def check_pausable(self) -> None:
        self._below.check_pausable()

    def pause(self) -> None:
        """Pause the input; a handshake continues."""
        self._paused = True
        if not self._handshaking:
            self._below.pause()

    def resume(self) -> None:
        self._paused = False
        if not self._handshaking:
            self._below.resume()

    # -- output ---------------------------------------------------------------------------------

    @property
    def output(self) -> Self:
        return self

    @property
    def pending(self) -> int:
        return self._below.output.pending + self._early_size

    def write(self, data: bytes) -> None:
        """Write DATA; before the end of the handshake it waits."""
        if self._handshaking:
            self._early.append(data)
            self._early_size += len(data)
        elif not self._closing and self.failure is None:
            self._encrypt(data)

    @abstractmethod
    def _encrypt(self, data: bytes) -> None:
        """Send DATA, encrypted."""

    def when_writable(self) -> None:
        if self._handshaking:
            self._tell_writable = True
        else:
            self._below.when_writable()

    def set_marks(self, high: int, low: int) -> None:
        self._below.set_marks(high, low)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def below(self) -> Channel:
        """The channel that carries the records."""
        return self._below

    @property
    def connection(self) -> SSL.Connection:
        """The connection of pyOpenSSL."""
        return self._connection

    @property
    def local(self) -> SocketAddress | None:
        return self._below.local

    @property
    def remote(self) -> SocketAddress | None:
        return self._below.remote

    def set_option(self, name: str, value: object) -> None:
        self._below.set_option(name, value)

    def peer_credentials(self) -> tuple[int, int, int] | None:
        return self._below.peer_credentials()

    def peer_status(self) -> dict[str, object] | None:
        """Return what is known of the connection and its peer, or None before the end of the handshake."""
        return None if self._handshaking else self._engine.peer_status()

    # -- ending ---------------------------------------------------------------------------------

    def write_eof(self) -> None:
        """End the output with a close_notify; the peer may continue to send."""
        self._write_shut = True
        if not self._handshaking:
            self._say_goodbye()

    @abstractmethod
    def _say_goodbye(self) -> None:
        """Send a close_notify if none has been sent; the connection below stays open."""

    def close(self, flush: float, linger: float) -> None:
        """Close the connection; output that waits for the end of the handshake waits for FLUSH seconds at most."""
        if self._closing:
            return
        self._closing = True
        if self._gone or self.failure is not None:
            return  # the channel is closed or closing already
        if self._handshaking and self._early:
            self._close_due = flush, linger
            self._wait(flush)
        else:
            self._close_below(flush, linger)

    def _close_below(self, flush: float, linger: float) -> None:
        if not self._handshaking:
            self._say_goodbye()
        self._below.close(flush, linger)

    def abort(self) -> None:
        self._closing = True
        self._below.abort()

    def _set_failure(self, error: ProcessError) -> None:
        self.failure = error
        if self._receiver is not None:
            self._receiver.output_lost(error)

    def _break(self, error: ProcessError) -> None:
        """End the connection with ERROR; send OpenSSL's alert if there is one, and nothing else."""
        self._stop_waiting()
        self._send_alert()
        self._set_failure(error)
        self._below.close(self._limits.linger_timeout, self._limits.linger_timeout)

    @abstractmethod
    def _send_alert(self) -> None:
        """Send OpenSSL's last record, the alert; nothing may be sent after it."""

    def _end(self, reason: ProcessError | None) -> None:
        """Report the end, since the connection below is closed."""
        self._stop_waiting()
        self._gone = True
        error = self.failure or reason
        self._count_unsent()
        receiver, self._receiver = self._receiver, None
        if self._handshaking:
            failed = self._failed
            del self._opened, self._failed
            failed(error or ProcessError(errno.ECONNABORTED, f"{HANDSHAKE_FAILED}: given up"))
        if receiver is None:
            return
        if self._closing:
            receiver.gone()
        else:
            receiver.lost(error)

    def _count_unsent(self) -> None:
        self.unsent = self._early_size
        if self._below.unsent > self._not_missed:
            self.unsent += self._below.unsent
            self.failure = self.failure or self._below.failure

    @property
    @abstractmethod
    def _not_missed(self) -> int:
        """How many unsent bytes to ignore: our close_notify or alert."""


def error_of(what: str, error: Exception) -> ProcessError:
    """Return a ProcessError for ERROR; WHAT says what failed, and OpenSSL's reasons follow."""
    number = error.args[0] if isinstance(error, SSL.SysCallError) else 0
    problem = f"{what}: {'; '.join(reasons(error)) or repr(error)}"
    return ProcessError(number if number > 0 else None, problem)


def reasons(error: Exception) -> list[str]:
    """Return OpenSSL's reasons for ERROR, none if it is not OpenSSL's error."""
    if isinstance(error, SSL.SysCallError):
        number = error.args[0]
        return [os.strerror(number) if number > 0 else "the peer closed the connection"]
    if not (isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list)):
        return []
    return [reason for _, _, reason in error.args[0] if reason]
