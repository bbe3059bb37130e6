"""The stages of TLS: a handshake of ours, or that of a transport that does TLS itself.

`net/tls/channel.py` shakes hands; here its end becomes that of a stage.
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

#: Makes the engine for a channel; what the peer has sent already, if anything, decides how it works.
MakeEngine = Callable[[StreamChannel, bytes], Engine]


class Handshake(Stage):
    """Put TLS over the channel.  It has a deadline of its own, and maybe another one, that of a dialogue."""

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
        """See Stage: UNREAD is the beginning of the handshake."""
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
        # From now on, giving up the connection gives up the handshake.
        self.opening.channel = tls
        below.hand_to(tls)
        tls.start(unread)


class TransportHandshake(Stage):
    """Wait until the transport of a foreign endpoint has done its handshake."""

    waiting_for = "TLS handshake"

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline

    def begin(self, unread: bytes) -> None:
        """See Stage."""
        assert isinstance(self.channel, ForeignChannel)
        self.channel.when_secure(self.proceed)

    def too_late(self, seconds: float) -> ProcessError:
        """See Stage."""
        return ProcessError(errno.ETIMEDOUT, f"{BROKEN}: TLS handshake timed out")

    def closed(self) -> ProcessError:
        """See Stage."""
        return ProcessError(errno.ECONNABORTED, f"{BROKEN} before it was open")


def first_stages(
    channel: StreamChannel,
    make_engine: MakeEngine | None,
    reactor: INetprocReactor,
    limits: Limits,
) -> list[Stage]:
    """Return the stages with which every connection begins: TLS of the transport, if it does TLS, and ours, if there is
    MAKE_ENGINE.
    """
    stages: list[Stage] = []
    if isinstance(channel, ForeignChannel) and channel.does_tls:
        stages.append(TransportHandshake(Deadline(reactor, limits.handshake_timeout)))
    if make_engine is not None:
        stages.append(Handshake(make_engine, reactor, limits))
    return stages
