"""A connection that is ready, and is not to be used before somebody has said so.

`open_stream.py` makes one with the answer of `security.py` that is to come; it is the channel's Receiver until then, and
hands the channel to whom it belongs to if the answer is yes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from ..core.errors import ProcessError, SecurityError
from ..core.escape import escape
from .channel import Receiver
from .reactor import INetprocReactor
from .stream import StreamChannel
from .tls.channel import TLSChannel

#: What is waited for.
SECURITY_MANAGER: Final = "answer of the security manager"

VettedChannel: TypeAlias = StreamChannel | TLSChannel
#: Gets the channel that may be used; answers who is told from now on.
Opened: TypeAlias = Callable[[VettedChannel], Receiver]
#: Gets the error when it may not, and has to see to the channel.
Refused: TypeAlias = Callable[[ProcessError], None]


class Vetting:
    """CHANNEL waits for VERDICT, which fires if it may be used and fails otherwise, for SECONDS at most."""

    def __init__(
        self,
        channel: VettedChannel,
        verdict: Deferred[None],
        reactor: INetprocReactor,
        seconds: float,
        *,
        opened: Opened,
        refused: Refused,
    ) -> None:
        self._channel = channel
        self._verdict = verdict
        self._reactor = reactor
        self._seconds = seconds
        self._opened = opened
        self._refused = refused
        self._receiver: Receiver = self
        self._over = False
        self._timer: IDelayedCall | None = None
        # What came meanwhile: as a rule nothing, since the channel is paused.
        self._held: list[bytes] = []
        self._ended = False

    def begin(self) -> Receiver:
        """Who is the channel's receiver now."""
        self._timer = self._reactor.callLater(self._seconds, self._too_late)
        self._channel.pause()
        self._verdict.addCallbacks(self._accept, self._object)
        return self._receiver

    def _accept(self, _: None) -> None:
        if self._over:
            return
        # Before the program hears of the stream: it may want to pause it by itself.
        self._channel.resume()
        if self._over:  # the end was there already
            return
        self._end()
        self._receiver = self._opened(self._channel)
        self._channel.hand_to(self._receiver)
        for data in self._held:
            self._receiver.data(data)
        if self._ended:
            self._receiver.eof()

    def _object(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, ProcessError):
            error = SecurityError(f"the security manager failed: {escape(repr(failure.value))}")
        self._refuse(error)

    def _too_late(self) -> None:
        self._timer = None
        problem = f"no {SECURITY_MANAGER} within {self._seconds:g} s"
        self._refuse(ProcessError(errno.ETIMEDOUT, problem))

    def _refuse(self, error: ProcessError) -> None:
        if not self._over:
            self._end()
            self._refused(error)

    def _end(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # It may still be thinking; nobody wants to know any more.
        self._verdict.cancel()

    # -- told by the channel ----------------------------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        """See Receiver."""
        return self._held.append

    def eof(self) -> None:
        """See Receiver."""
        self._ended = True

    def lost(self, reason: ProcessError | None) -> None:
        """See Receiver."""
        self._refuse(reason or ProcessError(None, "connection closed before it was approved"))

    def gone(self) -> None:
        """See Receiver: it was given up."""
        if not self._over:
            self._end()

    def output_lost(self, reason: ProcessError) -> None:
        """See Receiver: the end is told too."""

    def congested(self) -> None:
        """See Receiver: nothing is written."""

    def writable(self) -> None:
        """See Receiver: nobody has asked."""

    def noticed(self, error: ProcessError) -> None:
        """See Receiver: a stream has no such errors."""
