"""The output of a process: what `send` queues, how much may be pending, and who waits until it is written.

`process.py` hands in what the program sends.  The channel (`net/channel.py`) writes it; its reports on that come here
through `lifecycle.py` (at run time).  While the peer does not read what the filter has sent, `input.py` is held:

* The channel calls `congested` when a dispatch has ended and more than the high-water mark is pending; it does not matter what has sent it.
* A filter that sends much in one dispatch calls `hold_if_much` between two messages, since nothing is written before the
  dispatch ends.
* The channel calls `writable`, once after each `when_writable`, when less than the low-water mark is pending.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed

from ..core.errors import ProcessError, without_traceback
from ..core.flow import OutputFlow
from ..core.limits import DEFAULT_LIMITS, Limits
from ..net.channel import Channel, Pieces
from .input import CONGESTED, FILTERING, Input
from .waiting import Waiters


class Output:
    """The sending half of one process."""

    __slots__ = (
        "_by_filter",
        "_cap",
        "_channel",
        "_drains",
        "_early",
        "_flow",
        "_input",
        "_limits",
        "_lost",
        "eof",
        "sent",
    )

    def __init__(self, input: Input, limits: Limits) -> None:
        # Paused while the filter has sent more than the peer reads.
        self._input = input
        self._limits = limits
        self._cap = limits.send_cap
        self._channel: Channel | None = None
        # What was sent before there is a channel.
        self._early: Pieces | None = None
        #: Whether `send_eof` has been called.
        self.eof = False
        self._lost: ProcessError | None = None
        #: The number of sent bytes, pending ones included.
        self.sent = 0
        # While only one side, the filter or all other code, has sent since nothing was pending, `_by_filter` says which.
        # When the senders mix, there is a `_flow`.
        self._by_filter = False
        self._flow: OutputFlow | None = None
        self._drains: Waiters[None] | None = None

    @property
    def pending(self) -> int:
        """The number of bytes that have not been passed to the system yet."""
        output = self._early if self._channel is None else self._channel.output
        return 0 if output is None else output.pending

    def send(self, data: bytes) -> None:
        """Queue DATA.  If it is refused, nothing of it is queued."""
        if self._lost is not None:
            raise without_traceback(self._lost)
        if self.eof:
            raise ProcessError(errno.EPIPE, "the sending side is shut")
        channel = self._channel
        if channel is None:
            self._send_early(data)
            return
        # The bit itself, since this runs for every message: a property would be one more call.
        by_filter = self._input.gate & FILTERING != 0
        pending = channel.output.pending
        if not pending:
            # Everything before is written, so its sender does not matter any more.
            self._flow = None
            self._by_filter = by_filter
        else:
            if pending + len(data) > self._cap:
                raise self._too_much(pending, data)
            if self._flow is not None or by_filter is not self._by_filter:
                self._count(pending, data, by_filter)
        try:
            channel.write(data)
        except ProcessError:
            # A packet that the system refuses.
            if self._flow is not None:
                self._flow.uncount(len(data))
            raise
        self.sent += len(data)

    def _send_early(self, data: bytes) -> None:
        """Queue DATA until there is a channel."""
        if self._early is None:
            self._early = Pieces()
        pending = self._early.pending
        if pending and pending + len(data) > self._cap:
            raise self._too_much(pending, data)
        self._early.append(data)
        self.sent += len(data)

    def _too_much(self, pending: int, data: bytes) -> ProcessError:
        return ProcessError(
            errno.ENOBUFS,
            f"{pending} bytes are pending, and {len(data)} more would exceed the limit of {self._cap}",
        )

    def _count(self, pending: int, data: bytes, by_filter: bool) -> None:
        """Note the sender of DATA, while PENDING bytes before it are not written."""
        if self._flow is None:
            self._flow = OutputFlow()
            self._flow.add(pending, self._by_filter, 0)
        self._flow.add(len(data), by_filter, pending)

    def _filter_pending(self) -> int:
        """Return how many of the pending bytes the filter has sent."""
        pending = self.pending
        if self._flow is not None:
            return self._flow.filter_pending(pending)
        return pending if self._by_filter else 0

    def send_eof(self) -> None:
        """Shut the sending side after what is pending."""
        if self.eof:
            return
        if self._channel is not None:
            self._channel.write_eof()
        self.eof = True

    def connected(self, channel: Channel, noticed: Callable[[ProcessError], None]) -> None:
        """Write to CHANNEL what was sent before, and everything from now on.

        NOTICED is called with the error of each packet that the system refuses.
        """
        self._channel = channel
        limits = self._limits
        if limits is not DEFAULT_LIMITS:
            channel.set_marks(limits.high_water, limits.writable_below)
        early, self._early = self._early, None
        for data in early or ():
            try:
                channel.write(data)
            except ProcessError as error:
                # The system refuses this packet; without the wait, `send` would have raised this error.
                self.sent -= len(data)
                noticed(error)
                self._end_drains(error)
        if self.eof:
            channel.write_eof()
        if self._drains:
            channel.when_writable()

    def switch(self, channel: Channel) -> None:
        """Write to CHANNEL from now on."""
        self._channel = channel

    def drain(self) -> Deferred[None]:
        """Return a Deferred that fires when less than the low-water mark is pending, and fails if the output is lost."""
        if self._lost is not None:
            return fail(without_traceback(self._lost))
        pending = self.pending
        if not pending or pending < self._limits.writable_below:
            return succeed(None)
        if self._channel is not None:
            self._channel.when_writable()
        self._drains = self._drains or Waiters()
        return self._drains.add()

    def set_marks(self, limits: Limits) -> None:
        """Use LIMITS from now on."""
        self._limits = limits
        self._cap = limits.send_cap
        if self._channel is None:
            return
        self._channel.set_marks(limits.high_water, limits.writable_below)
        if self.pending < limits.writable_below:
            # The channel reports this only when it next writes, which may be much later.
            self.writable()

    # -- called by the lifecycle --------------------------------------------------------------

    def congested(self) -> None:
        """Hold input if more than the high-water mark is pending and the filter has sent it."""
        limits = self._limits
        assert self._channel is not None
        mine = self._filter_pending()
        if mine > limits.high_water:
            self._channel.when_writable()
            self._input.hold(CONGESTED)
        elif mine < limits.writable_below:
            self._input.release(CONGESTED)

    def hold_if_much(self) -> None:
        """Hold input if the filter has filled half of the send cap.

        A filter may use many messages within one event, before anything is written.
        """
        pending = self.pending
        if self._channel is not None and 2 * pending > self._cap:
            self.congested()

    def writable(self) -> None:
        """Release input and `drain`: less than the low-water mark is pending."""
        self._input.release(CONGESTED)
        self._end_drains(None)

    def lost(self, reason: ProcessError | None) -> None:
        """Note that nothing can be written any more; without a REASON everything has been written."""
        self._lost = self._lost or reason
        self._input.release(CONGESTED)
        self._end_drains(self._lost)

    def ended(self, reason: ProcessError | None) -> None:
        """Drop the channel, which is gone; without a REASON everything has been written."""
        self._channel = None
        self._early = None
        self.lost(reason)

    def give_up_early(self, reason: ProcessError | None) -> int:
        """Return how many bytes still wait for a channel; because of REASON there will be none."""
        if self._early is None and not self._drains:
            return 0
        unsent = self.pending
        self.ended(reason or ProcessError(errno.ENOTCONN, "the process was never connected"))
        return unsent

    def _end_drains(self, error: ProcessError | None) -> None:
        if self._drains is None:
            return
        if error is None:
            self._drains.fire(None)
        else:
            self._drains.fail(without_traceback(error))
