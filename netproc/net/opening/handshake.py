"""The stages of TLS: netproc's handshake, or that of a foreign transport with TLS.

netproc's handshake is done by a TLS channel, which `net/tls/attach.py` makes.  The stage hands the connection on when the
handshake is complete.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from ...core.errors import ProcessError
from ...core.limits import Limits
from ..foreign import ForeignChannel
from ..interfaces import INetprocReactor
from ..stream import BROKEN, StreamChannel
from ..tls.attach import tls_channel
from ..tls.interfaces import Engine
from .stages import Deadline, Stage

#: Makes the TLS engine for a channel.  The second argument is input that the peer has already sent; if there is any, the
#: engine cannot read the socket itself.
MakeEngine = Callable[[StreamChannel, bytes], Engine]


class Handshake(Stage):
    """Puts TLS over the channel.

    `limits.handshake_timeout` holds for the handshake.  DEADLINE is a second time limit, that of a dialogue.
    """

    waiting_for = "TLS handshake"

    def __init__(
        self,
        make_engine: MakeEngine,
        reactor: INetprocReactor,
        limits: Limits,
        deadline: Deadline | None = None,
    ) -> None:
        self._make_engine = make_engine
        self._reactor = reactor
        self._limits = limits
        self.deadline = deadline

    def begin(self, unread: bytes) -> None:
        """Start the handshake; UNREAD is the beginning of the peer's part."""
        below = self.channel
        assert isinstance(below, StreamChannel)
        tls = tls_channel(
            below,
            self._make_engine(below, unread),
            self._reactor,
            self._limits,
            opened=self.opening.go_on,
            failed=self.opening.refuse,
        )
        # From now on, closing the connection ends the handshake.
        self.opening.channel = tls
        below.hand_to(tls)
        tls.start(unread)


class TransportHandshake(Stage):
    """Waits until the transport of a foreign endpoint has completed its handshake."""

    waiting_for = "TLS handshake"

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline

    def begin(self, unread: bytes) -> None:
        assert isinstance(self.channel, ForeignChannel)
        self.channel.when_secure(self.proceed)

    def too_late(self, seconds: float) -> ProcessError:
        return ProcessError(errno.ETIMEDOUT, f"{BROKEN}: TLS handshake timed out")

    def closed(self) -> ProcessError:
        return ProcessError(errno.ECONNABORTED, f"{BROKEN} before it was open")


def first_stages(
    channel: StreamChannel,
    make_engine: MakeEngine | None,
    reactor: INetprocReactor,
    limits: Limits,
) -> list[Stage]:
    """Return the first stages of any connection.

    These are the handshake of the transport, if CHANNEL has a foreign transport with TLS, and netproc's handshake, if
    MAKE_ENGINE is given.
    """
    stages: list[Stage] = []
    if isinstance(channel, ForeignChannel) and channel.does_tls:
        stages.append(TransportHandshake(Deadline(reactor, limits.handshake_timeout)))
    if make_engine is not None:
        stages.append(Handshake(make_engine, reactor, limits))
    return stages
