"""The dialogue that opens a stream, over a real channel: what `core/negotiate.py` decides is done here.

`open_stream.py` makes one when a connection can be used; it is the channel's Receiver until the stream is open, and
then hands the channel, with TLS between or not, to whoever it belongs to.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall

from ..core.errors import NetprocError, ProcessError
from ..core.limits import Limits
from ..core.negotiate import Done, Failed, Negotiation, Send, StartTLS, StreamProperties, Wake
from .channel import Receiver
from .reactor import INetprocReactor
from .stream import StreamChannel
from .tls.attach import tls_channel
from .tls.channel import Engine, TLSChannel
from .vetting import SECURITY_MANAGER, VettedChannel

#: May TLS as it is now be used?  The first is told if it may, and answers who is the receiver; the second if not.
Vetted = Callable[
    [TLSChannel, Callable[[VettedChannel], Receiver], Callable[[ProcessError], None]], Receiver
]


class Said(NamedTuple):
    """What the server said, before STARTTLS and after it; `secure` is None if that was not done."""

    clear: bytes
    secure: bytes | None


#: The stream is open: who is told from now on.
Opened = Callable[[VettedChannel, StreamProperties, Said], Receiver]
#: It is not.
Refused = Callable[[NetprocError, StreamProperties], None]


class Dialogue:
    """One dialogue over CHANNEL, of SECONDS at most; MAKE_ENGINE and VETTED are for STARTTLS.

    OPENED gets the channel, what has been found out, and the text of the dialogue; REFUSED the error, when the
    connection is given up.
    """

    def __init__(
        self,
        channel: VettedChannel,
        negotiation: Negotiation,
        make_engine: Callable[[StreamChannel, bytes], Engine],
        reactor: INetprocReactor,
        limits: Limits,
        seconds: float,
        *,
        vetted: Vetted,
        opened: Opened,
        refused: Refused,
    ) -> None:
        self._channel = channel
        self._negotiation = negotiation
        self._make_engine = make_engine
        self._reactor = reactor
        self._limits = limits
        self._vetted = vetted
        self._opened = opened
        self._refused = refused
        # Who is told: this, until the stream is open.
        self._receiver: Receiver = self
        self._said: list[bytes] = []
        self._said_in_clear: int | None = None
        self._over = False
        self._approving = False
        self._timer: IDelayedCall | None = reactor.callLater(seconds, self._too_late, seconds)
        # What the machine has asked to be woken by.
        self._alarm: IDelayedCall | None = None

    def begin(self) -> Receiver:
        """Who is the channel's receiver now."""
        self._negotiation.start()
        self._act()
        return self._receiver

    # -- told by the channel ----------------------------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        """See Receiver."""
        return self._heard

    def _heard(self, data: bytes) -> None:
        if not self._over:
            self._said.append(data)
            self._negotiation.receive(data)
            self._act()

    def eof(self) -> None:
        """See Receiver."""
        self._lost(None)

    def lost(self, reason: ProcessError | None) -> None:
        """See Receiver."""
        self._lost(reason)

    def gone(self) -> None:
        """See Receiver: it was given up."""
        self._end()

    def output_lost(self, reason: ProcessError) -> None:
        """See Receiver: the end is told too."""

    def congested(self) -> None:
        """See Receiver: commands are short."""

    def writable(self) -> None:
        """See Receiver: nobody has asked."""

    def noticed(self, error: ProcessError) -> None:
        """See Receiver: a stream has no such errors."""

    def _lost(self, reason: NetprocError | None) -> None:
        if not self._over:
            self._negotiation.lost(reason)
            self._act()

    def _too_late(self, seconds: float) -> None:
        self._timer = None
        missing = SECURITY_MANAGER if self._approving else self._negotiation.waiting_for
        problem = f"no {missing} within {seconds:g} s"
        self._lost(ProcessError(errno.ETIMEDOUT, problem))

    def _wake(self) -> None:
        self._alarm = None
        self._negotiation.woken()
        self._act()

    # -- what the machine wants -------------------------------------------------------------------

    def _act(self) -> None:
        for action in self._negotiation.actions():
            match action:
                case Send(data):
                    self._channel.write(data)
                case StartTLS(unread):
                    self._start_tls(unread)
                case Wake(seconds):
                    self._alarm = self._reactor.callLater(seconds, self._wake)
                case Done(properties, unread):
                    self._open(properties, unread)
                case Failed(error, properties):
                    self._end()
                    limits = self._limits
                    self._channel.close(limits.flush_timeout, limits.linger_timeout)
                    self._refused(error, properties)

    def _start_tls(self, unread: bytes) -> None:
        below = self._channel
        assert isinstance(below, StreamChannel)
        if unread:
            # It was not part of the dialogue in clear text, and never will be part of anything.
            self._said[:] = [b"".join(self._said)[: -len(unread)]]
        self._said_in_clear = sum(map(len, self._said))
        tls = tls_channel(
            below,
            self._make_engine(below, unread),
            self._reactor,
            self._limits,
            opened=self._encrypted,
            failed=self._lost,
        )
        below.hand_to(tls)
        # Whoever gives up now gives the handshake up, too.
        self._channel = self._receiver = tls
        tls.start(unread)

    def _encrypted(self, channel: TLSChannel) -> Receiver:
        self._channel = channel
        self._approving = True
        return self._vetted(channel, self._approved, self._lost)

    def _approved(self, _: VettedChannel) -> Receiver:
        self._approving = False
        self._receiver = self
        self._negotiation.tls_started()
        self._act()
        return self._receiver

    def _open(self, properties: StreamProperties, unread: bytes) -> None:
        """The text that came stays the beginning of the stream's buffer, as in Emacs."""
        self._end()
        said = b"".join(self._said)
        said = said[: len(said) - len(unread)]
        tls_start = self._said_in_clear
        secure = None if tls_start is None else said[tls_start:]
        parts = Said(said[:tls_start], secure)
        self._receiver = self._opened(self._channel, properties, parts)
        self._channel.hand_to(self._receiver)
        if unread:
            self._receiver.data(unread)

    def _end(self) -> None:
        self._over = True
        for timer in (self._timer, self._alarm):
            if timer is not None:
                timer.cancel()
        self._timer = self._alarm = None
