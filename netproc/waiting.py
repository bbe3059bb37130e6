"""Deferreds that wait for something to happen, or for their time to be up.

`process.py` keeps those of accept_output, the table's are those of accept_process_output.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from .net.reactor import INetprocReactor


class Waiters:
    """Who waits for output."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[Deferred[bool]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, reactor: INetprocReactor, timeout: float | None) -> Deferred[bool]:
        """Fires with True when there is output, with False after TIMEOUT seconds.

        A TIMEOUT of 0 or less looks once at what is there.
        """
        timer: list[IDelayedCall] = []
        waiter: Deferred[bool] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)

        def too_late() -> None:
            timer.clear()
            self._waiting.remove(waiter)
            waiter.callback(False)

        def done(result: object) -> object:
            if timer:
                timer[0].cancel()
            return result

        def look_once() -> None:
            # The reactor looks at its descriptors between two turns.
            timer[:] = [reactor.callLater(0, too_late)]

        if timeout is not None:
            first = too_late if timeout > 0 else look_once
            timer.append(reactor.callLater(max(0, timeout), first))
        return waiter.addBoth(done)

    def answer(self, result: bool) -> None:
        """Fire all who wait."""
        waiting, self._waiting[:] = self._waiting[:], []
        for waiter in waiting:
            waiter.callback(result)
