"""core/limits.py: what may be a bound or a time limit."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessArgumentError
from netproc.core.limits import (
    Limits,
    check_patience,
    check_seconds,
    check_seconds_or_zero,
    check_size,
)

#: Larger than any float.
HUGE = 10**400
ENDLESS = "x: the number of seconds must be finite"


class CheckTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        self.assertEqual([1, 0.5], [check_seconds("x", value) for value in (1, 0.5)])
        for value in (0, -1, "1", True, None, math.nan):
            error = self.assertRaises(ProcessArgumentError, check_seconds, "x", value)
            self.assertEqual(f"x: {value!r} is not a positive number of seconds", str(error))

    def test_seconds_or_zero(self) -> None:
        self.assertEqual([0, 0.5], [check_seconds_or_zero("x", value) for value in (0, 0.5)])
        for value in (-1, "1", False, None, math.nan):
            error = self.assertRaises(ProcessArgumentError, check_seconds_or_zero, "x", value)
            expected = f"x: {value!r} is neither 0 nor a positive number of seconds"
            self.assertEqual(expected, str(error))

    def test_patience(self) -> None:
        for value in (None, 0, -1.5, 3):
            self.assertEqual(value, check_patience("x", value))
        for value in ("1", False, [], math.nan):
            error = self.assertRaises(ProcessArgumentError, check_patience, "x", value)
            self.assertEqual(f"x: {value!r} is neither None nor a number of seconds", str(error))

    def test_no_wait_is_endless(self) -> None:
        for check in (check_seconds, check_seconds_or_zero, check_patience):
            for value in (math.inf, HUGE):
                error = self.assertRaises(ProcessArgumentError, check, "x", value)
                self.assertEqual(ENDLESS, str(error))
        self.assertRaises(ProcessArgumentError, check_patience, "x", -HUGE)

    def test_size(self) -> None:
        self.assertEqual([0, 7], [check_size("x", value) for value in (0, 7)])
        for value in (-1, 1.5, "1", True, None):
            error = self.assertRaises(ProcessArgumentError, check_size, "x", value)
            self.assertEqual(f"x: {value!r} is not a number of bytes", str(error))


class LimitsTests(SynchronousTestCase):
    def test_every_field_is_checked(self) -> None:
        for name in Limits.__dataclass_fields__:
            for value in ("x", None, True, -1, math.nan, -(10**5000)):
                error = self.assertRaises(ProcessArgumentError, Limits, **{name: value})
                self.assertEqual(name, error.keyword)

    def test_what_may_be_zero(self) -> None:
        for name in ("high_water", "low_water", "send_cap", "flush_timeout", "linger_timeout"):
            self.assertEqual(0, getattr(Limits(**{name: 0}), name))

    def test_nothing_is_less_than_a_low_water_mark_of_zero(self) -> None:
        self.assertEqual([1, 1, 7], [Limits(low_water=n).writable_below for n in (0, 1, 7)])
