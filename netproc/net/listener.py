"""The accept loop, and what it does about each error of accept.

`net/endpoints.py` makes it for a socket that listens; the reactor calls `doRead`; each connection gets a
protocol of the factory and a `net/transport.py`.

Errors of accept are of three kinds.  When the system is short of descriptors or memory the listener
pauses, 0.1 s at first and then longer up to 1 s, because the connection that waits would wake it at
once (D8).  Most others concern the one connection that was to be accepted: it is skipped.  The last
ones say that the listening socket itself is no good: that is the end of the listener.
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
from .event import EVENT
from .interfaces import INetprocReactor
from .seqpacket import transport_type
from .socketfile import SocketFile
from .sockets import hang_up, local_address, peer_address, set_option, twisted_address
from .transport import StreamTransport

log = Logger()

SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Not EOPNOTSUPP: it is among the errors of one connection that accept(2) says to try again after.
BROKEN = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0

#: Connections accepted before the reactor gets to do something else.
MOST_ACCEPTS = 64


class ListenerWatcher:
    """Is told what a listener meets; this one does not care."""

    def accept_failed(self, error: OSError) -> None:
        """Accepting failed; the listener goes on, now or after a pause."""

    def listener_lost(self, error: OSError) -> None:
        """The socket does not listen any more; the listener has closed it."""


@implementer(IListeningPort, IReadDescriptor)
class Listener:
    """A listening socket and the factory for its connections."""

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
        # Making Twisted's address takes a while, and our own factory does not look at it.
        self._tells_address = getattr(factory, "wants_address", True)
        self.connected = False
        self.paused = False
        self._pause = FIRST_PAUSE
        self._retry: IDelayedCall | None = None
        self._throttle = Throttle()

    def logPrefix(self) -> str:
        """What the reactor writes before log lines of accepting."""
        return format_address(self.local)

    # -- IListeningPort ---------------------------------------------------------------------

    def startListening(self) -> None:
        """Begin to accept."""
        self.connected = True
        self._factory.doStart()
        self._update()

    def stopListening(self) -> Deferred[None]:
        """Stop and close; fires at once."""
        self._close()
        return succeed(None)

    def getHost(self) -> IAddress:
        """Where it listens."""
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
        """See Port."""
        self.paused = True
        self._update()

    def resume(self) -> None:
        """See Port."""
        self.paused = False
        self._update()

    # Twisted's ports have these names for it.
    pauseProducing = pause
    resumeProducing = resume

    def close(self, gone: Callable[[], None]) -> None:
        """See Port."""
        self._close()
        gone()

    def set_option(self, name: str, value: object) -> None:
        """See Port."""
        set_option(self._socket, name, value)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends, or has seen an error of the socket."""
        if not (self.connected and self._reactor.running):
            self._close()
            return
        error = hang_up(self._socket)
        if error is None:
            # The reactor watches this descriptor no more.
            self._update()
            return
        self._close()
        error.__cause__ = reason.value
        EVENT.run(self._watcher.listener_lost, error)

    def _update(self) -> None:
        """Watch the socket if it is to be accepted from."""
        if self.connected and not self.paused and self._retry is None:
            self._reactor.addReader(self)
        else:
            self._reactor.removeReader(self)

    # -- accepting --------------------------------------------------------------------------

    def doRead(self) -> None:
        """Connections wait: accept them and read from each; the reactor watches those that stay.

        A client that speaks first has mostly done so when the last of them is accepted; and one of
        several that only wanted that answer has mostly gone when the last of them is answered.  For
        these there is nothing to watch: that is a fifth of what they cost.
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
            # It seems that the error does not go away with the connection that it concerned.
            self._try_later()

    def _serve(self, sock: socket.socket, raw: Any) -> StreamTransport | None:
        """Give the connection SOCK, whose peer accept called RAW, a protocol; whatever goes wrong closes SOCK."""
        transport = None
        try:
            sock.setblocking(False)
            remote = peer_address(self.local.family, sock, raw)
            local = local_address(sock) if self.local.is_wildcard else self.local
        except OSError as error:
            # The peer has gone, and its address with it.
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
        """Do a STEP of a new connection; if it raises anything, SystemExit too, that connection ends and no other."""
        try:
            step()
        except BaseException:
            log.failure("A new connection failed and is closed")
            transport.abortConnection()

    def _accept_failed(self, error: OSError) -> None:
        self._log_failure(error)
        if error.errno in BROKEN:
            self._close()
            EVENT.run(self._watcher.listener_lost, error)
            return
        if error.errno in SHORTAGE:
            self._try_later()
        EVENT.run(self._watcher.accept_failed, error)

    def _try_later(self) -> None:
        """Accept nothing for a while, each time for longer."""
        self._retry = self._reactor.callLater(self._pause, self._try_again)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._update()

    def _try_again(self) -> None:
        self._retry = None
        self._update()

    def _log_failure(self, error: OSError) -> None:
        """One line a second, however often it fails."""
        suppressed = self._throttle.passes(self._reactor.seconds())
        if suppressed is not None:
            log.warn(
                "{where}: cannot accept: {what}{more}",
                where=format_address(self.local),
                what=os.strerror(error.errno or 0),
                more=not_logged(suppressed),
            )
