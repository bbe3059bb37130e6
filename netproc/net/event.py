"""What one event writes goes to the kernel when that event ends.

`net/transport.py`, `net/listener.py` and `net/connector.py` run what they dispatch as an event;
transports that are written to meanwhile are flushed at its end, each with one system call.  Sending
in every write instead would make the pieces of a reply wait for each other under Nagle's algorithm
(43 ms); waiting for the reactor's next turn costs two epoll_ctl and a dispatch for each reply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.python import log
from twisted.python.failure import Failure

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Flushable(Protocol):
    """A transport that has something to send."""

    def flush(self) -> None:
        """Send it."""

    def connectionLost(self, reason: Failure) -> None:
        """Sending has raised an error."""

    def logPrefix(self) -> str:
        """What the line about that begins with."""


class Event:
    """The event that is being dispatched, if any; a reactor dispatches one at a time."""

    __slots__ = ("gathered", "running", "written")

    def __init__(self) -> None:
        self.running = False
        self.written: list[Flushable] = []
        #: What is flushed when the reactor's turn ends, see `net/corked.py`; other reactors know nothing of it.
        self.gathered: list[Flushable] = []

    def run(
        self,
        dispatch: Callable[Arguments, Result],
        /,
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> Result:
        """Call DISPATCH as an event, flush what it wrote and return what it returns.

        What flushing itself provokes (a `drain` that fires) writes in the reactor's next turn, so
        that a sender whose peer keeps up does not keep the reactor to itself.
        """
        self.running = True
        try:
            return dispatch(*arguments, **keywords)
        finally:
            self.running = False
            if self.written:
                self.flush()

    def flush(self) -> None:
        """Let everything that the event has written be sent."""
        written, self.written = self.written, []
        self._flush_all(written)

    def flush_gathered(self) -> None:
        """The reactor's turn ends."""
        gathered, self.gathered = self.gathered, []
        self._flush_all(gathered)

    def _flush_all(self, written: list[Flushable]) -> None:
        for transport in written:
            try:
                transport.flush()
            except BaseException as error:
                # As reactors do when a doWrite raises: the connection is lost, and this one only.
                log.err(system=transport.logPrefix())
                log.callWithLogger(transport, transport.connectionLost, Failure(error))


#: The event of the one reactor that a process has.
EVENT = Event()
