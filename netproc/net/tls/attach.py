"""Put TLS over a channel, in the faster of the two ways if that can be.

`process/starttls.py` and `net/opening/handshake.py` call it with what `contexts.py` (at run time) made of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable

from ...core.errors import ProcessError
from ...core.limits import Limits
from ..channel import Receiver
from ..interfaces import INetprocReactor
from ..stream import StreamChannel
from .channel import TLSChannel
from .interfaces import Engine, Security
from .memory import MemoryTLSChannel
from .onsocket import SocketTLSChannel


def engine_for(
    security: Security, name: str | None, channel: StreamChannel, unread: object = None
) -> Engine:
    """The engine of a connection over CHANNEL; see Security.  What is UNREAD, if anything, can be read from
    memory only.
    """
    return security.engine(name, None if unread else channel.socket_for_tls())


def tls_channel(
    below: StreamChannel,
    engine: Engine,
    reactor: INetprocReactor,
    limits: Limits,
    *,
    opened: Callable[[TLSChannel], None],
    failed: Callable[[ProcessError], None],
    receiver: Receiver | None = None,
) -> TLSChannel:
    """TLS over BELOW; see TLSChannel."""
    made = SocketTLSChannel if engine.on_socket else MemoryTLSChannel
    return made(below, engine, reactor, limits, opened=opened, failed=failed, receiver=receiver)
