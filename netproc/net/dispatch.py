"""Dispatches: output that is written during one of them is sent when it ends.

A dispatch is one call from the reactor, such as `doRead`, with all the callbacks that it leads to.
`net/transport.py`, `net/listener.py`, `net/connector.py`, `net/datagram.py`, `net/seqpacket.py`, `net/tls/onsocket.py`
and `reactor/` run their callbacks as dispatches.  Each transport that was written to meanwhile is flushed at the end,
with one system call.

There are two other ways, and both are slower.  If every write were sent at once, the pieces of a reply would wait for
each other under Nagle's algorithm (43 ms).  If output waited for the reactor's next turn, each reply would cost two
calls of epoll_ctl and a dispatch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.python import log
from twisted.python.failure import Failure

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Flushable(Protocol):
    """A transport with output that has not been sent."""

    def flush(self) -> None:
        """Send as much of the output as the kernel takes."""

    def connectionLost(self, reason: Failure) -> None:
        """End the connection: `flush` has raised an error."""

    def logPrefix(self) -> str:
        """The beginning of the log line about that error."""


class Dispatch:
    """The dispatch that is running, if any.  A reactor runs one at a time."""

    __slots__ = ("gathered", "running", "written")

    def __init__(self) -> None:
        self.running = False
        #: Transports to flush when this dispatch ends.
        self.written: list[Flushable] = []
        #: Transports to flush when the reactor's turn ends, see `reactor/corked.py`.  Only netproc's reactor flushes them.
        self.gathered: list[Flushable] = []

    def run(
        self,
        callback: Callable[Arguments, Result],
        /,
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> Result:
        """Call CALLBACK as a dispatch, flush the transports that it wrote to and return its result.

        If flushing itself leads to more output, for example because a `drain` fires, that output is sent in the
        reactor's next turn.  Otherwise a sender whose peer keeps up would keep the reactor to itself.
        """
        self.running = True
        try:
            return callback(*arguments, **keywords)
        finally:
            self.running = False
            if self.written:
                self.flush()

    def flush(self) -> None:
        """Flush each transport that was written to."""
        written, self.written = self.written, []
        self._flush_all(written)

    def flush_gathered(self) -> None:
        """Flush each transport that waited for the end of the reactor's turn."""
        gathered, self.gathered = self.gathered, []
        self._flush_all(gathered)

    def _flush_all(self, written: list[Flushable]) -> None:
        for transport in written:
            try:
                transport.flush()
            except BaseException as error:
                # As reactors do when doWrite raises: this connection is lost, and no other.
                log.err(system=transport.logPrefix())
                log.callWithLogger(transport, transport.connectionLost, Failure(error))


#: The dispatches of the reactor; a program has only one reactor.
DISPATCH = Dispatch()
