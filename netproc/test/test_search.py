"""core/search.py."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core import search
from netproc.core.search import NEAR, Answer


class Counting:
    """A pattern that counts how many characters it has looked at."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)
        self.looked_at = 0

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        self.looked_at += len(text) - start
        return self._pattern.search(text, start)


class AnswerTests(SynchronousTestCase):
    def answer(self, *pieces: str) -> Answer:
        made = Answer()
        for piece in pieces:
            made.feed(piece)
        return made

    def test_what_follows_begins_the_next_answer(self) -> None:
        answer = self.answer("on", "e.tw")
        end = re.compile(r"\.")
        self.assertEqual((4, "one."), (answer.find(end, False), answer.take(4)))
        self.assertEqual((2, None), (answer.size, answer.find(end, False)))
        answer.feed("o.")
        self.assertEqual((4, "two.", 0), (answer.find(end, False), answer.take(4), answer.size))

    def test_bytes(self) -> None:
        answer = Answer()
        answer.feed(b"\xff")
        answer.feed(b"\0")
        self.assertEqual(2, answer.find(re.compile(rb"\xff\0"), False))

    def test_anchors_are_those_of_the_whole_answer(self) -> None:
        answer = self.answer("x" * 5 * NEAR)
        for pattern in (r"\Ay", r"(?m)^y", r"\by"):
            self.assertIsNone(answer.find(re.compile(pattern), True))
        answer.feed("y")
        for pattern in (r"\Ay", r"(?m)^y", r"\by"):
            self.assertIsNone(answer.find(re.compile(pattern), False))
        self.assertEqual(answer.size, answer.find(re.compile(r"(?<=x)y"), False))

    def test_a_match_that_begins_long_before(self) -> None:
        answer = self.answer("a" + "x" * 4 * NEAR)
        end = re.compile(r"ax*z")
        self.assertIsNone(answer.find(end, False))
        self.assertTrue(answer.searched)
        answer.feed("z")
        self.assertEqual((None, False), (answer.find(end, False), answer.searched))
        self.assertEqual(4 * NEAR + 2, answer.find(end, True))

    def test_the_leftmost_match_counts(self) -> None:
        answer = self.answer("a" + "x" * 4 * NEAR, "z")
        self.assertEqual(4 * NEAR + 2, answer.find(re.compile(r"a[^!]*z|z"), False))
        answer = self.answer("a" + "x" * 4 * NEAR)
        end = re.compile(r"a[^!]*z|z")
        self.assertIsNone(answer.find(end, False))
        answer.feed("z..z")
        self.assertEqual(answer.size, answer.find(end, False))

    def test_what_is_looked_at_does_not_grow_with_the_square(self) -> None:
        end: Any = Counting(r"END\n")
        answer = Answer()
        for _ in range(200):
            answer.feed("x" * 1000)
            self.assertIsNone(answer.find(end, False))
        answer.feed("END\n")
        self.assertEqual(200_004, answer.find(end, False))
        # Each piece is searched together with the data near it, and all data from time to time.
        self.assertLess(end.looked_at, 9 * answer.size)

    @given(st.lists(st.text("ab.", max_size=4)), st.sampled_from([r"\.", "ab", r"a+b", r"b*\.a"]))
    def test_as_if_all_were_searched_each_time(self, pieces: list[str], pattern: str) -> None:
        self.patch(search, "NEAR", 3)
        self.patch(search, "_MARGIN", 1)
        end, answer, expected = re.compile(pattern), Answer(), ""
        for piece in filter(None, pieces):
            answer.feed(piece)
            expected += piece
            found, wanted = answer.find(end, False), end.search(expected)
            if found is None and wanted is not None:
                self.assertGreater(len(expected) - wanted.start(), 3)
                self.assertFalse(answer.searched)
                found = answer.find(end, True)
            self.assertEqual(None if wanted is None else wanted.end(), found)
            if found:
                self.assertEqual(expected[:found], answer.take(found))
                expected = expected[found:]
