"""Stand-ins for what netproc works with."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from netproc.test.support.base import reactor


class VirtualTime(Clock):
    """The reactor, but with timers that run when the test lets time pass."""

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)
