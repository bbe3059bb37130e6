"""core/limits.py: the checks of single bounds."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessArgumentError
from netproc.core.limits import check_seconds, check_size


class CheckTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        self.assertEqual([1, 0.5], [check_seconds("x", value) for value in (1, 0.5)])
        for value in (0, -1, "1", True, None, math.nan):
            error = self.assertRaises(ProcessArgumentError, check_seconds, "x", value)
            self.assertEqual(f"x: {value!r} is not a positive number of seconds", str(error))
        error = self.assertRaises(ProcessArgumentError, check_seconds, "x", math.inf)
        self.assertEqual("x: every wait has an end: not infinite", str(error))

    def test_size(self) -> None:
        self.assertEqual([0, 7], [check_size("x", value) for value in (0, 7)])
        for value in (-1, 1.5, "1", True, None):
            error = self.assertRaises(ProcessArgumentError, check_size, "x", value)
            self.assertEqual(f"x: {value!r} is not a number of bytes", str(error))
