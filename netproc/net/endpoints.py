"""netproc's Twisted endpoints, for any Twisted factory.

`making/client.py` and `making/server.py` make them from a spec and the addresses that `net/lookup.py` (at run time) has
found.  An endpoint uses `net/connector.py` or `net/listener.py`, and `net/socketfile.py`.  Each connection gets a transport
(`net/transport.py`).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from ..core.address import SocketAddress, format_address
from ..core.errors import ProcessArgumentError, ProcessError, from_os_error
from ..core.limits import DEFAULT_LIMITS
from ..core.spec import LONGEST_BACKLOG
from . import socketfile, sockets
from .connector import Connector
from .interfaces import INetprocReactor
from .listener import Listener, ListenerWatcher
from .seqpacket import transport_type
from .transport import StreamTransport


@implementer(IStreamClientEndpoint)
@dataclass(frozen=True, kw_only=True)
class ClientEndpoint:
    """A Twisted client endpoint that connects to the first of several addresses that answers.

    It provides `IStreamClientEndpoint`.

    Args:
        reactor: The reactor.
        addresses: The addresses, as `netproc.endpoints.parse_address` and `netproc.endpoints.resolve` return them.
        options: Network options and their values.
        timeout: Seconds for all addresses together.
        kind: `socket.SOCK_STREAM` or `socket.SOCK_SEQPACKET`.
    """

    reactor: INetprocReactor
    addresses: Sequence[SocketAddress]
    options: Mapping[str, object] = field(default_factory=dict)
    timeout: float = DEFAULT_LIMITS.connect_timeout
    kind: int = socket.SOCK_STREAM

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect.

        Args:
            protocolFactory: The factory that makes the protocol.

        Returns:
            A Deferred that fires with the connected protocol.  It fails with `ProcessError` or `ProcessArgumentError`.  If the
            factory or `connectionMade` raises an exception, the connection is closed and the Deferred fails with that
            exception.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        _check_addresses(self.addresses)
        connector = Connector(self.reactor, self.addresses, self.options, self.timeout, self.kind)
        factory.doStart()
        try:
            sock, remote = await connector.start()
            transport = self._transport(factory, sock, remote)
        except BaseException:
            factory.doStop()
            raise
        transport.is_client = True
        protocol = transport.protocol
        try:
            transport.start()
        except BaseException:
            transport.abortConnection()
            raise
        return protocol

    def _transport(
        self, factory: IProtocolFactory, sock: socket.socket, remote: SocketAddress
    ) -> StreamTransport:
        """Make the transport of SOCK, with a protocol of FACTORY.  If that raises an exception, SOCK is closed."""
        try:
            protocol = factory.buildProtocol(sockets.twisted_address(remote))
            if protocol is None:
                raise ProcessError(
                    None, "the factory has returned no protocol", format_address(remote)
                )
            local = sockets.local_address(sock)
            return transport_type(sock)(sock, self.reactor, protocol, local, remote, factory.doStop)
        except BaseException:
            sock.close()
            raise


@implementer(IStreamServerEndpoint)
@dataclass(frozen=True, kw_only=True)
class ServerEndpoint:
    """A Twisted server endpoint that listens on the first of several addresses for which the system has sockets.

    It provides `IStreamServerEndpoint`.

    Args:
        reactor: The reactor.
        addresses: The addresses, as `netproc.endpoints.parse_address` and `netproc.endpoints.resolve` return them.
        options: Network options and their values.
        backlog: The number of clients that may wait to be accepted.  The kernel uses its own limit
            (``net.core.somaxconn`` on Linux) instead of a larger number.
        mode: The mode of the file of a UNIX socket.  None is 0600.
        watcher: A `netproc.endpoints.ListenerWatcher` that is notified when accepting fails.
        kind: `socket.SOCK_STREAM` or `socket.SOCK_SEQPACKET`.
        inherited: A socket that listens already.  If you pass it, `addresses`, `backlog` and `mode` are not used.
    """

    reactor: INetprocReactor
    addresses: Sequence[SocketAddress]
    options: Mapping[str, object] = field(default_factory=dict)
    backlog: int = LONGEST_BACKLOG
    mode: int | None = None
    watcher: ListenerWatcher | None = None
    kind: int = socket.SOCK_STREAM
    inherited: socket.socket | None = None

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen.

        Args:
            protocolFactory: The factory that makes a protocol for each connection.

        Returns:
            A Deferred that fires with the listening port, or fails with `ProcessError` or `ProcessArgumentError`.  Either has
            happened when the call returns.
        """
        return execute(self.listen_now, protocolFactory)

    def listen_now(self, factory: IProtocolFactory) -> Listener:
        """Listen, and return the port instead of a Deferred."""
        sock, address = self._make_socket()
        try:
            if sock is self.inherited:
                sockets.set_options(sock, self.options)
                file = None
            else:
                sockets.set_options(sock, self._all_options(address))
                file = self._bind_and_listen(sock, address)
            listener = Listener(sock, self.reactor, factory, file, self.watcher)
        except BaseException:
            sock.close()
            raise
        listener.startListening()
        return listener

    def _make_socket(self) -> tuple[socket.socket, SocketAddress]:
        """Return a socket for the first address whose family the system has, and that address.

        As in Emacs, a later address is not tried if the first one is in use (N36).
        """
        if self.inherited is not None:
            return self.inherited, sockets.local_address(self.inherited)
        _check_addresses(self.addresses)
        last: OSError | None = None
        for address in self.addresses:
            try:
                return sockets.make_socket(address.family, self.kind), address
            except OSError as error:
                last = error
        assert last is not None  # there is an address
        raise from_os_error(last, "make server process failed", format_address(self.addresses[-1]))

    def _all_options(self, address: SocketAddress) -> Mapping[str, object]:
        if address.family in (socket.AF_INET, socket.AF_INET6):
            return {"reuseaddr": True, **self.options}
        return self.options

    def _bind_and_listen(
        self, sock: socket.socket, address: SocketAddress
    ) -> socketfile.SocketFile | None:
        if address.family == socket.AF_UNIX:
            return socketfile.bind(sock, address, self.backlog, self.mode)
        sockets.bind(sock, address)
        try:
            sock.listen(self.backlog)
        except OSError as error:
            raise from_os_error(
                error, "Cannot bind server socket", format_address(address)
            ) from error
        return None


def _check_addresses(addresses: Sequence[SocketAddress]) -> None:
    if not addresses:
        raise ProcessArgumentError(
            "addresses", "it is empty; an endpoint needs at least one address"
        )
