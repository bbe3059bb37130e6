"""The life of a process: from connecting or listening to the end, and what closes then.

`making/client.py` (at run time) and `making/server.py` (at run time) tell it what they made, the channel what happens to the connection, the program
that it wants to delete; the table of `core/status.py` says what each does.  Input goes on to `input.py` (at run time),
how output fares to `output.py` (at run time), events to the sentinel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from ..core import options, status
from ..core.address import LOOPBACK, SocketAddress, host_text
from ..core.errors import CommandError, ProcessError, without_traceback
from ..core.escape import escape
from ..core.status import Cause, State
from ..core.throttle import Throttle, not_logged
from .waiting import Waiters

if TYPE_CHECKING:
    from ..net.channel import Channel, Port
    from .process import NetworkProcess

log = Logger()


class Transport(Protocol):
    """Is told what a process would end of."""

    def half_closed(self) -> None:
        """The peer sends no more and can still be sent to.  Called instead of ending, maybe more than once."""

    def output_lost(self, reason: ProcessError) -> None:
        """Nothing can be written any more.  The process ends when everything that came has been delivered."""


class Lifecycle:
    """Where one process is in its life; the Receiver of its channel."""

    __slots__ = (
        "_attempt",
        "_gone",
        "_process",
        "_throttle",
        "_waiters",
        "exit_status",
        "last_error",
        "port",
        "reason",
        "state",
        "transport",
        "truncated",
        "unsent",
    )

    def __init__(self, process: NetworkProcess) -> None:
        self._process = process
        self.state = State.NEW
        self.exit_status: int | str = 0
        self.reason: ProcessError | None = None
        #: What last went wrong without ending anything.
        self.last_error: ProcessError | None = None
        self._throttle: Throttle | None = None
        self.unsent = 0
        #: Has the input ended without the peer's word, which TLS has, that it is whole?
        self.truncated = False
        #: What makes the process a transport of Twisted's, None for nearly all processes.
        self.transport: Transport | None = None
        #: The listening port of a server.
        self.port: Port | None = None
        # A connect that is going on.
        self._attempt: Deferred[Any] | None = None
        # Is there no descriptor, not yet or not any more?
        self._gone = True
        self._waiters: Waiters[NetworkProcess] | None = None

    @property
    def live(self) -> bool:
        """Has it not ended?"""
        return self.state in status.LIVE

    @property
    def ended(self) -> bool:
        """Whether it has been open, or failed, and is over."""
        return self.state in status.ENDED

    def closed(self, process: NetworkProcess) -> Deferred[NetworkProcess]:
        """Fires with PROCESS, whose life this is, when all is over."""
        if self._gone and self.ended:
            return succeed(process)
        self._waiters = self._waiters or Waiters()
        return self._waiters.add()

    # -- told by client.py and server.py --------------------------------------------------------

    def connecting(self, attempt: Deferred[Any]) -> None:
        """It is shown before it is connected; ATTEMPT, cancelled, gives that up."""
        self._step(Cause.CONNECTING)
        self._attempt = attempt

    def connected(self, channel: Channel, cause: Cause, unread: bytes = b"") -> str | None:
        """Take CHANNEL, which can be used, and UNREAD, which has come over it; return the event to tell when it is time.

        Input is held until `reading.open`, so that the program hears of the connection first.  Raises ProcessError if the
        channel cannot do what the program has asked for already.
        """
        process = self._process
        self._attempt = None
        self._gone = False
        process._contact.local, process._contact.remote = channel.local, channel.remote
        process._input.connected(channel)
        # Before anything is written: a channel tells its receiver how that goes on.
        channel.hand_to(self)
        process._output.connected(channel)
        if unread:
            process._input.data(unread)
        words = host_text(channel.remote) if cause is Cause.ACCEPTED else ""
        return self._step(cause, words)

    def listening(self, port: Port) -> None:
        """PORT accepts connections; the contact shows where (N31).  Raises ProcessError if it cannot be stopped."""
        process = self._process
        if process.stopped:
            port.pause()  # before anything else, since not every port can
        self.port = port
        self._gone = False
        process._contact.local = port.local
        self.show_port(port.local)
        self._step(Cause.LISTENING)

    def show_port(self, local: SocketAddress | None) -> None:
        """The contact shows the port of LOCAL."""
        if local is not None and local.family in LOOPBACK:
            self._process._contact.set("service", local.raw[1])

    def failed(self, error: ProcessError) -> None:
        """It could not be connected, or its port is broken."""
        self._attempt = None
        event = self._step(Cause.FAILED, status.failure_words(error))
        if event is not None:
            self.reason = without_traceback(error)
            self.exit_status = error.problem if error.errno is None else error.errno
            self._end(event)

    # -- told by the channel and reading.py -----------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        """See Receiver."""
        return self._process._input.data

    def eof(self) -> None:
        """See Receiver."""
        channel = self._process._output.channel
        assert channel is not None
        self.truncated = channel.truncated
        self._process._input.end(None)

    def congested(self) -> None:
        """See Receiver."""
        self._process._output.congested()

    def writable(self) -> None:
        """See Receiver."""
        self._process._output.writable()

    def output_lost(self, reason: ProcessError) -> None:
        """See Receiver."""
        self._process._output.lost(reason)
        if self.transport is not None:
            self.transport.output_lost(reason)

    def noticed(self, error: ProcessError) -> None:
        """See Receiver; one line in the log each second, whatever the network sends."""
        process = self._process
        self.last_error = without_traceback(error)
        if self._throttle is None:
            self._throttle = Throttle()
        suppressed = self._throttle.passes(process.reactor.seconds())
        if suppressed is not None:
            log.info(
                "{name}: {error}{more}",
                name=escape(process.name),
                error=escape(str(error)),
                more=not_logged(suppressed),
            )

    def lost(self, reason: ProcessError | None) -> None:
        """See Receiver: what has come is delivered first."""
        if not self._process.reactor.running:
            # A reactor that stops closes all descriptors.  That matters only if output was lost.
            channel = self._process._output.channel
            self._channel_ended(reason if channel is not None and channel.unsent else None)
            self.delete()
            return
        reading = self._process._input
        self._channel_ended(reason)
        # Who waited for the output may have deleted the process.
        reading.end(reason)

    def input_ended(self, reason: ProcessError | None) -> None:
        """Everything that came has been delivered, and no more will."""
        can_go_on = reason is None and not (self._gone or self.truncated)
        if can_go_on and self.transport is not None:
            self.transport.half_closed()
            return
        cause = status.end_of_input(self.state, reason)
        event = self._step(cause, "" if reason is None else str(reason))
        if event is not None:
            self.reason = without_traceback(reason) if reason is not None else None
            if isinstance(reason, CommandError):
                self.exit_status = reason.exit_status
            self._end(event)

    def broken(self, reason: ProcessError) -> None:
        """It must not go on, because of REASON: nothing is sent or delivered any more, and in the
        reactor's next turn it ends.
        """
        self.output_lost(reason)
        self._process._input.shut()
        self._process.reactor.callLater(0, self.input_ended, reason)

    def gone(self) -> None:
        """See Receiver, and Port."""
        self._channel_ended(None)
        self._let_go()

    def _channel_ended(self, reason: ProcessError | None) -> None:
        self._gone = True
        sending = self._process._output
        if sending.channel is not None:
            self._process._contact.remote = sending.channel.remote
            self.unsent = sending.channel.unsent
            self.truncated = sending.channel.truncated
            reason = reason or sending.channel.failure
            self.reason = self.reason or (reason and without_traceback(reason))
            sending.ended(reason)

    # -- ending ---------------------------------------------------------------------------------

    def delete(self, reason: ProcessError | None = None) -> None:
        """The program wants no more of it, because of an error if there is a REASON."""
        was_live = self.live
        event = self._step(Cause.DELETED)
        if was_live:
            if reason is not None:
                self.reason = without_traceback(reason)
            self._end(event)

    def _step(self, cause: Cause, words: str = "") -> str | None:
        """Let the status machine take a step; the event to tell, if any."""
        found = status.step(self.state, cause)
        if found is None:
            return None
        self.state = found.state
        self.exit_status = found.exit_status
        return found.event.format(words) if words and found.event is not None else found.event

    def _end(self, event: str | None) -> None:
        """It has ended: stop everything, tell EVENT, and close in order."""
        process = self._process
        process.table.leave(process)
        process._input.shut()
        if self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            attempt.cancel()
        if event is not None:
            process._tell(event)
        if process._waiters is not None:
            process._waiters.fire(False)
        process._input.cancel()
        process._forget_own_buffer()
        if self.port is not None:
            port, self.port = self.port, None
            port.close(self.gone)
        elif self._gone:
            self._let_go()
        elif process._output.channel is not None:
            self._close(process, process._output.channel)

    @staticmethod
    def _close(process: NetworkProcess, channel: Channel) -> None:
        limits, linger = process.limits, process._linger
        seconds = options.linger_seconds(linger) if linger is not None else None
        if seconds == 0:
            channel.abort()
        else:
            flush = limits.flush_timeout if seconds is None else seconds
            channel.close(flush, limits.linger_timeout)

    def _let_go(self) -> None:
        """All is over: nothing must keep the process but those who have it; tell who waits."""
        process = self._process
        self.unsent += process._output.give_up_early(self.reason)
        process._output.detach()
        process._input.detach()
        del self._process
        process.table.closed(process)
        if self._waiters is not None:
            self._waiters.fire(process)
