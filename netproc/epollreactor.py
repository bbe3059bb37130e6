"""A faster epoll reactor: a drop-in for Twisted's, installed by `twistd --reactor=netproc`.

It is Twisted's EPollReactor but for four things:

* what an event wrote is sent when that event ends, not in the next turn: two system calls and one turn less
  for each answer.  netproc's own transports do so on every reactor (`net/event.py`); here Twisted's TCP
  connections do too;
* descriptors of these classes are called directly.  All others go the guarded way;
* the prefix of log lines is made when there is a line, not for each event;
* its clock is monotonic: setting the wall clock delays no timer.

It can also `spin`: look for events for a while before it sleeps, which spares a busy peer the time of waking up at
the price of a processor.
"""

from __future__ import annotations

import errno
import select
import time
from typing import Any

if not hasattr(select, "epoll"):
    raise ImportError("the netproc reactor needs epoll, which this system does not have")

from twisted.internet import epollreactor, tcp, unix
from twisted.internet.interfaces import IConnector, IReadWriteDescriptor
from twisted.internet.main import CONNECTION_LOST, installReactor
from twisted.python import context, log

from .net.datagram import DatagramChannel
from .net.event import EVENT
from .net.listener import Listener
from .net.seqpacket import SeqpacketTransport
from .net.transport import READ_MIN, StreamTransport, next_read_size


class EPollReactor(epollreactor.EPollReactor):
    """The reactor.  `spin` is for how many seconds it looks for events before it sleeps."""

    # Timers follow this clock; an attribute of the class, as Twisted has it.
    seconds = staticmethod(time.monotonic)

    def __init__(self, spin: float = 0.0) -> None:
        super().__init__()
        self.spin = spin
        _Prefixes.install()

    # -- Twisted's own connections --------------------------------------------------------------

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> tcp.Port:
        """See IReactorTCP."""
        listening = Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> IConnector:
        """See IReactorTCP."""
        connector = Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def listenUNIX(
        self,
        address: str,
        factory: Any,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> unix.Port:
        """See IReactorUNIX."""
        listening = UNIXPort(address, factory, backlog, mode, self, wantPID)
        listening.startListening()
        return listening

    def connectUNIX(
        self, address: str, factory: Any, timeout: float = 30, checkPID: bool = False
    ) -> IConnector:
        """See IReactorUNIX."""
        connector = UNIXConnector(address, factory, timeout, self, checkPID)
        connector.connect()
        return connector

    # -- the loop -------------------------------------------------------------------------------

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events, TIMEOUT seconds at most, and dispatch them."""
        selectables = self._selectables
        try:
            for descriptor, event in self._poll(timeout):
                selectable = selectables.get(descriptor)
                if selectable is None:
                    # An event before this one has removed it.
                    continue
                if event == select.EPOLLIN and type(selectable) in _DIRECT:
                    self._read(selectable)
                else:
                    log.callWithLogger(selectable, self._dispatch, selectable, descriptor, event)
        except OSError as error:
            if error.errno != errno.EINTR:
                raise

    # What runs the loop calls it by this name.
    doIteration = doPoll

    def _poll(self, timeout: float | None) -> list[tuple[int, int]]:
        most = max(1, len(self._selectables))
        poll = self._poller.poll
        if self.spin and timeout != 0:
            end = time.monotonic() + (self.spin if timeout is None else min(timeout, self.spin))
            while time.monotonic() < end:
                if ready := poll(0, most):
                    return ready
        return poll(-1 if timeout is None else timeout, most)

    def _read(self, selectable: Any) -> None:
        """Input waits on one of our own descriptors."""
        _Prefixes.served = selectable
        EVENT.running = True
        try:
            why = selectable.doRead()
        except BaseException as error:
            log.err()
            why = error
        finally:
            EVENT.running = False
            if EVENT.written:
                EVENT.flush()
            _Prefixes.served = None
        if why:
            self._disconnectSelectable(selectable, why, True)

    def _dispatch(self, selectable: IReadWriteDescriptor, descriptor: int, event: int) -> None:
        """The guarded way: for foreign descriptors, for output and for hang-ups."""
        EVENT.run(self._doReadOrWrite, selectable, descriptor, event)


# -- Twisted's connections, sending when the event ends -----------------------------------------


class _FlushesAfterEvent:
    """What a connection of Twisted's that is asked to write in an event does at its end."""

    _flush_due = False

    def startWriting(self) -> None:
        """Send soon: when the event that runs ends, or in the next turn."""
        if self._flush_due or self.fileno() in self.reactor._writes:  # type: ignore[attr-defined]
            return
        if EVENT.running and self.connected:  # type: ignore[attr-defined]
            self._flush_due = True
            EVENT.written.append(self)
        else:
            super().startWriting()  # type: ignore[misc]

    def stopWriting(self) -> None:
        """Everything has been sent: mostly without help of the reactor."""
        if self.fileno() in self.reactor._writes:  # type: ignore[attr-defined]
            super().stopWriting()  # type: ignore[misc]

    def flush(self) -> None:
        """The event has ended."""
        self._flush_due = False
        if not self.connected:  # type: ignore[attr-defined]
            return
        _Prefixes.served = self
        try:
            why = self.doWrite()  # type: ignore[attr-defined]
        except BaseException as error:
            log.err()
            why = error
        finally:
            _Prefixes.served = None
        if why:
            disconnect = self.reactor._disconnectSelectable  # type: ignore[attr-defined]
            log.callWithLogger(self, disconnect, self, why, False)
        elif self._unsent():
            super().startWriting()  # type: ignore[misc]

    def _unsent(self) -> bool:
        return bool(self._tempDataLen or self.offset < len(self.dataBuffer))  # type: ignore[attr-defined]


class _ReadsAsMuchAsComes(_FlushesAfterEvent):
    """Reads follow the traffic, as in `net/transport.py`."""

    _read_size = READ_MIN

    def doRead(self) -> BaseException | None:
        """The socket is readable."""
        try:
            data = self.socket.recv(self._read_size)  # type: ignore[attr-defined]
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        self._read_size = next_read_size(self._read_size, len(data))
        return self._dataReceived(data)  # type: ignore[attr-defined, no-any-return]


class Server(_ReadsAsMuchAsComes, tcp.Server):
    """An accepted TCP connection."""


class Client(_ReadsAsMuchAsComes, tcp.Client):
    """A TCP connection to a server."""


class Port(tcp.Port):
    """A listening TCP socket."""

    transport = Server


class Connector(tcp.Connector):
    """Connects over TCP."""

    def _makeTransport(self) -> Client:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)


