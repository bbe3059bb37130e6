"""The endpoints of netproc: where to connect or listen, for any factory of Twisted's.

`make.py` makes them from a spec and the addresses that `net/resolve.py` found; they use
`net/connector.py`, `net/listener.py` and `net/socketfile.py`, and give connections a `net/transport.py`.
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
    """Connects to the first of `addresses` that answers.

    `options` are network options, `timeout` is in seconds for all addresses together, `kind` is
    SOCK_STREAM or SOCK_SEQPACKET.
    """

    reactor: INetprocReactor
    addresses: Sequence[SocketAddress]
    options: Mapping[str, object] = field(default_factory=dict)
    timeout: float = DEFAULT_LIMITS.connect_timeout
    kind: int = socket.SOCK_STREAM

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with the connected protocol, fails with ProcessError or ProcessArgumentError."""
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
        """What raises leaves no socket."""
        try:
            protocol = factory.buildProtocol(sockets.twisted_address(remote))
            if protocol is None:
                raise ProcessError(None, "the factory wants no protocol", format_address(remote))
            local = sockets.local_address(sock)
            return transport_type(sock)(sock, self.reactor, protocol, local, remote, factory.doStop)
        except BaseException:
            sock.close()
            raise


@implementer(IStreamServerEndpoint)
@dataclass(frozen=True, kw_only=True)
class ServerEndpoint:
    """Listens on the first of `addresses` for which the system has sockets.

    `backlog` is how many clients may wait to be accepted; by default it is as long as the kernel
    allows.  `mode` is that of the file of a UNIX socket, 0600 if None; `watcher` is told when accepting
    fails; `kind` is SOCK_STREAM or SOCK_SEQPACKET.  `inherited` is a socket that listens already,
    to be used in their place.
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
        """Has fired with the port, or failed with ProcessError or ProcessArgumentError."""
        return execute(self.listen_now, protocolFactory)

    def listen_now(self, factory: IProtocolFactory) -> Listener:
        """The same without a Deferred."""
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
        """Emacs tries the next address if there are no such sockets, not if it is taken (N36)."""
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
        raise ProcessArgumentError("addresses", "it is empty, and an endpoint needs one address")
