"""The accept loop, and how it handles each error of accept.

`net/endpoints.py` makes a Listener for a listening socket, and the reactor calls its `doRead`.  Each connection gets a protocol
from the factory and a transport (`net/transport.py`).

There are three kinds of errors.  If the system is short of descriptors or memory, the listener pauses: for 0.1 s at first,
then longer, up to 1 s.  Without a pause the waiting connection would wake it again at once (D8).  If the listening socket
itself is unusable, the listener closes.  All other errors concern one waiting connection, which is skipped.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IReadDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..core.address import SocketAddress, format_address
from ..core.throttle import Throttle, not_logged
from .dispatch import DISPATCH
from .interfaces import INetprocReactor
from .seqpacket import transport_type
from .socketfile import SocketFile
from .sockets import hang_up, local_address, peer_address, set_option, twisted_address
from .transport import StreamTransport

log = Logger()

#: The system is short of descriptors or memory.
SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: The listening socket itself is unusable.  EOPNOTSUPP is not among these: accept(2) lists it with the errors of a single
#: connection, after which a program should accept again.
NOT_LISTENING = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0

#: The most connections that are accepted before the reactor can do other work.
MOST_ACCEPTS = 64


class ListenerWatcher:
    """The base class of objects that are notified of the errors of a listening socket.  It ignores them."""

    def accept_failed(self, error: OSError) -> None:
        """Accepting a connection has failed.  The listener continues, at once or after a pause.

        Args:
            error: The error of the system.
        """

    def listener_lost(self, error: OSError) -> None:
        """The socket does not listen any more, and the listener has closed it.

        Args:
            error: The error of the system.
        """


@implementer(IListeningPort, IReadDescriptor)
class Listener:
    """A listening socket, with the factory that makes a protocol for each connection.

    FILE, if there is one, is removed when the listener closes.
    """

    def __init__(
        self,
        sock: socket.socket,
        reactor: INetprocReactor,
        factory: IProtocolFactory,
        file: SocketFile | None = None,
        watcher: ListenerWatcher | None = None,
    ) -> None:
        self._socket = sock
        self._reactor = reactor
        self._factory = factory
        self._file = file
        self._watcher = watcher or ListenerWatcher()
        self.fileno = sock.fileno
        self.local = local_address(sock)
        self._transport_type = transport_type(sock)
        # Making Twisted's address takes time, and the factory of our channels does not use it.
        self._tells_address = getattr(factory, "wants_address", True)
        self.connected = False
        self.paused = False
        self._pause = FIRST_PAUSE
        self._retry: IDelayedCall | None = None
        self._throttle = Throttle()

    def logPrefix(self) -> str:
        return format_address(self.local)

    # -- IListeningPort ---------------------------------------------------------------------

    def startListening(self) -> None:
        self.connected = True
        self._factory.doStart()
        self._update()

    def stopListening(self) -> Deferred[None]:
        """Close the socket and return a Deferred that has fired."""
        self._close()
        return succeed(None)

    def getHost(self) -> IAddress:
        return twisted_address(self.local)

    def _close(self) -> None:
        """Close the socket and remove its file."""
        if not self.connected:
            return
        self.connected = False
        self._update()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._file is not None:
            self._file.remove()
        self._socket.close()
        self._factory.doStop()

    # -- Port, for a process ------------------------------------------------------------------

    def pause(self) -> None:
        self.paused = True
        self._update()

    def resume(self) -> None:
        self.paused = False
        self._update()

    # The names that Twisted's ports have for these methods.
    pauseProducing = pause
    resumeProducing = resume

    def close(self, gone: Callable[[], None]) -> None:
        self._close()
        gone()

    def set_option(self, name: str, value: object) -> None:
        set_option(self._socket, name, value)

    def connectionLost(self, reason: Failure) -> None:
        """Handle the end of the reactor, or an error of the socket that the reactor has found."""
        if not (self.connected and self._reactor.running):
            self._close()
            return
        error = hang_up(self._socket)
        if error is None:
            # The reactor has stopped watching this descriptor.
            self._update()
            return
        self._close()
        error.__cause__ = reason.value
        DISPATCH.run(self._watcher.listener_lost, error)

    def _update(self) -> None:
        """Let the reactor watch the socket, or stop watching, as the state of the listener requires."""
        if self.connected and not self.paused and self._retry is None:
            self._reactor.addReader(self)
        else:
            self._reactor.removeReader(self)

    # -- accepting --------------------------------------------------------------------------

    def doRead(self) -> None:
        """Accept the waiting connections, read from each, and let the reactor watch those that are still open.

        When the whole batch is accepted, a client that speaks first has usually sent its request.  When the whole batch is
        answered, a client with a single request has usually closed its connection.  So each connection of a batch is read
        twice here.  A connection that has ended by then is never registered with the reactor, which saves a fifth of its
        cost.
        """
        accepted = list(self._accept_waiting())
        looks = 1 if len(accepted) == 1 else 2
        for _ in range(looks):
            for transport in accepted:
                self._guard(transport, transport.read_now)
        for transport in accepted:
            self._guard(transport, transport.watch)

    def _accept_waiting(self) -> Iterator[StreamTransport]:
        failures = 0
        for _ in range(MOST_ACCEPTS):
            if not self.connected or self.paused:
                return
            try:
                sock, raw = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                failures += 1
                self._accept_failed(error)
                if self._retry is not None or not self.connected:
                    return
                continue
            self._pause = FIRST_PAUSE
            transport = self._serve(sock, raw)
            if transport is not None:
                self._guard(transport, transport.hand_over)
                yield transport
        if failures == MOST_ACCEPTS:
            # The error does not seem to concern single connections.
            self._try_later()

    def _serve(self, sock: socket.socket, raw: Any) -> StreamTransport | None:
        """Return the transport of the accepted SOCK, with its protocol; None after closing SOCK, if anything goes wrong.

        RAW is the address of the peer that accept returned.
        """
        transport = None
        try:
            sock.setblocking(False)
            remote = peer_address(self.local.family, sock, raw)
            local = local_address(sock) if self.local.is_wildcard else self.local
        except OSError as error:
            # The peer has closed the connection already, so its address is not known any more.
            self._log_failure(error)
        else:
            transport = self._make_transport(sock, local, remote)
        if transport is None:
            sock.close()
        return transport

    def _make_transport(
        self, sock: socket.socket, local: SocketAddress, remote: SocketAddress
    ) -> StreamTransport | None:
        try:
            address = twisted_address(remote) if self._tells_address else None
            protocol = self._factory.buildProtocol(address)  # type: ignore[arg-type]
            if protocol is not None:
                return self._transport_type(sock, self._reactor, protocol, local, remote)
        except BaseException:
            log.failure("The factory failed; the connection is closed")
        return None

    def _guard(self, transport: StreamTransport, step: Callable[[], None]) -> None:
        """Call STEP for a new connection.  If it raises any exception, even SystemExit, close this connection only."""
        try:
            step()
        except BaseException:
            log.failure("A new connection failed and is closed")
            transport.abortConnection()

    def _accept_failed(self, error: OSError) -> None:
        self._log_failure(error)
        if error.errno in NOT_LISTENING:
            self._close()
            DISPATCH.run(self._watcher.listener_lost, error)
            return
        if error.errno in SHORTAGE:
            self._try_later()
        DISPATCH.run(self._watcher.accept_failed, error)

    def _try_later(self) -> None:
        """Accept nothing for a while, longer each time."""
        self._retry = self._reactor.callLater(self._pause, self._try_again)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._update()

    def _try_again(self) -> None:
        self._retry = None
        self._update()

    def _log_failure(self, error: OSError) -> None:
        """Log ERROR, but one line per second at most."""
        suppressed = self._throttle.passes(self._reactor.seconds())
        if suppressed is not None:
            log.warn(
                "{where}: cannot accept: {what}{more}",
                where=format_address(self.local),
                what=os.strerror(error.errno or 0),
                more=not_logged(suppressed),
            )