class UNIXServer(_FlushesAfterEvent, unix.Server):
    """An accepted connection of a UNIX socket; descriptors may be sent along with data."""


class UNIXClient(_FlushesAfterEvent, unix.Client):
    """A connection to a UNIX socket."""


class UNIXPort(unix.Port):
    """A listening UNIX socket."""

    transport = UNIXServer


class UNIXConnector(unix.Connector):
    """Connects to a UNIX socket."""

    def _makeTransport(self) -> UNIXClient:
        return UNIXClient(self.address, self, self.reactor, self.checkPID)


#: What may be called without a guard: neither their `fileno` nor their `doRead` surprises.
_DIRECT = frozenset(
    {
        Client,
        DatagramChannel,
        Listener,
        Port,
        SeqpacketTransport,
        Server,
        StreamTransport,
        UNIXClient,
        UNIXPort,
        UNIXServer,
    }
)


# -- log prefixes -------------------------------------------------------------------------------


class _Prefixes(dict[str, Any]):
    """The context of log lines: it finds out the prefix when a line is written (ILogContext)."""

    #: Whose event runs.
    served: Any = None

    @classmethod
    def install(cls) -> None:
        """Let lines that belong to no other context have this one."""
        context.setDefault(log.ILogContext, cls(context.get(log.ILogContext)))

    def copy(self) -> dict[str, Any]:
        """What the line says of its context."""
        return dict(self, system=self._system())

    def _system(self) -> Any:
        if _Prefixes.served is None:
            return self["system"]
        try:
            return _Prefixes.served.logPrefix()
        except Exception:
            return "(buggy logPrefix method)"


def install(spin: float = 0.0) -> None:
    """Make it the reactor of this program; before anything imports `twisted.internet.reactor`."""
    installReactor(EPollReactor(spin))
