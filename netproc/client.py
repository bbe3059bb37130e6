"""Connect a client process: look up, connect, give it its channel.

`make.py` hands in the spec and the process; this joins `net/resolve.py`, `net/endpoints.py` or a foreign
endpoint, and `net/stream.py` or `net/foreign.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from .core.address import SocketAddress
from .core.errors import NetprocError, ProcessError
from .core.spec import ProcessSpec, name_to_verify
from .core.status import Cause
from .net.channel import Channel, Receiver
from .net.connector import FAILED
from .net.endpoints import ClientEndpoint
from .net.foreign import ForeignChannel, network_error
from .net.resolve import Resolver
from .net.stream import ChannelFactory, OwnChannel, StreamChannel
from .net.tls.attach import Security, engine_for, tls_channel
from .net.tls.channel import TLSChannel
from .process import NetworkProcess
from .waiting import in_time

T = TypeVar("T")

log = Logger()


class ClientMaker:
    """Makes one client."""

    def __init__(
        self,
        spec: ProcessSpec,
        process: NetworkProcess,
        resolver: Resolver,
        foreign: IStreamClientEndpoint | None,
        security: Security | None,
    ) -> None:
        self._spec = spec
        self._process = process
        self._reactor = process.reactor
        self._resolver = resolver
        self._deadline = self._reactor.seconds() + spec.limits.connect_timeout
        # Fires when the connection can be used: after TLS, be it ours or a foreign endpoint's.
        self._opened: Deferred[None] = Deferred()
        self._foreign = foreign
        self._security = security
        # What is to be given up when that fails.
        self._channel: StreamChannel | TLSChannel | None = None
        self._addresses_known = False
        self._cause = Cause.CONNECTED

    def make(self) -> Deferred[NetworkProcess]:
        """Fires with the process when it can talk; nobody sees it before."""
        return Deferred.fromCoroutine(self._make())

    async def _make(self) -> NetworkProcess:
        process = self._process
        try:
            await self._connect()
        except BaseException:
            process.table.release(process.name)
            raise
        return process

    def make_nowait(self) -> NetworkProcess:
        """The process, listed and connecting."""
        process = self._process
        self._use_buffer()
        # In the next turn: a connect that fails at once would tell the sentinel of a process that
        # the caller does not have yet.
        attempt = deferLater(self._reactor, 0, lambda: Deferred.fromCoroutine(self._connect()))
        process.life.connecting(attempt)
        process.table.enter(process)
        attempt.addErrback(self._nowait_failed)
        return process

    def _nowait_failed(self, failure: Failure) -> None:
        """Tell the sentinel, unless the process was deleted meanwhile."""
        error = failure.value
        if isinstance(error, CancelledError):
            return
        if not isinstance(error, NetprocError):
            log.failure("Connecting process {name!r} raised", failure, name=self._process.name)
        if not isinstance(error, ProcessError):
            error = ProcessError(None, str(error))
        lookup = self._spec.lookup
        if lookup is not None and not self._addresses_known and error.errno is None:
            error = ProcessError(None, f"Name lookup of {lookup.host} failed")
        self._process.life.failed(error)

    def _use_buffer(self) -> None:
        buffer = self._spec.buffer
        if buffer is not None and self._process.buffer is None:
            self._process.use_buffer(self._process.table.get_buffer_create(buffer), own=False)

    # -- connecting -----------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Connect and open the process."""
        endpoint = self._foreign or await self._own_endpoint()
        self._use_buffer()
        factory = ChannelFactory(self._build)
        try:
            connecting = endpoint.connect(factory)
            if self._foreign is None:
                # It keeps to the deadline by itself, and then names the addresses.
                await connecting
            else:
                connected = await self._in_time(connecting, "connect")
                if self._channel is None and isinstance(connected, StreamChannel):
                    self._channel = connected  # one that does its own TLS first
            await self._opened
        except BaseException as error:
            if self._channel is not None:
                self._channel.abort()
            if isinstance(error, (NetprocError, CancelledError)):
                raise
            raise network_error(error, FAILED) from error

    async def _addresses(self) -> Sequence[SocketAddress]:
        spec = self._spec
        if spec.address is not None:
            return [spec.address]
        assert spec.lookup is not None
        looking = self._resolver(spec.lookup, self._reactor)
        found = await self._in_time(looking, f"look up {spec.lookup.host}")
        self._addresses_known = True
        return found

    async def _own_endpoint(self) -> IStreamClientEndpoint:
        spec = self._spec
        addresses = await self._addresses()
        # What a nowait client shows meanwhile (N123).
        self._process.shown.remote = addresses[0]
        return ClientEndpoint(
            reactor=self._reactor,
            addresses=addresses,
            options=spec.options,
            timeout=self._remaining(),
            kind=spec.kind,
        )

    def _remaining(self) -> float:
        return max(0, self._deadline - self._reactor.seconds())

    async def _in_time(self, deferred: Deferred[T], what: str) -> T:
        """The result of DEFERRED, if it comes before the deadline."""
        complaint = f"{FAILED}: timed out ({what})"
        return await in_time(deferred, self._remaining(), self._reactor, complaint)

    def _before_open(self, process: NetworkProcess) -> None:
        """For makers whose connections have said something already."""

    # -- the channel ----------------------------------------------------------------------------

    def _build(self) -> StreamChannel:
        if self._foreign is None:
            return OwnChannel(self._reactor, self._connected)
        return ForeignChannel(
            self._reactor,
            self._connected,
            self._opened.errback,
            self._spec.limits.handshake_timeout,
        )

    def _connected(self, channel: StreamChannel) -> Receiver:
        """CHANNEL is connected; with TLS it cannot be used yet."""
        self._channel = channel
        if self._security is None:
            return self._channel_opened(channel)
        name = name_to_verify(self._spec.tls_parameters, self._spec.tls_host)
        self._channel = tls = tls_channel(
            channel,
            engine_for(self._security, name, channel),
            self._reactor,
            self._spec.limits,
            opened=self._channel_opened,
            failed=self._opened.errback,
        )
        tls.start()
        return tls

    def _channel_opened(self, channel: Channel) -> Receiver:
        process = self._process
        event = process.life.connected(channel, self._cause)
        self._before_open(process)
        if not self._spec.nowait:
            process.table.enter(process)
        process.tell(event)
        self._opened.callback(None)
        return process.life
