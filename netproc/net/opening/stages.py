"""The stages that a connection passes before it is open, and the Opening, which hands it from one to the next.

`making/client.py`, `making/server.py` and `streams/openstream.py` make an Opening with the stages
of their connection.  It hands the channel to one stage after the other, and finally to the maker, which gives it to the
process.  A stage is a Receiver (`net/channel.py`).  It receives the channel and the input that the stage before it has not
used.  It ends by calling its `proceed`, or `refuse` of the opening.

Three rules keep the hand-over safe:

* The next stage is the receiver of the channel before any of its code runs.
* An opening ends once: opened, refused or aborted.  A stage that reports something afterwards changes nothing.
* An exception in a stage, or in the maker, refuses the connection.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ...core.errors import NetprocError, ProcessError
from ...core.escape import escape
from ...core.limits import Limits
from ..channel import Channel
from ..interfaces import INetprocReactor

log = Logger()


class Deadline:
    """A time limit of SECONDS, which begins when the remaining time is asked for the first time.

    Several stages can share a deadline.
    """

    def __init__(self, reactor: INetprocReactor, seconds: float) -> None:
        self._reactor = reactor
        self._end: float | None = None
        self.seconds = seconds

    def left(self) -> float:
        """Return the remaining seconds, 0 if the deadline has passed."""
        now = self._reactor.seconds()
        if self._end is None:
            self._end = now + self.seconds
        return max(0, self._end - now)


class Stage:
    """One stage of an opening, and the Receiver of the channel while the stage runs.

    A stage may run more than once in an opening.
    """

    #: What the stage waits for: a noun, for the message of the error when it does not come.
    waiting_for: str
    #: When the opening refuses the connection; None if the stage has its own time limit.
    deadline: Deadline | None = None

    opening: Opening

    @property
    def channel(self) -> Channel:
        """The channel, while the opening is not over."""
        return self.opening.channel

    def begin(self, unread: bytes) -> None:
        """Begin, with the input UNREAD, which no earlier stage has used.

        The channel may be paused.  A stage that needs input resumes it.
        """
        raise NotImplementedError

    def proceed(self, unread: bytes = b"", *, detour: Iterable[Stage] = ()) -> None:
        """Hand the channel and UNREAD to the next stage, after those of DETOUR.  Do nothing if the opening is over."""
        if not self.opening.over:
            self.opening.go_on(self.channel, unread, detour=detour)

    def cancel(self) -> None:
        """Stop: the opening has ended while this stage was running."""

    def too_late(self, seconds: float) -> ProcessError:
        """Return the error for a deadline of SECONDS that has passed."""
        return ProcessError(errno.ETIMEDOUT, f"no {self.waiting_for} within {seconds:g} s")

    def closed(self) -> NetprocError:
        """Return the error for a peer that closed the connection."""
        return ProcessError(None, f"connection closed before the {self.waiting_for}")

    # -- called by the channel --------------------------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        return self._receive

    def _receive(self, data: bytes) -> None:
        """Use DATA, received from the peer.  By default it is discarded."""

    def eof(self) -> None:
        """Refuse the connection: a peer that sends no more cannot complete the opening."""
        self.opening.refuse(self.closed())

    def lost(self, reason: ProcessError | None) -> None:
        self.opening.refuse(reason or self.closed())

    def gone(self) -> None:
        """Do nothing: the opening has ended before."""

    def output_lost(self, reason: ProcessError) -> None:
        """Do nothing: the channel will also report the end of the connection."""

    def congested(self) -> None:
        """Do nothing: stages write little."""

    def writable(self) -> None:
        """Do nothing: no stage calls `when_writable`."""

    def noticed(self, error: ProcessError) -> None:
        """Do nothing: only datagrams have such errors."""


class Opening:
    """Hands one connection through STAGES.

    After the last stage, OPENED is called with the channel and the input that no stage has used.  If the connection is
    refused, the opening closes it and calls REFUSED with the error.  After `abort` neither is called.
    """

    def __init__(
        self,
        stages: Iterable[Stage],
        reactor: INetprocReactor,
        limits: Limits,
        *,
        opened: Callable[[Channel, bytes], None],
        refused: Callable[[NetprocError], None],
    ) -> None:
        self._stages = deque(stages)
        self._reactor = reactor
        self._limits = limits
        self._opened = opened
        self._refused = refused
        self._stage: Stage | None = None
        self._timer: IDelayedCall | None = None
        #: The channel that is closed when the connection is refused.  A stage may replace it with one above it.  It is deleted
        #: when the opening is over, because the two refer to each other.
        self.channel: Channel
        #: Whether the connection is open, refused or given up.
        self.over = False

    def go_on(self, channel: Channel, unread: bytes = b"", *, detour: Iterable[Stage] = ()) -> None:
        """Hand CHANNEL to the next stage, with UNREAD, the input that no stage has used.

        The stages of DETOUR run before the remaining ones.
        """
        if self.over:
            return
        self.channel = channel
        self._stop_waiting()
        self._stages.extendleft(reversed(list(detour)))
        stage = self._stage = self._stages.popleft() if self._stages else None
        try:
            if stage is None:
                self._end()
                self._opened(channel, unread)
            else:
                self._begin(stage, unread)
        except Exception as error:
            if stage is not None and self.over:
                raise  # the error is from code that already has the connection
            if not isinstance(error, NetprocError):
                log.failure("Opening a connection raised")
                error = ProcessError(None, f"cannot open the connection: {escape(repr(error))}")
            self._give_up(channel if self.over else self.channel, error)

    def _begin(self, stage: Stage, unread: bytes) -> None:
        stage.opening = self
        self.channel.hand_to(stage)
        if stage.deadline is not None:
            self._timer = self._reactor.callLater(stage.deadline.left(), self._too_late)
        stage.begin(unread)

    def refuse(self, error: NetprocError) -> None:
        """Close the connection in order, because of ERROR."""
        if not self.over:
            self._give_up(self.channel, error)

    def abort(self) -> None:
        """Close the connection at once: the caller does not need it any more."""
        if not self.over:
            channel = self.channel
            self._end()
            channel.abort()

    def _too_late(self) -> None:
        self._timer = None
        stage = self._stage
        assert stage is not None and stage.deadline is not None
        self.refuse(stage.too_late(stage.deadline.seconds))

    def _give_up(self, channel: Channel, error: NetprocError) -> None:
        if not self.over:
            self._end()
        # In order, because a reset could destroy data that the peer has not read yet.
        channel.close(self._limits.flush_timeout, self._limits.linger_timeout)
        self._refused(error)

    def _end(self) -> None:
        self.over = True
        del self.channel
        self._stop_waiting()
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.cancel()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
