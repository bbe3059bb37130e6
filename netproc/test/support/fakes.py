"""Stand-ins for the reactor and for channels."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.task import Clock

from netproc.core.errors import ProcessError
from netproc.test.support.base import reactor


class VirtualTime(Clock):
    """The reactor, except that its timers run when the test advances its clock."""

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class FakeChannel:
    """A channel that only records calls, and keeps the data that it should write."""

    #: The longest packet that it accepts, and whether it accepts packets.
    longest = 1000
    refuses = False

    def __init__(self, name: str = "channel") -> None:
        self.name = name
        self.receiver: Any = None
        self.output = self
        self.pending = 0
        #: How often it was asked to call `writable`, and the last size below which it was to call it.
        self.asked = 0
        self.low = 0
        #: The names of the calls that ended it.
        self.ending: list[str] = []

    def hand_to(self, receiver: Any) -> None:
        self.receiver = receiver

    def write(self, data: bytes) -> None:
        if self.refuses or len(data) > self.longest:
            raise ProcessError(errno.EMSGSIZE, "too long")
        self.pending += len(data)

    def when_writable(self) -> None:
        self.asked += 1

    def set_marks(self, high: int, low: int) -> None:
        self.low = low

    def close(self, flush: float, linger: float) -> None:
        self.ending.append("close")

    def abort(self) -> None:
        self.ending.append("abort")
