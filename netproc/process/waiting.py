"""Deferreds that wait for the same thing to happen.

`lifecycle.py` uses them for the end of a process, `output.py` for written output, `process.py` and `tables.py` for
delivered input, with a time limit.  `making/maker.py` and `making/server.py` use `in_time` and `cancellable` to wait for
look-ups and endpoints.
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
    """The Deferreds that wait for one thing."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        # In the order in which they came.
        self._waiting: dict[Deferred[T], None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self) -> Deferred[T]:
        """Return a new Deferred that waits; cancelling it removes it."""
        waiter: Deferred[T] = Deferred(self._remove)
        self._waiting[waiter] = None
        return waiter

    def add_with_timeout(
        self, timeout: float | None, too_late: T, reactor: INetprocReactor
    ) -> Deferred[T]:
        """Return a new Deferred that waits, and fires with TOO_LATE after TIMEOUT seconds.

        If TIMEOUT is 0 or less, the Deferred waits until the reactor has looked at its descriptors once.
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
            # As in `look`, but with a timer that can be cancelled.
            timer[:] = [reactor.callLater(0, time_is_up)]

        if timeout is not None:
            first = time_is_up if timeout > 0 else look_once
            timer.append(reactor.callLater(max(0, timeout), first))
        return waiter.addBoth(done)

    def _remove(self, gone: Deferred[T]) -> None:
        self._waiting.pop(gone, None)

    def fire(self, result: T) -> None:
        """Fire all with RESULT."""
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            # A callback of an earlier one may have cancelled this one.
            if not waiter.called:
                waiter.callback(result)

    def fail(self, error: Exception) -> None:
        """Fail all with ERROR."""
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            if not waiter.called:
                waiter.errback(error)


def cancellable(asked: Deferred[T]) -> Deferred[T]:
    """Return a Deferred for the result of ASKED.

    Cancelling it cancels ASKED too, and it fails with CancelledError.  The Deferreds of Twisted's endpoints fail with
    other errors then.
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
    """Wait until REACTOR has looked at its descriptors once, which it does between two turns."""
    for _ in range(2):
        await deferLater(reactor, 0, lambda: None)


async def in_time(
    deferred: Deferred[T], seconds: float, reactor: INetprocReactor, complaint: str
) -> T:
    """Return the result of DEFERRED; if it has none within SECONDS, raise ProcessError ETIMEDOUT with COMPLAINT.

    The error is the same for every DEFERRED.  Those of Twisted's endpoints fail with other errors when they are cancelled.
    """

    def too_late(result: object, _: float) -> object:
        if isinstance(result, Failure):
            raise ProcessError(errno.ETIMEDOUT, complaint) from None
        return result

    if not deferred.called:
        deferred.addTimeout(seconds, reactor, too_late)
    return await deferred
