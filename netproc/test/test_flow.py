"""core/flow.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core import flow
from netproc.core.flow import OutputFlow


class OutputFlowTests(SynchronousTestCase):
    def test_nothing_sent(self) -> None:
        self.assertEqual(0, OutputFlow().filter_pending(0))

    def test_only_the_filter_sends(self) -> None:
        sent = OutputFlow()
        sent.add(100, True, 0)
        sent.add(50, True, 100)
        self.assertEqual((150, 120), (sent.sent, sent.filter_pending(120)))

    def test_only_others_send(self) -> None:
        sent = OutputFlow()
        sent.add(100, False, 0)
        self.assertEqual(0, sent.filter_pending(100))

    def test_others_before_and_behind(self) -> None:
        sent = OutputFlow()
        sent.add(1000, False, 0)
        sent.add(10, True, 1000)
        sent.add(500, False, 1010)
        self.assertEqual(10, sent.filter_pending(1510))
        self.assertEqual(4, sent.filter_pending(504))
        self.assertEqual(0, sent.filter_pending(500))

    def test_what_was_not_sent_after_all(self) -> None:
        sent = OutputFlow()
        sent.add(100, True, 0)
        sent.add(50, True, 100)
        sent.uncount(50)
        self.assertEqual((100, 100), (sent.sent, sent.filter_pending(100)))

    def test_too_many_changes_forget_the_oldest(self) -> None:
        self.patch(flow, "MOST_CHANGES", 4)
        sent = OutputFlow()
        for index in range(20):
            sent.add(1, index % 2 == 0, index)
        self.assertLessEqual(len(sent._older or ()), 6)
        self.assertLess(sent.filter_pending(20), 10)
        self.assertEqual(1, sent.filter_pending(2))

    @given(st.lists(st.tuples(st.integers(1, 50), st.booleans(), st.integers(0, 80))))
    def test_counts_like_one_who_notes_every_byte(self, sends: list[tuple[int, bool, int]]) -> None:
        sent = OutputFlow()
        by_byte: list[bool] = []
        pending = 0
        for size, by_filter, written in sends:
            sent.add(size, by_filter, pending)
            by_byte += [by_filter] * size
            pending = max(0, pending + size - written)
            expected = sum(by_byte[len(by_byte) - pending :])
            self.assertEqual(expected, sent.filter_pending(pending))
