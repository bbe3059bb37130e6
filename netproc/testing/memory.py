"""TCP connections in memory, for tests: Twisted's own endpoints and transports, over sockets that are not the kernel's.

`pair.py` connects two processes with it.  Because the transports are Twisted's, a protocol sees the same callbacks in the
same order as over TCP.  This module replaces what is below them: the sockets, and the part of the reactor that calls a
transport when its socket can be read or written.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
from collections import deque
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.python import log
from twisted.python.failure import Failure

from ..core.limits import KIB
from ..net.interfaces import default_reactor

#: Bytes that one end of a connection holds for its program to read.
_CAPACITY = 64 * KIB

#: The value of SO_LINGER with which a close resets the connection.
_RESETS = struct.pack("ii", 1, 0)

#: The descriptor of all sockets, which nothing reads or writes.  Twisted before 26.10 sets its close-on-exec flag.
_DESCRIPTOR = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

_SERVER = ("127.0.0.1", 1)
_FIRST_CLIENT_PORT = 49152


class MemoryNetwork:
    """A network in memory, for one server at a time and any number of clients.

    Pass its endpoints to `make_network_process` as `endpoint`, or use them with any Twisted factory.  A connection behaves as
    a TCP connection of Twisted does, because Twisted's TCP transports run over it:

    * Each end holds up to 64 KiB that its program has not read.  If it is full, the sender waits.
    * A peer can end its sending side and still receive.
    * A peer resets the connection if it aborts it, or if it closes it and has not read everything.

    Nothing happens within a call: data, ends and new connections are delivered in later turns of the reactor.

    Args:
        reactor: The reactor, of which only `callLater` is used.  With `twisted.internet.task.Clock`, the test decides when
            something happens.
    """

    def __init__(self, reactor: IReactorTime | None = None) -> None:
        self._reactor = _Reactor(reactor or default_reactor())

    def server_endpoint(self) -> IStreamServerEndpoint:
        """Return an endpoint to listen with.

        `listen` fails with `CannotListenError` while another server of this network listens.
        """
        return TCP4ServerEndpoint(self._reactor, _SERVER[1], interface=_SERVER[0])

    def client_endpoint(self) -> IStreamClientEndpoint:
        """Return an endpoint that connects to the server of this network.

        `connect` fails with `ConnectionRefusedError` if there is none.
        """
        return TCP4ClientEndpoint(self._reactor, *_SERVER)


class _Reactor:
    """What Twisted's endpoints and TCP transports use of a reactor.

    Like a reactor that calls select(), it looks at all its sockets in each turn.  There is a turn only after something has
    changed.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self.callLater = reactor.callLater
        self.listener: _Listener | None = None
        self.client_ports = itertools.count(_FIRST_CLIENT_PORT)
        # Sets that keep the order, so that a test goes the same way each time.
        self._readers: dict[FileDescriptor, None] = {}
        self._writers: dict[FileDescriptor, None] = {}
        self._turn_is_due = False

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int, interface: str
    ) -> _Port:
        listening = _Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float, bindAddress: None
    ) -> _Connector:
        connector = _Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def addReader(self, transport: FileDescriptor) -> None:
        self._readers[transport] = None
        self.changed()

    def addWriter(self, transport: FileDescriptor) -> None:
        self._writers[transport] = None
        self.changed()

    def removeReader(self, transport: FileDescriptor) -> None:
        self._readers.pop(transport, None)

    def removeWriter(self, transport: FileDescriptor) -> None:
        self._writers.pop(transport, None)

    def changed(self) -> None:
        """Look at the sockets in the next turn."""
        if not self._turn_is_due:
            self._turn_is_due = True
            self.callLater(0, self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        ready = [t for t in {**self._readers, **self._writers} if self._can(t)]
        for transport in ready:
            log.callWithLogger(transport, self._serve, transport)
        if ready:
            self.changed()

    def _can(self, transport: Any) -> bool:
        """Whether TRANSPORT waits for something that its socket can do now."""
        return (transport in self._readers and transport.socket.readable()) or (
            transport in self._writers and transport.socket.writable()
        )

    def _serve(self, transport: Any) -> None:
        """Let TRANSPORT read once and write once; if that ends the connection, do what Twisted's reactors do."""
        why = None
        was_reading = False
        try:
            if transport in self._readers and transport.socket.readable():
                was_reading = True
                why = transport.doRead()
            if not why and transport in self._writers and transport.socket.writable():
                was_reading = False
                why = transport.doWrite()
        except Exception as error:
            log.err()
            why = error
        if why is None:
            return
        self.removeReader(transport)
        if (
            was_reading
            and isinstance(why, ConnectionDone)
            and IHalfCloseableDescriptor.providedBy(transport)
        ):
            transport.readConnectionLost(Failure(why))
        else:
            self.removeWriter(transport)
            transport.connectionLost(Failure(why))


# -- Twisted's transports over sockets in memory ------------------------------------------------


class _Port(tcp.Port):
    reactor: Any

    def createInternetSocket(self) -> Any:
        return _Listener(self.reactor)


class _Client(tcp.Client):
    reactor: Any

    def createInternetSocket(self) -> Any:
        return _Socket(self.connector.reactor)


class _Connector(tcp.Connector):
    reactor: Any

    def _makeTransport(self) -> _Client:
        return _Client(self.host, self.port, self.bindAddress, self, self.reactor)


# -- the sockets --------------------------------------------------------------------------------


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class _Listener:
    """A listening socket.  Connections that have not been accepted wait in it."""

    def __init__(self, reactor: _Reactor) -> None:
        self._reactor = reactor
        self._waiting: deque[_Socket] = deque()

    def bind(self, address: tuple[str, int]) -> None:
        if self._reactor.listener is not None:
            raise _error(errno.EADDRINUSE)
        self._reactor.listener = self

    def listen(self, backlog: int) -> None:
        """Do nothing: any number of connections may wait."""

    def put(self, end: _Socket) -> None:
        """Let a new connection wait."""
        self._waiting.append(end)
        self._reactor.changed()

    def accept(self) -> tuple[_Socket, tuple[str, int]]:
        if not self._waiting:
            raise _error(errno.EWOULDBLOCK)
        accepted = self._waiting.popleft()
        return accepted, accepted.getpeername()

    def readable(self) -> bool:
        return bool(self._waiting)

    def getsockname(self) -> tuple[str, int]:
        return _SERVER

    def fileno(self) -> int:
        return _DESCRIPTOR

    def shutdown(self, how: int) -> None:
        """Do nothing: `close` follows."""

    def close(self) -> None:
        """Listen no longer, and reset the connections that wait."""
        if self._reactor.listener is self:
            self._reactor.listener = None
        for end in self._waiting:
            end.abort()


class _Socket:
    """One end of a connection."""

    _peer: _Socket
    _connected = False
    _closed = False
    #: Whether this end has said that it sends no more.
    _shut = False
    #: Whether the peer has said so; what was received before can still be read.
    _ended = False
    #: Whether the peer has reset the connection; likewise.
    _reset = False

    def __init__(self, reactor: _Reactor, name: tuple[str, int] = ("0.0.0.0", 0)) -> None:
        self._reactor = reactor
        self._name = name
        self._received = bytearray()
        self._options: dict[tuple[int, int], Any] = {}

    def setblocking(self, blocking: bool) -> None:
        """Do nothing: it never blocks."""

    def connect_ex(self, address: tuple[str, int]) -> int:
        """Begin to connect.  Twisted calls this again when the socket can be written."""
        if self._connected:
            return errno.EISCONN
        listener = self._reactor.listener
        if listener is None:
            return errno.ECONNREFUSED
        self._name = (address[0], next(self._reactor.client_ports))
        accepted = _Socket(self._reactor, address)
        self._peer, accepted._peer = accepted, self
        self._connected = accepted._connected = True
        listener.put(accepted)
        return errno.EINPROGRESS

    def readable(self) -> bool:
        return bool(self._received) or self._ended or self._reset

    def writable(self) -> bool:
        return self._reset or self._peer._closed or self._room() > 0

    def _room(self) -> int:
        return _CAPACITY - len(self._peer._received)

    def send(self, data: memoryview) -> int:
        if self._reset or self._shut:
            raise _error(errno.EPIPE)
        if self._peer._closed:
            # The kernel takes the data.  It learns from the peer's answer that the connection is gone.
            self._reset = len(data) > 0
            return len(data)
        size = min(len(data), self._room())
        self._peer._received += data[:size]
        self._reactor.changed()
        return size

    def recv(self, size: int) -> bytes:
        if self._received:
            data = bytes(self._received[:size])
            del self._received[:size]
            self._reactor.changed()
            return data
        if self._ended:
            return b""
        raise _error(errno.ECONNRESET if self._reset else errno.EWOULDBLOCK)

    def shutdown(self, how: int) -> None:
        """End the sending side.  Whether the receiving side is meant, too, makes no difference to the peer."""
        if self._connected and not self._shut:
            self._shut = True
            self._peer._ended = True
            self._reactor.changed()

    def close(self) -> None:
        if self._connected:
            linger = self._options.get((socket.SOL_SOCKET, socket.SO_LINGER))
            if self._received or linger == _RESETS:
                self.abort()
            else:
                self.shutdown(socket.SHUT_RDWR)
                self._closed = True

    def abort(self) -> None:
        """Close, and reset the peer."""
        self._closed = self._peer._reset = True
        self._reactor.changed()

    def getsockname(self) -> tuple[str, int]:
        return self._name

    def getpeername(self) -> tuple[str, int]:
        return self._peer._name

    def fileno(self) -> int:
        return _DESCRIPTOR

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        """Keep VALUE for `getsockopt`.  Of all options, only SO_LINGER changes anything: its socket closes by a reset."""
        self._options[level, name] = value

    def getsockopt(self, level: int, name: int) -> Any:
        if self._reset and (level, name) == (socket.SOL_SOCKET, socket.SO_ERROR):
            return errno.ECONNRESET
        return self._options.get((level, name), 0)
