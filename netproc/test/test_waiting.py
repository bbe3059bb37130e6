"""process/waiting.py: several callers wait for the same process, and one of them changes something."""

from __future__ import annotations

import errno

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessError
from netproc.process.waiting import Waiters, in_time
from netproc.test.support.counting import growth


def _cancel(_: object, other: Deferred[int]) -> None:
    other.cancel()


class WaitersTests(SynchronousTestCase):
    def test_one_that_cancels_the_next(self) -> None:
        for succeeds in (True, False):
            waiters: Waiters[int] = Waiters()
            first, second, third = waiters.add(), waiters.add(), waiters.add()
            first.addBoth(_cancel, second)
            if succeeds:
                waiters.fire(1)
                self.assertEqual(1, self.successResultOf(third))
            else:
                waiters.fail(ProcessError(errno.EPIPE, "gone"))
                self.failureResultOf(third, ProcessError)
            self.failureResultOf(second, CancelledError)
            self.assertFalse(waiters)

    def test_each_of_many_goes_at_the_same_cost(self) -> None:
        def come_and_go(number: int) -> None:
            waiters: Waiters[int] = Waiters()
            for waiter in [waiters.add() for _ in range(number)]:
                waiter.addErrback(lambda _: None)
                waiter.cancel()
            self.assertFalse(waiters)

        self.assertLess(growth(come_and_go), 6)


class InTimeTests(SynchronousTestCase):
    def wait(self, deferred: Deferred[int]) -> Deferred[int]:
        self.clock = Clock()
        return Deferred.fromCoroutine(in_time(deferred, 2, self.clock, "too late"))

    def test_in_time(self) -> None:
        deferred: Deferred[int] = Deferred()
        waiting = self.wait(deferred)
        self.clock.advance(1.9)
        deferred.callback(3)
        self.assertEqual(3, self.successResultOf(waiting))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_too_late_whatever_cancelling_makes_of_it(self) -> None:
        def cancelled(deferred: Deferred[int]) -> None:
            deferred.errback(ZeroDivisionError())

        for canceller in (None, cancelled):
            waiting = self.wait(Deferred(canceller))
            self.clock.advance(2)
            error = self.failureResultOf(waiting, ProcessError).value
            self.assertEqual((errno.ETIMEDOUT, "too late"), (error.errno, str(error)))

    def test_too_late_but_it_came_all_the_same(self) -> None:
        waiting = self.wait(Deferred(lambda deferred: deferred.callback(4)))
        self.clock.advance(2)
        self.assertEqual(4, self.successResultOf(waiting))
