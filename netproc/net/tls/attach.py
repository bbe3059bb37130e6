"""Putting TLS on a channel, in the faster of the two ways if that is possible.

`process/starttls.py` and `net/opening/handshake.py` call `tls_channel` with an engine.
"""

from __future__ import annotations

from collections.abc import Callable

from ...core.errors import ProcessError
from ...core.limits import Limits
from ..channel import Receiver
from ..interfaces import INetprocReactor
from ..stream import StreamChannel
from .channel import TLSChannel
from .connection import SocketConnection
from .interfaces import Engine, Security
from .memory import MemoryTLSChannel
from .onsocket import SocketTLSChannel


def engine_for(
    security: Security, name: str | None, channel: StreamChannel, unread: object = None
) -> Engine:
    """Return the engine of SECURITY for a connection over CHANNEL, whose server must be NAME.

    If there is UNREAD input, the engine works on memory, since OpenSSL could not read that input from the socket.
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
    """Return a TLS channel over BELOW, with ENGINE; the other arguments are those of `TLSChannel`."""
    made = SocketTLSChannel if isinstance(engine.connection, SocketConnection) else MemoryTLSChannel
    return made(below, engine, reactor, limits, opened=opened, failed=failed, receiver=receiver)
