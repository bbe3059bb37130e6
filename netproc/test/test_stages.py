"""net/opening/stages.py: which stage has the connection, and that an opening ends once."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import NetprocError, ProcessError
from netproc.core.limits import DEFAULT_LIMITS
from netproc.net.opening.stages import Deadline, Opening, Stage
from netproc.test.support.fakes import FakeChannel


class Waits(Stage):
    """A stage that goes on when the test calls it."""

    waiting_for = "word of the test"

    def __init__(self, deadline: Deadline | None = None) -> None:
        self.deadline = deadline
        self.unread: list[bytes] = []
        self.receiver_at_begin: Any = None
        self.cancelled = 0

    def begin(self, unread: bytes) -> None:
        self.unread.append(unread)
        self.receiver_at_begin = self.channel.receiver  # type: ignore[attr-defined]

    def cancel(self) -> None:
        self.cancelled += 1


class Raises(Stage):
    waiting_for = "nothing"

    def begin(self, unread: bytes) -> None:
        raise ZeroDivisionError("a stage that is broken")


class OpeningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.channel = FakeChannel()
        self.ends: list[Any] = []

    def opening(self, *stages: Stage) -> Opening:
        made = Opening(
            stages,
            self.clock,
            DEFAULT_LIMITS,
            opened=lambda channel, unread: self.ends.append((channel, unread)),
            refused=self.ends.append,
        )
        made.go_on(self.channel)
        return made

    def refusal(self) -> NetprocError:
        (error,) = self.ends
        self.assertIsInstance(error, NetprocError)
        return error

    def test_without_stages(self) -> None:
        self.assertTrue(self.opening().over)
        self.assertEqual([(self.channel, b"")], self.ends)

    def test_the_stage_is_the_receiver_before_it_begins(self) -> None:
        first, second = Waits(), Waits()
        self.opening(first, second)
        self.assertIs(first, first.receiver_at_begin)
        above = FakeChannel("above")
        first.opening.go_on(above, b"rest")
        self.assertIs(second, second.receiver_at_begin)
        self.assertEqual(([b""], [b"rest"]), (first.unread, second.unread))
        second.opening.go_on(above, b"more")
        self.assertEqual([(above, b"more")], self.ends)
        self.assertEqual((0, 0), (first.cancelled, second.cancelled))

    def test_a_detour_comes_first(self) -> None:
        first, detour, last = Waits(), Waits(), Waits()
        opening = self.opening(first, last)
        opening.go_on(self.channel, b"", detour=[detour, first])
        opening.go_on(self.channel, b"d")
        self.assertEqual(([b"", b"d"], []), (first.unread, last.unread))
        opening.go_on(self.channel, b"f")
        self.assertEqual([b"f"], last.unread)

    def test_a_refusal_closes_in_order_and_is_told_once(self) -> None:
        stage = Waits()
        opening = self.opening(stage, Waits())
        error = ProcessError(None, "no")
        opening.refuse(error)
        self.assertEqual(([error], ["close"], 1), (self.ends, self.channel.ending, stage.cancelled))
        opening.refuse(error)
        opening.abort()
        opening.go_on(self.channel)
        stage.lost(None)
        stage.gone()
        self.assertEqual(([error], ["close"]), (self.ends, self.channel.ending))

    def test_an_abort_tells_nobody(self) -> None:
        stage = Waits()
        opening = self.opening(stage)
        opening.abort()
        self.assertEqual(([], ["abort"], 1), (self.ends, self.channel.ending, stage.cancelled))

    def test_what_a_stage_put_above_is_closed(self) -> None:
        opening = self.opening(Waits())
        above = opening.channel = FakeChannel("above")
        opening.refuse(ProcessError(None, "no"))
        self.assertEqual((["close"], []), (above.ending, self.channel.ending))

    def test_the_peer_goes(self) -> None:
        self.opening(Waits())
        self.channel.receiver.eof()
        self.assertEqual("connection closed before the word of the test", str(self.refusal()))

    def test_the_connection_breaks(self) -> None:
        self.opening(Waits())
        reason = ProcessError(errno.ECONNRESET, "reset")
        self.channel.receiver.lost(reason)
        self.assertIs(reason, self.refusal())

    def test_a_deadline(self) -> None:
        deadline = Deadline(self.clock, 3)
        first, second = Waits(deadline), Waits(deadline)
        opening = self.opening(first, second)
        self.clock.advance(2)
        opening.go_on(self.channel)
        self.clock.advance(0.5)
        self.assertEqual([], self.ends)
        self.clock.advance(0.5)
        error = self.refusal()
        self.assertEqual("no word of the test within 3 s", str(error))
        self.assertEqual(1, second.cancelled)

    def test_a_deadline_ends_with_the_stage(self) -> None:
        self.opening(Waits(Deadline(self.clock, 3))).go_on(self.channel)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_a_stage_that_raises(self) -> None:
        self.opening(Raises())
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertIn("ZeroDivisionError", str(self.refusal()))
        self.assertEqual(["close"], self.channel.ending)

    def test_who_gets_it_raises(self) -> None:
        def opened(channel: object, unread: bytes) -> None:
            raise ProcessError(errno.EOPNOTSUPP, "this cannot be")

        opening = Opening([], self.clock, DEFAULT_LIMITS, opened=opened, refused=self.ends.append)
        opening.go_on(self.channel)
        self.assertEqual("this cannot be", str(self.refusal()))
        self.assertEqual(["close"], self.channel.ending)

    def test_an_exception_of_who_has_it_is_no_refusal(self) -> None:
        def opened(channel: object, unread: bytes) -> None:
            self.ends.append("opened")

        class HandsOnAndRaises(Stage):
            def begin(self, unread: bytes) -> None:
                self.opening.go_on(self.channel)
                raise ZeroDivisionError

        opening = Opening(
            [HandsOnAndRaises()],
            self.clock,
            DEFAULT_LIMITS,
            opened=opened,
            refused=self.ends.append,
        )
        self.assertRaises(ZeroDivisionError, opening.go_on, self.channel)
        self.assertEqual((["opened"], []), (self.ends, self.channel.ending))
