"""The output of a process: what `send` takes, how much may be pending, who waits for it to be written.

`process.py` hands in what the program sends; the channel writes it and tells how that goes on.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed

from ..core.errors import ProcessError, without_traceback
from ..core.flow import OutputFlow
from ..core.limits import DEFAULT_LIMITS, Limits
from ..net.channel import Channel, Pieces
from .input import CONGESTED, FILTERING
from .waiting import Waiters

if TYPE_CHECKING:
    from .process import NetworkProcess


class Output:
    """The sending half of one process."""

    __slots__ = (
        "_by_filter",
        "_cap",
        "_drains",
        "_early",
        "_flow",
        "_lost",
        "_process",
        "channel",
        "eof",
        "sent",
    )

    def __init__(self, process: NetworkProcess) -> None:
        self._process = process
        self._cap = process.limits.send_cap
        self.channel: Channel | None = None
        # Sent before there is a channel.
        self._early: Pieces | None = None
        #: Has `send_eof` been called?
        self.eof = False
        self._lost: ProcessError | None = None
        #: Bytes that were sent, with those that are pending.
        self.sent = 0
        # Whose output it is: one party's since nothing was pending, or more has to be known.
        self._by_filter = False
        self._flow: OutputFlow | None = None
        self._drains: Waiters[None] | None = None

    @property
    def pending(self) -> int:
        """Bytes that the system has not got yet."""
        output = self._early if self.channel is None else self.channel.output
        return 0 if output is None else output.pending

    def send(self, data: bytes) -> None:
        """Queue DATA; what is refused is refused whole."""
        if self._lost is not None:
            raise without_traceback(self._lost)
        if self.eof:
            raise ProcessError(errno.EPIPE, "the sending side is shut")
        channel = self.channel
        if channel is None:
            self._send_early(data)
            return
        by_filter = self._process._input.gate & FILTERING != 0
        pending = channel.output.pending
        if not pending:
            # All before is written: whose it was does not matter any more.
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
        """There is no channel yet."""
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
            f"{pending} bytes are pending and {len(data)} more are over the limit of {self._cap}",
        )

    def _count(self, pending: int, data: bytes, by_filter: bool) -> None:
        """Note whose DATA is, since more is PENDING."""
        if self._flow is None:
            self._flow = OutputFlow()
            self._flow.add(pending, self._by_filter, 0)
        self._flow.add(len(data), by_filter, pending)

    def _filter_pending(self) -> int:
        """How much of what is pending the filter sent."""
        pending = self.pending
        if self._flow is not None:
            return self._flow.filter_pending(pending)
        return pending if self._by_filter else 0

    def send_eof(self) -> None:
        """Shut the sending side behind what is pending."""
        if self.eof:
            return
        if self.channel is not None:
            self.channel.write_eof()
        self.eof = True

    def connected(self, channel: Channel) -> None:
        """There is a channel: send what was sent early."""
        self.channel = channel
        limits = self._process.limits
        if limits is not DEFAULT_LIMITS:
            channel.set_marks(limits.high_water, limits.writable_below)
        early, self._early = self._early, None
        for data in early or ():
            try:
                channel.write(data)
            except ProcessError as error:
                # A packet that the system refuses, as `send` would have said; the others go out.
                self.sent -= len(data)
                self._process._lifecycle.noticed(error)
                self._end_drains(error)
        if self.eof:
            channel.write_eof()
        if self._drains:
            channel.when_writable()

    def drain(self) -> Deferred[None]:
        """Fires when less than the low-water mark is pending, fails when that cannot be."""
        if self._lost is not None:
            return fail(without_traceback(self._lost))
        pending = self.pending
        if not pending or pending < self._process.limits.writable_below:
            return succeed(None)
        if self.channel is not None:
            self.channel.when_writable()
        self._drains = self._drains or Waiters()
        return self._drains.add()

    def set_marks(self, limits: Limits) -> None:
        """The limits have changed to LIMITS."""
        self._cap = limits.send_cap
        if self.channel is None:
            return
        self.channel.set_marks(limits.high_water, limits.writable_below)
        if self.pending < limits.writable_below:
            # The channel may have nothing more to write for a long time.
            self.writable()

    # -- told by the channel ------------------------------------------------------------------

    def congested(self) -> None:
        """More than the high-water mark is pending: if the filter sent that, its input waits."""
        limits, reading = self._process.limits, self._process._input
        assert self.channel is not None
        mine = self._filter_pending()
        if mine > limits.high_water:
            self.channel.when_writable()
            reading.hold(CONGESTED)
        elif mine < limits.writable_below:
            reading.release(CONGESTED)

    def hold_if_much(self) -> None:
        """The filter may go on within one event, before anything is written: if what it has sent is
        half of what may be pending, its input waits.
        """
        pending = self.pending
        if self.channel is not None and 2 * pending > self._process.limits.send_cap:
            self.congested()

    def writable(self) -> None:
        """Less than the low-water mark is pending."""
        self._process._input.release(CONGESTED)
        self._end_drains(None)

    def lost(self, reason: ProcessError | None) -> None:
        """Nothing can be written any more; without a REASON everything has been written."""
        self._lost = self._lost or reason
        self._process._input.release(CONGESTED)
        self._end_drains(self._lost)

    def ended(self, reason: ProcessError | None) -> None:
        """The channel is gone; without a REASON everything has been written."""
        self.channel = None
        self._early = None
        self.lost(reason)

    def give_up_early(self, reason: ProcessError | None) -> int:
        """There never will be a channel, because of REASON; return how many bytes waited for one."""
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

    def detach(self) -> None:
        """Let go of the process: everything is over."""
        del self._process
