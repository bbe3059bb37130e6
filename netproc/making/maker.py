"""What the makers of processes share: names to addresses, the buffer, the first stages of a connection, one deadline.

`client.py`, `server.py` and `datagrams.py` build on this.  A client and a datagram process are made
by an attempt: it can be cancelled at any time, and with `nowait` the process is listed while the attempt goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.address import SocketAddress
from ..core.errors import NetprocError, ProcessError
from ..core.limits import Limits
from ..core.spec import ProcessSpec, name_to_verify
from ..net.connector import FAILED
from ..net.foreign import ForeignChannel
from ..net.lookup import Resolver
from ..net.opening.handshake import first_stages
from ..net.opening.stages import Stage
from ..net.stream import ChannelFactory, OwnChannel, StreamChannel
from ..net.tls.attach import engine_for
from ..net.tls.interfaces import Engine, Security
from ..process.process import NetworkProcess
from ..process.waiting import in_time

T = TypeVar("T")
#: The endpoint that the program has given.
E = TypeVar("E")

log = Logger()


class Maker(Generic[E]):
    """Makes the process that SPEC describes."""

    def __init__(
        self,
        spec: ProcessSpec,
        process: NetworkProcess,
        resolver: Resolver,
        foreign: E | None,
        security: Security | None,
    ) -> None:
        self._spec = spec
        self._process = process
        self._reactor = process.reactor
        self._resolver = resolver
        self._foreign = foreign
        self._security = security
        self._deadline = self._reactor.seconds() + spec.limits.connect_timeout

    @property
    def _what_failed(self) -> str:
        """How error messages begin."""
        return FAILED

    async def _addresses(self) -> Sequence[SocketAddress]:
        """Return the addresses of the spec, looked up if they are names."""
        spec = self._spec
        if spec.address is not None:
            return [spec.address]
        assert spec.lookup is not None
        looking = self._resolver(spec.lookup, self._reactor)
        return await self._in_time(looking, f"look up {spec.lookup.host}")

    def _remaining(self) -> float:
        """Return the number of seconds before the deadline."""
        return max(0, self._deadline - self._reactor.seconds())

    async def _in_time(self, deferred: Deferred[T], what: str) -> T:
        """Return the result of DEFERRED; raise ProcessError, which says WHAT took too long, after the deadline."""
        complaint = f"{self._what_failed}: timed out ({what})"
        return await in_time(deferred, self._remaining(), self._reactor, complaint)

    def _use_buffer(self) -> None:
        """Give the process the buffer of the spec, which is made if there is none of that name."""
        buffer = self._spec.buffer
        if buffer is not None and self._process.buffer is None:
            self._process._use_buffer(self._process.table.get_buffer_create(buffer), own=False)

    # -- connections ----------------------------------------------------------------------------

    def _channel_factory(self) -> ChannelFactory:
        """Return a factory for the endpoint; `_connected` is called with the channel of each connection."""
        kind = OwnChannel if self._foreign is None else ForeignChannel
        return ChannelFactory(lambda: kind(self._reactor, self._connected))

    def _connected(self, channel: StreamChannel) -> None:
        """Open CHANNEL, which is connected."""
        raise NotImplementedError

    def _first_stages(self, channel: StreamChannel, limits: Limits) -> list[Stage]:
        make_engine = None if self._security is None else self._engine
        return first_stages(channel, make_engine, self._reactor, limits)

    def _engine(self, channel: StreamChannel, unread: bytes) -> Engine:
        assert self._security is not None
        spec = self._spec
        name = None if spec.is_server else name_to_verify(spec.tls_parameters, spec.tls_host)
        return engine_for(self._security, name, channel, unread)


class AttemptMaker(Maker[E]):
    """Makes a process by one attempt, the coroutine `_connect`."""

    _cancelled = False
    _addresses_known = False

    async def _connect(self) -> None:
        """Connect and open the process."""
        raise NotImplementedError

    def make(self) -> Deferred[NetworkProcess]:
        """Return a Deferred that fires with the process when it is open; the process is not listed before."""
        return self._attempt(Deferred.fromCoroutine(self._make()))

    async def _make(self) -> NetworkProcess:
        process = self._process
        try:
            await self._connect()
        except BaseException:
            process.table.release(process.name)
            raise
        return process

    def make_nowait(self) -> NetworkProcess:
        """Return the process, listed and connecting."""
        process = self._process
        self._use_buffer()
        # In the next turn: a connect that fails at once would call the sentinel of a process that the caller does not
        # have yet.
        attempt = self._attempt(
            deferLater(self._reactor, 0, lambda: Deferred.fromCoroutine(self._connect()))
        )
        process._lifecycle.connecting(attempt)
        process.table.enter(process)
        attempt.addErrback(self._nowait_failed)
        return process

    def _attempt(self, making: Deferred[T]) -> Deferred[T]:
        """Return a Deferred that fires with the result of MAKING.  The process receives input after its callbacks have run.

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
                self._process._lifecycle.start_input()

        attempt: Deferred[T] = Deferred(cancel)
        making.addBoth(done)
        return attempt

    def _give_up(self) -> None:
        """End what has been begun."""
        if self._process.live and not self._spec.nowait:
            # Given up by a function that was called when the process was opened.
            self._process.delete()

    def _nowait_failed(self, failure: Failure) -> None:
        """Fail the process, unless it was deleted meanwhile."""
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

    async def _addresses(self) -> Sequence[SocketAddress]:
        addresses = await super()._addresses()
        self._addresses_known = True
        return addresses
