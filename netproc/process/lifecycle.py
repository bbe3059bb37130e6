"""The lifecycle of a process: connecting or listening, open, closed.

`making/client.py` (at run time) and `making/server.py` (at run time) hand it a connected channel or a listening port.  The
channel then reports end of input, lost output and disconnection; `NetworkProcess.delete` asks it to close.  Each report is a
*cause* that `core/status.py` turns into a new state and an event, which is passed to the sentinel.  Received data goes to
`input.py` (at run time), and reports on the output go to `output.py` (at run time).
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
    from ..net.tls.channel import TLSChannel
    from .process import NetworkProcess

log = Logger()


class Transport(Protocol):
    """A process as a transport for a Twisted protocol: it is notified of what would end the process."""

    def half_closed(self) -> None:
        """Go on although the peer has shut its sending side.  May be called more than once."""

    def output_lost(self, reason: ProcessError) -> None:
        """Note that nothing can be written any more, because of REASON.

        The process ends when all input has been delivered.
        """


class Lifecycle:
    """The state of one process; the owner of its channel, and the Receiver of that."""

    __slots__ = (
        "_attempt",
        "_gone",
        "_process",
        "_throttle",
        "_waiters",
        "channel",
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
        #: The last error that did not end the process.
        self.last_error: ProcessError | None = None
        self._throttle: Throttle | None = None
        self.unsent = 0
        #: Whether input over TLS ended without close_notify, and so may be incomplete.
        self.truncated = False
        #: The process as a transport for a Twisted protocol, None for nearly all processes.
        self.transport: Transport | None = None
        #: The connection, None before there is one and after it is gone.
        self.channel: Channel | None = None
        #: The listening port of a server.
        self.port: Port | None = None
        # The attempt to connect, while it goes on.
        self._attempt: Deferred[Any] | None = None
        # Whether there is no descriptor: not yet, or not any more.
        self._gone = True
        self._waiters: Waiters[NetworkProcess] | None = None

    @property
    def live(self) -> bool:
        """Whether the process has not ended."""
        return self.state in status.LIVE

    @property
    def ended(self) -> bool:
        """Whether the process has ended, after it was open or had failed to open."""
        return self.state in status.ENDED

    def closed(self, process: NetworkProcess) -> Deferred[NetworkProcess]:
        """Return a Deferred that fires with PROCESS, whose lifecycle this is, when its descriptor is closed."""
        if self._gone and self.ended:
            return succeed(process)
        self._waiters = self._waiters or Waiters()
        return self._waiters.add()

    # -- called by the makers -------------------------------------------------------------------

    def connecting(self, attempt: Deferred[Any]) -> None:
        """List the process before it is connected.  Cancelling ATTEMPT gives the connection up."""
        self._step(Cause.CONNECTING)
        self._attempt = attempt

    def connected(self, channel: Channel, cause: Cause, unread: bytes = b"") -> str | None:
        """Take CHANNEL, which can be used, and UNREAD, received data that has not been used; return the event to tell.

        Input is held until `start_input`, so that the sentinel is called first.  Raises ProcessError if the channel cannot
        do what the program has already asked for.
        """
        process = self._process
        self._attempt = None
        self._gone = False
        self.channel = channel
        process._contact.local, process._contact.remote = channel.local, channel.remote
        process._input.connected(channel)
        # Before anything is written: the channel reports to its receiver how writing goes on.
        channel.hand_to(self)
        process._output.connected(channel, self.noticed)
        if unread:
            process._input.data(unread)
        words = host_text(channel.remote) if cause is Cause.ACCEPTED else ""
        return self._step(cause, words)

    def pause_input(self) -> None:
        """Read nothing before `start_input`, which does not follow at once."""
        self._process._input.wait_for_open()

    def start_input(self) -> None:
        """Deliver input: the program knows the process."""
        self._process._input.open()

    def replace_channel(self, tls: TLSChannel, unread: bytes) -> None:
        """Continue with TLS, which is above the present channel, from both halves.

        TLS receives UNREAD first, and then the data that has been received and not delivered.
        """
        process, below = self._process, self.channel
        assert below is not None
        self.channel = tls
        process._output.switch(tls)
        below.hand_to(tls)
        tls.start(unread + process._input.switch(tls))

    def listening(self, port: Port) -> None:
        """Take PORT, which accepts connections; `contact` shows its address (N31).

        Raises ProcessError if the program has called `stop` and PORT cannot be paused.
        """
        process = self._process
        if process.stopped:
            port.pause()  # first, since not every port can be paused
        self.port = port
        self._gone = False
        process._contact.local = port.local
        self.show_port(port.local)
        self._step(Cause.LISTENING)

    def show_port(self, local: SocketAddress | None) -> None:
        """Let `contact` show the port number of LOCAL."""
        if local is not None and local.family in LOOPBACK:
            self._process._contact.set("service", local.raw[1])

    def failed(self, error: ProcessError) -> None:
        """End the process: it could not connect or listen, or its listening port is broken."""
        self._attempt = None
        event = self._step(Cause.FAILED, status.failure_words(error))
        if event is not None:
            self.reason = without_traceback(error)
            self.exit_status = error.problem if error.errno is None else error.errno
            self._end(event)

    # -- called by the channel and the input ----------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        return self._process._input.data

    def eof(self) -> None:
        assert self.channel is not None
        self.truncated = self.channel.truncated
        self._process._input.end(None)

    def congested(self) -> None:
        self._process._output.congested()

    def writable(self) -> None:
        self._process._output.writable()

    def output_lost(self, reason: ProcessError) -> None:
        self._process._output.lost(reason)
        if self.transport is not None:
            self.transport.output_lost(reason)

    def noticed(self, error: ProcessError) -> None:
        """Log ERROR, at most one line a second."""
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
        """End the process after the received data has been delivered."""
        if not self._process.reactor.running:
            # A stopping reactor closes all descriptors.  This is an error only if output was lost.
            lost_output = self.channel is not None and self.channel.unsent
            self._channel_ended(reason if lost_output else None)
            self.delete()
            return
        received = self._process._input
        self._channel_ended(reason)
        # A callback that waited in `drain` may have deleted the process, and `_process` with it.
        received.end(reason)

    def input_ended(self, reason: ProcessError | None) -> None:
        """End the process: all input has been delivered, and there will be no more."""
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
        """Send and deliver nothing any more, because of REASON, and end the process in the reactor's next turn."""
        self.output_lost(reason)
        self._process._input.shut()
        self._process.reactor.callLater(0, self.input_ended, reason)

    def gone(self) -> None:
        """Finish: the connection, or the port, has closed its descriptor."""
        self._channel_ended(None)
        self._let_go()

    def _channel_ended(self, reason: ProcessError | None) -> None:
        self._gone = True
        channel, self.channel = self.channel, None
        if channel is not None:
            self._process._contact.remote = channel.remote
            self.unsent = channel.unsent
            self.truncated = channel.truncated
            reason = reason or channel.failure
            self.reason = self.reason or (reason and without_traceback(reason))
            self._process._output.ended(reason)

    # -- ending ---------------------------------------------------------------------------------

    def delete(self, reason: ProcessError | None = None) -> None:
        """End the process for the program; REASON is the error that made the program do so, if any."""
        was_live = self.live
        event = self._step(Cause.DELETED)
        if was_live:
            if reason is not None:
                self.reason = without_traceback(reason)
            self._end(event)

    def _step(self, cause: Cause, words: str = "") -> str | None:
        """Let CAUSE change the state; return the event for the sentinel, if any.  WORDS complete the event."""
        found = status.step(self.state, cause)
        if found is None:
            return None
        self.state = found.state
        self.exit_status = found.exit_status
        return found.event.format(words) if words and found.event is not None else found.event

    def _end(self, event: str | None) -> None:
        """Stop everything, call the sentinel with EVENT, and close in order."""
        process = self._process
        process.table.leave(process)
        process._input.shut()
        if self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            attempt.cancel()
        if event is not None:
            process._call_sentinel(event)
        if process._waiters is not None:
            process._waiters.fire(False)
        process._input.cancel()
        if process._insertion.own_buffer is not None:
            process.table.forget_buffer(process._insertion.own_buffer)
        if self.port is not None:
            port, self.port = self.port, None
            port.close(self.gone)
        elif self._gone:
            self._let_go()
        elif self.channel is not None:
            self._close(process, self.channel)

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
        """Drop the references of the parts to the process, whose descriptor is closed, and fire `closed`."""
        process = self._process
        self.unsent += process._output.give_up_early(self.reason)
        process._input.detach()
        del self._process
        process.table.closed(process)
        if self._waiters is not None:
            self._waiters.fire(process)
