"""STARTTLS: put TLS under a process in the middle of its conversation.

`NetworkProcess.start_tls` calls this; it puts a channel of `net/tls/channel.py` between `net/stream.py` and the process.

What has come and is not with the filter yet belongs to TLS: a peer may have begun with it already, and
what somebody else has injected in clear text must not be taken for something encrypted.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail

from ..core.errors import ProcessArgumentError, ProcessError, not_running
from ..core.spec import name_to_verify
from ..core.status import State
from ..net.channel import Channel
from ..net.stream import StreamChannel
from ..net.tls import contexts
from ..net.tls.attach import engine_for, tls_channel
from ..net.tls.channel import TLSChannel
from ..net.tls.interfaces import Engine

if TYPE_CHECKING:
    from .process import NetworkProcess


def start_tls(
    process: NetworkProcess, parameters: object, unread: bytes, host: str | None
) -> Deferred[NetworkProcess]:
    """See `NetworkProcess.start_tls`; HOST is whose certificate a client expects."""
    try:
        below = _plain_channel(process)
    except ProcessError as error:
        return fail(error)
    try:
        if not isinstance(unread, bytes):
            raise ProcessArgumentError("unread", f"{type(unread).__name__} is not bytes")
        engine = _engine(process, below, parameters, unread, host)
    except ProcessArgumentError as error:
        # Whoever does not look at the Deferred would go on in clear text.
        process._lifecycle.broken(ProcessError(None, str(error)))
        return fail(error)
    try:
        # What was pending has been written for that, and a callback of `drain` may have deleted the process.
        _plain_channel(process)
    except ProcessError as error:
        return fail(error)
    return _put_between(process, below, engine, unread)


def start_tls_by(
    process: NetworkProcess, context_factory: object, is_server: bool
) -> Deferred[NetworkProcess]:
    """Go on with TLS by CONTEXT_FACTORY, one of Twisted's, which alone judges the peer.

    Fires and fails as `start_tls` does, but whatever makes TLS impossible is raised.
    """
    below = _plain_channel(process)
    security = contexts.as_given(context_factory, is_server=is_server)
    engine = engine_for(security, None, below, process._input.delivery.incomplete)
    _plain_channel(process)  # see `start_tls`
    return _put_between(process, below, engine, b"")


def _plain_channel(process: NetworkProcess) -> StreamChannel:
    if process.type != "network":
        raise ProcessError(errno.EOPNOTSUPP, "TLS is for connections")
    channel = process._output.channel
    if process._lifecycle.state is not State.OPEN or process._input.delivery.ended:
        raise not_running(process.name)
    if process._output.eof:
        raise ProcessError(errno.EPIPE, "the sending side is shut")
    if isinstance(channel, TLSChannel):
        raise ProcessError(errno.EALREADY, f"Process {process.name} does TLS already")
    if not isinstance(channel, StreamChannel) or process.shows_packets:
        raise ProcessError(errno.EOPNOTSUPP, "TLS is for streams")
    return channel


def _engine(
    process: NetworkProcess,
    below: StreamChannel,
    parameters: object,
    unread: bytes,
    host: str | None,
) -> Engine:
    is_server = process.accepted_by is not None
    name = None if is_server else name_to_verify(parameters, host)
    security = contexts.security(parameters, is_server=is_server)
    # What a framing keeps has not been used either.
    process._input.reclaim_unused()
    return engine_for(security, name, below, unread or process._input.delivery.incomplete)


def _put_between(
    process: NetworkProcess, below: StreamChannel, engine: Engine, unread: bytes
) -> Deferred[NetworkProcess]:
    done: Deferred[NetworkProcess] = Deferred(lambda _: process.delete())

    def opened(_: Channel) -> None:
        process._mark_tls_start()
        if not done.called:  # by being cancelled
            done.callback(process)

    def failed(error: ProcessError) -> None:
        if not done.called:
            done.errback(error)

    tls = tls_channel(
        below,
        engine,
        process.reactor,
        process.limits,
        opened=opened,
        failed=failed,
        receiver=process._lifecycle,
    )
    process._output.channel = tls
    below.hand_to(tls)
    tls.start(unread + process._input.switch(tls))
    return done
