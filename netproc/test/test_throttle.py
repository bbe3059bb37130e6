"""core/throttle.py."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.throttle import Throttle


class ThrottleTests(SynchronousTestCase):
    def test_one_a_second(self) -> None:
        throttle = Throttle()
        times = (0.0, 0.1, 0.9, 1.0, 5.0, 5.5, 6.0)
        self.assertEqual([0, None, None, 2, 0, None, 1], [throttle.passes(now) for now in times])
