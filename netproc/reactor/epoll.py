"""A faster epoll reactor: a drop-in for Twisted's, installed by `twistd --reactor=netproc`.

`twisted/plugins/netproc_reactor.py` names it.  The kernel reports which descriptors are ready, and the reactor calls them.

It is Twisted's EPollReactor, with these differences:

* Twisted's stream transports send the output of a turn at the end of the turn, and not in the next one (`corked.py`).
  netproc's transports send at the end of their dispatch, with every reactor (`net/dispatch.py`).
* These transports are called directly, and all other descriptors in Twisted's guarded way.
* The prefix of log lines is computed when a line is logged (`logcontext.py`).
* Its clock is monotonic, so setting the wall clock delays no timer.
* It can `spin`: look for events for some time before it sleeps.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

if not hasattr(select, "epoll"):
    raise ImportError("the netproc reactor needs epoll, which this system does not have")

from twisted.internet import epollreactor
from twisted.internet.interfaces import IConnector, IReadWriteDescriptor
from twisted.internet.main import installReactor
from twisted.python import log

from ..net.datagram import DatagramChannel
from ..net.dispatch import DISPATCH
from ..net.listener import Listener
from ..net.seqpacket import SeqpacketTransport
from ..net.transport import StreamTransport
from . import corked
from .logcontext import LOG_CONTEXT

#: Classes whose `doRead` is one dispatch, and whose `fileno` need not be checked again after it.
_DIRECT = frozenset(
    {
        DatagramChannel,
        Listener,
        SeqpacketTransport,
        StreamTransport,
        corked.Client,
        corked.Server,
        corked.UNIXClient,
        corked.UNIXServer,
    }
)

#: The wall clock when the monotonic clock was 0: some applications use the reactor's time as a date.
_EPOCH = time.time() - time.monotonic()


#: Seconds.  A longer time of spinning is surely a mistake.
MOST_SPIN = 1.0


class EPollReactor(epollreactor.EPollReactor):
    """The reactor.  `spin` is the number of seconds for which it looks for events before it sleeps."""

    def __init__(self, spin: float = 0.0) -> None:
        super().__init__()
        self.spin = spin
        LOG_CONTEXT.install()

    # Static, as in Twisted: timers keep a reference to the function.
    @staticmethod
    def seconds() -> float:
        """Return the time: the wall clock's when the program began, plus the monotonic time since then."""
        return _EPOCH + time.monotonic()

    # -- the loop -------------------------------------------------------------------------------

    def runUntilCurrent(self) -> None:
        """Run the timers that are due and the calls from threads, as one dispatch.

        This saves a third of the cost of an echo that a timer sends.
        """
        DISPATCH.run(super().runUntilCurrent)
        if DISPATCH.gathered:
            DISPATCH.flush_gathered()
            LOG_CONTEXT.served = None
        if self._justStopped:
            # Flushing has stopped the reactor, which must not wait for another event now.
            super().runUntilCurrent()

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events, TIMEOUT seconds at most, and dispatch them."""
        find = self._selectables.get
        events = self._wait(timeout)
        # The handler of an event may close a descriptor whose own event is later in the list.  A new descriptor may then
        # have the same number.
        meant = {number: find(number) for number, _ in events} if len(events) > 1 else None
        for descriptor, event in events:
            selectable: Any = find(descriptor)
            if meant is not None and selectable is not meant[descriptor]:
                continue
            if event == select.EPOLLIN and type(selectable) in _DIRECT:
                LOG_CONTEXT.served = selectable
                try:
                    why = selectable.doRead()
                except BaseException as error:
                    log.err()
                    why = error
                if why:
                    # Guarded, because connectionLost may raise an exception.
                    log.callWithLogger(
                        selectable, self._disconnectSelectable, selectable, why, True
                    )
            # None: the handler of an earlier event has removed it.
            elif selectable is not None:
                log.callWithLogger(selectable, self._dispatch, selectable, descriptor, event)
        if DISPATCH.gathered:
            DISPATCH.flush_gathered()
        LOG_CONTEXT.served = None

    # Twisted's main loop calls it by this name.
    doIteration = doPoll

    def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Return the events, after TIMEOUT seconds at most; None is forever."""
        poll: Callable[..., list[tuple[int, int]]] = self._poller.poll
        most = max(1, len(self._selectables))
        try:
            if self.spin and timeout != 0:
                spin = self.spin if timeout is None else min(self.spin, timeout)
                end = time.monotonic() + spin
                while time.monotonic() < end:
                    if ready := poll(0, most):
                        return ready
                if timeout is not None:
                    timeout -= spin
            return poll(timeout, most)
        except InterruptedError:
            return []

    def _dispatch(self, selectable: IReadWriteDescriptor, descriptor: int, event: int) -> None:
        """Dispatch in the guarded way: for other descriptors, for output and for hang-ups."""
        DISPATCH.run(self._doReadOrWrite, selectable, descriptor, event)

    # -- Twisted's transports -------------------------------------------------------------------

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen as IReactorTCP says, with a corked transport for each connection."""
        listening = super().listenTCP(port, factory, backlog, interface)
        listening.transport = corked.Server
        return listening

    def listenUNIX(
        self,
        address: str,
        factory: Any,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> Any:
        """Listen as IReactorUNIX says, with a corked transport for each connection."""
        listening = super().listenUNIX(address, factory, backlog, mode, wantPID)
        listening.transport = corked.UNIXServer
        return listening

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """Listen on a descriptor as IReactorSocket says, with a corked transport for each connection."""
        listening = super().adoptStreamPort(fileDescriptor, addressFamily, factory)
        is_unix = addressFamily == socket.AF_UNIX
        listening.transport = corked.UNIXServer if is_unix else corked.Server
        return listening

    def adoptStreamConnection(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """Use a connected descriptor as IReactorSocket says, with a corked transport."""
        if addressFamily == socket.AF_UNIX:
            return corked.UNIXServer._fromConnectedSocket(fileDescriptor, factory, self)
        if addressFamily in (socket.AF_INET, socket.AF_INET6):
            return corked.Server._fromConnectedSocket(fileDescriptor, addressFamily, factory, self)
        return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> IConnector:
        """Connect as IReactorTCP says, with a corked transport."""
        connector = corked.Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def connectUNIX(
        self, address: str, factory: Any, timeout: float = 30, checkPID: bool = False
    ) -> IConnector:
        """Connect as IReactorUNIX says, with a corked transport."""
        connector = corked.UNIXConnector(address, factory, timeout, self, checkPID)
        connector.connect()
        return connector


def install(spin: float | None = None) -> None:
    """Make the netproc reactor the reactor of the program.

    Call it before anything imports `twisted.internet.reactor`.

    Args:
        spin: For how many seconds the reactor looks for events before it sleeps.  None takes the number from the environment
            variable NETPROC_SPIN, or 0 if there is no such variable.  You can also change the attribute `spin` of the
            reactor.

    Raises:
        ValueError: NETPROC_SPIN is not a number from 0 to 1.
    """
    installReactor(EPollReactor(_spin_wanted() if spin is None else spin))


def _spin_wanted() -> float:
    word = os.environ.get("NETPROC_SPIN", "0")
    try:
        spin = float(word)
    except ValueError:
        spin = -1.0
    if not 0 <= spin <= MOST_SPIN:
        raise ValueError(
            f"NETPROC_SPIN: {word!r} is not a number of seconds from 0 to {MOST_SPIN:g}"
        )
    return spin
