"""Connect a client process: look up, connect, open.

`make.py` hands in the spec and the process.  This module joins `net/resolve.py`, `net/endpoints.py` or a foreign endpoint,
`net/stream.py` or `net/foreign.py`, and the stages of `net/opening/`.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.address import SocketAddress
from ..core.errors import NetprocError, ProcessError
from ..core.spec import ProcessSpec, name_to_verify
from ..core.status import Cause
from ..net.channel import Channel
from ..net.connector import FAILED
from ..net.endpoints import ClientEndpoint
from ..net.foreign import ForeignChannel, network_error
from ..net.opening.handshake import first_stages
from ..net.opening.stages import Opening, Stage
from ..net.resolve import Resolver
from ..net.stream import ChannelFactory, OwnChannel, StreamChannel
from ..net.tls.attach import engine_for
from ..net.tls.interfaces import Engine, Security
from ..process.process import NetworkProcess
from ..process.waiting import in_time

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
        # Fires when the process is open.
        self._opened: Deferred[None] = Deferred()
        self._foreign = foreign
        self._security = security
        # While it is not over: the two would keep each other.
        self._opening: Opening | None = None
        self._cancelled = False
        self._over = False
        self._addresses_known = False
        self._cause = Cause.CONNECTED if security is None else Cause.ENCRYPTED

    def make(self) -> Deferred[NetworkProcess]:
        """Return a Deferred that fires with the process when it can talk; the process is not listed before."""
        return self._attempt(Deferred.fromCoroutine(self._make()))

    def _attempt(self, making: Deferred[T]) -> Deferred[T]:
        """Return a Deferred of the result of MAKING, after whose callbacks the process gets input.

        It can be cancelled at any time, even by a function that is called while MAKING fires.
        """

        def cancel(_: object) -> None:
            self._cancelled = True
            self._give_up()
            making.cancel()

        def done(result: T | Failure) -> None:
            if attempt.called:
                return
            attempt.callback(result)
            if not isinstance(result, Failure):
                self._process._input.open()

        attempt: Deferred[T] = Deferred(cancel)
        making.addBoth(done)
        return attempt

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
        attempt = self._attempt(
            deferLater(self._reactor, 0, lambda: Deferred.fromCoroutine(self._connect()))
        )
        process._lifecycle.connecting(attempt)
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
        self._process._lifecycle.failed(error)

    def _use_buffer(self) -> None:
        buffer = self._spec.buffer
        if buffer is not None and self._process.buffer is None:
            self._process._use_buffer(self._process.table.get_buffer_create(buffer), own=False)

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
                await self._in_time(connecting, "connect")
            await self._opened
        except BaseException as error:
            self._give_up()
            # This error is the answer, whichever way the stages end.
            self._opened.addErrback(lambda _: None)
            if self._cancelled:
                # Endpoints have errors of their own for that.
                raise CancelledError from None
            if isinstance(error, (NetprocError, CancelledError)):
                raise
            raise network_error(error, FAILED) from error

    def _give_up(self) -> None:
        """End what has been begun; an endpoint that does not stop for that finds that nobody wants its connection."""
        self._over = True
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.abort()
            self._fail(ProcessError(errno.ECONNABORTED, f"{FAILED}: given up"))
        elif self._process.live and not self._spec.nowait:
            # Given up by a function that was called when the process was opened.
            self._process.delete()

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
        self._process._contact.remote = addresses[0]
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
        kind = OwnChannel if self._foreign is None else ForeignChannel
        return kind(self._reactor, self._connected)

    def _connected(self, channel: StreamChannel) -> None:
        """CHANNEL is connected; it can be used after the stages."""
        if self._over:
            channel.abort()
            return
        self._opening = opening = Opening(
            self._stages(channel),
            self._reactor,
            self._spec.limits,
            opened=self._open,
            refused=self._refused,
        )
        opening.go_on(channel)

    def _stages(self, channel: StreamChannel) -> list[Stage]:
        make_engine = None if self._security is None else self._engine
        return first_stages(channel, make_engine, self._reactor, self._spec.limits)

    def _engine(self, channel: StreamChannel, unread: bytes) -> Engine:
        assert self._security is not None
        name = name_to_verify(self._spec.tls_parameters, self._spec.tls_host)
        return engine_for(self._security, name, channel, unread)

    def _refused(self, error: NetprocError) -> None:
        """The stages have given the connection up, because of ERROR."""
        self._opening = None
        self._fail(error)

    def _fail(self, error: NetprocError) -> None:
        if not self._opened.called:
            self._opened.errback(error)

    def _open(self, channel: Channel, unread: bytes) -> None:
        self._opening = None
        process = self._process
        event = process._lifecycle.connected(channel, self._cause, unread)
        process._input.wait_for_open()
        self._before_open(process)
        if not self._spec.nowait:
            process.table.enter(process)
        process._tell(event)
        if not self._opened.called:
            self._opened.callback(None)
