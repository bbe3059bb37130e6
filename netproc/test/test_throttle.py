"""core/throttle.py."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.throttle import Throttle, not_logged


class ThrottleTests(SynchronousTestCase):
    def test_one_a_second(self) -> None:
        throttle = Throttle()
        times = (0.0, 0.1, 0.9, 1.0, 5.0, 5.5, 6.0)
        self.assertEqual([0, None, None, 2, 0, None, 1], [throttle.passes(now) for now in times])

    def test_more_than_one_a_second(self) -> None:
        throttle = Throttle(2)
        times = (0.0, 0.1, 0.2, 0.9, 1.0, 1.1, 1.2, 9.0)
        self.assertEqual([0, 0, None, None, 2, 0, None, 1], [throttle.passes(now) for now in times])

    def test_those_that_no_line_tells_of(self) -> None:
        throttle = Throttle()
        for now in (0.0, 0.1, 0.2):
            throttle.passes(now)
        self.assertEqual([2, 0], [throttle.suppressed(), throttle.suppressed()])

    def test_what_a_line_adds(self) -> None:
        self.assertEqual(["", " (3 more not logged)"], [not_logged(0), not_logged(3)])
