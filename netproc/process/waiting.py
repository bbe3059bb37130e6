"""Deferreds that wait for the same thing to happen.

`lifecycle.py` keeps those that wait for the end, `output.py` for output to be written, `process.py` and `tables.py`
for input to be delivered, which may have a time limit.  `making/client.py` and `making/server.py` use `in_time` and `cancellable` to
wait for look-ups and endpoints.
"""

from __future__ import annotations

import errno
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from ..core.errors import ProcessError
from ..net.interfaces import INetprocReactor

T = TypeVar("T")


class Waiters(Generic[T]):
    """Who waits; nearly always nobody."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        # In the order in which they came.
        self._waiting: dict[Deferred[T], None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self) -> Deferred[T]:
        """One more; cancelling it takes it away again."""
        waiter: Deferred[T] = Deferred(self._remove)
        self._waiting[waiter] = None
        return waiter

    def add_with_timeout(
        self, timeout: float | None, too_late: T, reactor: INetprocReactor
    ) -> Deferred[T]:
        """One more, which fires with TOO_LATE after TIMEOUT seconds.

        A TIMEOUT of 0 or less looks once at what is there.
        """
        timer: list[IDelayedCall] = []
        waiter = self.add()

        def time_is_up() -> None:
            timer.clear()
            self._remove(waiter)
            waiter.callback(too_late)

        def done(result: T) -> T:
            if timer:
                timer[0].cancel()
            return result

        def look_once() -> None:
            # As in `look`, but nothing may be left behind when it has come.
            timer[:] = [reactor.callLater(0, time_is_up)]

        if timeout is not None:
            first = time_is_up if timeout > 0 else look_once
            timer.append(reactor.callLater(max(0, timeout), first))
        return waiter.addBoth(done)

    def _remove(self, gone: Deferred[T]) -> None:
        self._waiting.pop(gone, None)

    def fire(self, result: T) -> None:
        """It has happened."""
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            # One of them may have cancelled the next.
            if not waiter.called:
                waiter.callback(result)

    def fail(self, error: Exception) -> None:
        """It will not happen."""
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            if not waiter.called:
                waiter.errback(error)


def cancellable(asked: Deferred[T]) -> Deferred[T]:
    """The result of ASKED.  If it is cancelled, it cancels ASKED and fails with CancelledError; Twisted's endpoints
    fail with errors of their own.
    """

    def cancel(answer: Deferred[T]) -> None:
        answer.errback(CancelledError())
        asked.cancel()

    def failed(failure: Failure) -> None:
        if not answer.called:
            answer.errback(failure)

    def done(result: T) -> None:
        if not answer.called:
            answer.callback(result)

    answer: Deferred[T] = Deferred(cancel)
    asked.addCallbacks(done, failed)
    return answer


async def look(reactor: INetprocReactor) -> None:
    """Let REACTOR look at its descriptors once, which it does between two turns."""
    for _ in range(2):
        await deferLater(reactor, 0, lambda: None)


async def in_time(
    deferred: Deferred[T], seconds: float, reactor: INetprocReactor, complaint: str
) -> T:
    """The result of DEFERRED if it comes within SECONDS; otherwise ProcessError ETIMEDOUT with the
    COMPLAINT, whatever DEFERRED makes of being cancelled: endpoints of Twisted's have errors of their own.
    """

    def too_late(result: object, _: float) -> object:
        if isinstance(result, Failure):
            raise ProcessError(errno.ETIMEDOUT, complaint) from None
        return result

    if not deferred.called:
        deferred.addTimeout(seconds, reactor, too_late)
    return await deferred
