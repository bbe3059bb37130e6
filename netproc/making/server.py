"""Let a server process listen, and make a process for each connection.

`make.py` hands in the spec and the process; this joins `net/resolve.py`, `net/endpoints.py` or a foreign
endpoint, and `net/stream.py` or `net/foreign.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger

from ..core import address
from ..core.address import SocketAddress
from ..core.errors import NetprocError, from_os_error
from ..core.escape import escape
from ..core.spec import ProcessSpec
from ..core.status import Cause, accept_failed_message, accept_message
from ..core.throttle import not_logged
from ..net.channel import Channel, Port
from ..net.endpoints import ServerEndpoint
from ..net.foreign import ForeignChannel, ForeignPort, network_error
from ..net.inherited import OWN
from ..net.listener import ListenerWatcher
from ..net.opening.handshake import first_stages
from ..net.opening.stages import Opening
from ..net.resolve import Resolver
from ..net.stream import ChannelFactory, OwnChannel, StreamChannel
from ..net.tls.attach import engine_for
from ..net.tls.interfaces import Engine, Security
from ..process.process import NetworkProcess
from ..process.waiting import cancellable, in_time

log = Logger()

_FAILED = "Cannot bind server socket"


class ServerMaker(ListenerWatcher):
    """Makes one server, and then its connections."""

    def __init__(
        self,
        spec: ProcessSpec,
        process: NetworkProcess,
        resolver: Resolver,
        foreign: IStreamServerEndpoint | None,
        security: Security | None,
    ) -> None:
        self._spec = spec
        self._process = process
        self._reactor = process.reactor
        self._resolver = resolver
        self._foreign = foreign
        self._security = security
        # Connections that cannot be used yet.
        self._openings: set[Opening] = set()
        self._given_up = False

    def make(self) -> Deferred[NetworkProcess]:
        """Fires with the process when it listens; waits only for a look-up or a foreign endpoint."""
        return Deferred.fromCoroutine(self._make())

    async def _make(self) -> NetworkProcess:
        process, table = self._process, self._process.table
        try:
            if self._foreign is not None:
                port = await self._listen_foreign(self._foreign)
            else:
                port = self._listen(await self._addresses())
            self._begin(port)
        except BaseException:
            # An endpoint that does not stop for that finds that nobody wants its connections.
            self._given_up = True
            table.release(process.name)
            raise
        table.enter(process)
        process.closed.addCallback(_log_the_rest)
        process.closed.addCallback(self._give_up_openings)
        return process

    def _begin(self, port: Port) -> None:
        """The process listens at PORT, unless that cannot do what the program has asked for."""
        try:
            self._process._lifecycle.listening(port)
        except BaseException:
            port.close(lambda: None)
            raise

    async def _addresses(self) -> Sequence[SocketAddress]:
        spec = self._spec
        if spec.address is not None:
            return [spec.address]
        assert spec.lookup is not None
        found = self._resolver(spec.lookup, self._reactor)
        complaint = f"{_FAILED}: timed out (look up {spec.lookup.host})"
        return await in_time(found, spec.limits.connect_timeout, self._reactor, complaint)

    def _listen(self, addresses: Sequence[SocketAddress]) -> Port:
        spec = self._spec
        assert spec.backlog is not None
        inherited = OWN.take(spec.external, spec.kind)
        self._use_buffer()
        endpoint = ServerEndpoint(
            reactor=self._reactor,
            addresses=addresses,
            options=spec.options,
            backlog=spec.backlog,
            mode=spec.mode,
            watcher=self,
            kind=spec.kind,
            inherited=inherited,
        )
        return endpoint.listen_now(ChannelFactory(self._build))

    def _use_buffer(self) -> None:
        """Made even if listening fails then (N26)."""
        buffer = self._spec.buffer
        if buffer is not None:
            self._process._use_buffer(self._process.table.get_buffer_create(buffer), own=False)

    async def _listen_foreign(self, endpoint: IStreamServerEndpoint) -> Port:
        self._use_buffer()
        try:
            port = await cancellable(endpoint.listen(ChannelFactory(self._build)))
            return ForeignPort(port)
        except (NetprocError, CancelledError):
            raise
        except Exception as error:
            raise network_error(error, _FAILED) from error

    # -- told by the listener -------------------------------------------------------------------

    def accept_failed(self, error: OSError) -> None:
        """See ListenerWatcher."""
        self._process._call_log(None, accept_failed_message(error.errno or 0))

    def listener_lost(self, error: OSError) -> None:
        """See ListenerWatcher."""
        self._process._lifecycle.failed(from_os_error(error, "accept"))

    # -- connections ----------------------------------------------------------------------------

    def _build(self) -> StreamChannel:
        kind = OwnChannel if self._foreign is None else ForeignChannel
        return kind(self._reactor, self._connected)

    def _connected(self, channel: StreamChannel) -> None:
        """A client has connected; with TLS it is no process before the handshake is done."""
        if self._given_up or self._process._lifecycle.ended:
            # Some factories that wrap this one cannot be told so before.
            channel.abort()
            return
        limits = self._process.limits
        make_engine = None if self._security is None else self._engine
        stages = first_stages(channel, make_engine, self._reactor, limits)
        if not stages:
            self._open(channel, b"")
            return

        def opened(channel: Channel, unread: bytes) -> None:
            self._openings.remove(opening)
            self._open(channel, unread)

        def refused(error: NetprocError) -> None:
            self._openings.discard(opening)
            self._refused(channel, error)

        opening = Opening(stages, self._reactor, limits, opened=opened, refused=refused)
        self._openings.add(opening)
        opening.go_on(channel)

    def _engine(self, channel: StreamChannel, unread: bytes) -> Engine:
        assert self._security is not None
        return engine_for(self._security, None, channel, unread)

    def _refused(self, channel: Channel, reason: NetprocError) -> None:
        """Log that the connection of CHANNEL failed before it could be used, but not too often."""
        process = self._process
        suppressed = process._complaints.passes(self._reactor.seconds())
        if suppressed is not None:
            log.info(
                "{name}: a connection failed: {peer}: {reason}{more}",
                name=escape(process.name),
                peer=address.format_address(channel.remote),
                reason=escape(str(reason)),
                more=not_logged(suppressed),
            )

    def _give_up_openings(self, _: object) -> None:
        """The server has ended: clients that are not connected yet never will be."""
        for opening in self._openings:
            opening.abort()
        self._openings.clear()

    def _open(self, channel: Channel, unread: bytes) -> None:
        """A client can talk: tell the program, in Emacs's order (N90)."""
        server, table = self._process, self._process.table
        identity = self._identity(channel.remote)
        table.count_connection()
        name = table.reserve(f"{server.name} {identity}")
        connection = server._new_connection(name, channel.local, channel.remote)
        if server.filter is True or server._uses_default_filter:
            base = server.buffer.name if server.buffer is not None else None
            buffer = table.get_buffer_create(f"{base or server.name} {identity}")
            connection._use_buffer(buffer, own=True)
        event = connection._lifecycle.connected(channel, Cause.ACCEPTED, unread)
        table.enter(connection)
        if server._has_log:
            server._call_log(connection, accept_message(address.host_text(channel.remote)))
        if connection.live:
            connection._tell(event)
        connection._input.open()

    def _identity(self, remote: SocketAddress | None) -> str:
        """How the names of a connection and its buffer go on (N92)."""
        if remote is not None and remote.family in address.LOOPBACK:
            return f"<{address.format_address(remote)}>"
        return f"<{self._process.table.next_connection()}>"


def _log_the_rest(server: NetworkProcess) -> None:
    """No line will come that says how many were left out."""
    suppressed = server._complaints.suppressed()
    if suppressed:
        log.info(
            "{name}: {number} more lines not logged", name=escape(server.name), number=suppressed
        )
