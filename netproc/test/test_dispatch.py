"""net/dispatch.py."""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netproc.net.dispatch import Dispatch


class Transport:
    """Records when it is flushed and lost."""

    def __init__(self, log: list[str], name: str, error: Exception | None = None) -> None:
        self.log = log
        self.name = name
        self.error = error

    def flush(self) -> None:
        self.log.append(self.name)
        if self.error is not None:
            raise self.error

    def connectionLost(self, reason: Failure) -> None:
        self.log.append(f"{self.name} lost: {reason.getErrorMessage()}")

    def logPrefix(self) -> str:
        return self.name


class DispatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.log: list[str] = []
        self.dispatch = Dispatch()

    def test_what_was_written_is_flushed_in_order_when_the_dispatch_ends(self) -> None:
        def callback(result: str) -> str:
            self.dispatch.written += [Transport(self.log, "one"), Transport(self.log, "two")]
            self.log.append("callback")
            return result

        self.assertEqual("done", self.dispatch.run(callback, "done"))
        self.assertEqual(["callback", "one", "two"], self.log)
        self.assertFalse(self.dispatch.running)

    def test_a_dispatch_that_fails_is_flushed_too(self) -> None:
        def callback() -> None:
            self.dispatch.written.append(Transport(self.log, "one"))
            raise LookupError

        self.assertRaises(LookupError, self.dispatch.run, callback)
        self.assertEqual((["one"], False), (self.log, self.dispatch.running))

    def test_one_that_fails_is_lost_and_the_others_are_flushed(self) -> None:
        bad = Transport(self.log, "bad", LookupError("broken"))
        for gather in (False, True):
            self.log.clear()
            transports = [bad, Transport(self.log, "good")]
            if gather:
                self.dispatch.gathered += transports
                self.dispatch.flush_gathered()
            else:
                self.dispatch.run(lambda made=transports: self.dispatch.written.extend(made))
            self.assertEqual(["bad", "bad lost: broken", "good"], self.log)
            self.assertEqual(1, len(self.flushLoggedErrors(LookupError)))

    def test_what_flushing_writes_is_for_later(self) -> None:
        later = Transport(self.log, "later")
        first = Transport(self.log, "first")
        flush = first.flush
        first.flush = lambda: (flush(), self.dispatch.written.append(later))  # type: ignore[assignment]
        self.dispatch.run(lambda: self.dispatch.written.append(first))
        self.assertEqual(["first"], self.log)
        self.dispatch.run(lambda: None)
        self.assertEqual(["first", "later"], self.log)
