"""Let a server listen, and make a process for each connection.

`make.py` calls this with the spec and the process.  The addresses come from `maker.py`; `net/endpoints.py`, or the endpoint
that the program has given, listens on them.  Each connection passes an `Opening` (`net/opening/stages.py`), if it has
stages, and its channel is then handed to a new process.
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
from ..net.foreign import ForeignPort, network_error
from ..net.inherited import OWN
from ..net.listener import ListenerWatcher
from ..net.lookup import Resolver
from ..net.opening.stages import Opening
from ..net.stream import StreamChannel
from ..net.tls.interfaces import Security
from ..process.process import NetworkProcess
from ..process.waiting import cancellable
from .maker import Maker

log = Logger()

_FAILED = "Cannot bind server socket"


class ServerMaker(Maker[IStreamServerEndpoint], ListenerWatcher):
    """Makes one server, and then a process for each of its connections."""

    def __init__(
        self,
        spec: ProcessSpec,
        process: NetworkProcess,
        resolver: Resolver,
        foreign: IStreamServerEndpoint | None,
        security: Security | None,
    ) -> None:
        super().__init__(spec, process, resolver, foreign, security)
        # Connections that cannot be used yet.
        self._openings: set[Opening] = set()
        self._given_up = False

    @property
    def _what_failed(self) -> str:
        return _FAILED

    def make(self) -> Deferred[NetworkProcess]:
        """Return a Deferred that fires with the process when it listens.

        It has already fired, unless there are names to look up or the program has given an endpoint.
        """
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
            # If the endpoint listens all the same, `_connected` aborts its connections.
            self._given_up = True
            table.release(process.name)
            raise
        table.enter(process)
        process.closed.addCallback(_log_the_rest)
        process.closed.addCallback(self._give_up_openings)
        return process

    def _begin(self, port: Port) -> None:
        """Hand PORT to the process; close it if it cannot do what the program has already asked for."""
        try:
            self._process._lifecycle.listening(port)
        except BaseException:
            port.close(lambda: None)
            raise

    def _listen(self, addresses: Sequence[SocketAddress]) -> Port:
        spec = self._spec
        assert spec.backlog is not None
        inherited = OWN.take(spec.external, spec.kind)
        # The buffer is made even if listening fails then (N26).
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
        return endpoint.listen_now(self._channel_factory())

    async def _listen_foreign(self, endpoint: IStreamServerEndpoint) -> Port:
        self._use_buffer()
        try:
            port = await cancellable(endpoint.listen(self._channel_factory()))
            return ForeignPort(port)
        except (NetprocError, CancelledError):
            raise
        except Exception as error:
            raise network_error(error, _FAILED) from error

    # -- called by the listener -----------------------------------------------------------------

    def accept_failed(self, error: OSError) -> None:
        self._process._call_log(None, accept_failed_message(error.errno or 0))

    def listener_lost(self, error: OSError) -> None:
        self._process._lifecycle.failed(from_os_error(error, "accept"))

    # -- connections ----------------------------------------------------------------------------

    def _connected(self, channel: StreamChannel) -> None:
        """Lead CHANNEL, on which a client has connected, through the stages; there is a process only after them."""
        if self._given_up or self._process._lifecycle.ended:
            # A factory that wraps ours may not be able to refuse the connection earlier.
            channel.abort()
            return
        limits = self._process.limits
        stages = self._first_stages(channel, limits)
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

    def _refused(self, channel: Channel, reason: NetprocError) -> None:
        """Log that the connection of CHANNEL failed in a stage, at a limited rate."""
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
        """Abort the connections that are in a stage: the server has ended."""
        for opening in self._openings:
            opening.abort()
        self._openings.clear()

    def _open(self, channel: Channel, unread: bytes) -> None:
        """Make a process for CHANNEL, which has passed the stages, and call the program's functions in Emacs's order (N90)."""
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
            connection._call_sentinel(event)
        connection._lifecycle.start_input()

    def _identity(self, remote: SocketAddress | None) -> str:
        """Return what follows the server's name in the names of a connection and its buffer (N92)."""
        if remote is not None and remote.family in address.LOOPBACK:
            return f"<{address.format_address(remote)}>"
        return f"<{self._process.table.next_connection()}>"


def _log_the_rest(server: NetworkProcess) -> None:
    """Log how many lines were not logged: no later line will say so."""
    suppressed = server._complaints.suppressed()
    if suppressed:
        log.info(
            "{name}: {number} more lines not logged", name=escape(server.name), number=suppressed
        )
