"""core/answers.py."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.answers import (
    Always,
    ForeignAnswerError,
    Has,
    LastLine,
    Offer,
    Until,
    pattern,
    to_bytes,
    to_text,
)
from netproc.test.dialogue import pieces

LAST = LastLine(pattern(r"^\d{3} .*\n"), pattern(r"\d{3}[ -]"))


class TextTests(SynchronousTestCase):
    @given(st.binary())
    def test_every_byte_comes_back(self, data: bytes) -> None:
        self.assertEqual(data, to_bytes(to_text(data)))

    def test_patterns_are_as_in_emacs(self) -> None:
        found = pattern("^ok$").search("no\nOK\nno")
        self.assertIsNotNone(found)


class UntilTests(SynchronousTestCase):
    def test_it_ends_with_the_first_match(self) -> None:
        self.assertEqual(4, Until(pattern("ok\r\n"))(b"OK\r\nok\r\n", 0))

    def test_it_is_a_place_among_bytes(self) -> None:
        self.assertEqual(5, Until(pattern("é."))("aéé!".encode(), 0))
        self.assertEqual(3, Until(pattern("\udcff."))(b"x\xff!!", 0))

    def test_half_a_character_matches_nothing(self) -> None:
        end = Until(pattern("^."))
        self.assertIsNone(end(b"", 0))
        self.assertIsNone(end(b"\xc3", 1))
        self.assertEqual(2, end(b"\xc3\xa9", 1))


class LastLineTests(SynchronousTestCase):
    def test_the_line_that_matches_is_the_last(self) -> None:
        self.assertEqual(
            len(b"220-a\r\n220 \xc3\xa9\n"), LAST(b"220-a\r\n220 \xc3\xa9\n220 c\n", 0)
        )

    def test_a_line_is_complete_with_its_end(self) -> None:
        self.assertIsNone(LAST(b"", 0))
        self.assertIsNone(LAST(b"220 a", 0))
        self.assertIsNone(LAST(b"xyz", 0))
        self.assertEqual(6, LAST(b"220 a\n", 5))

    def test_the_first_line_tells_the_protocol(self) -> None:
        error = self.assertRaises(ForeignAnswerError, LAST, b"SSH-2.0\r\n220 a\r\n", 0)
        self.assertEqual(b"SSH-2.0\r", error.shown)
        self.assertIsNone(LAST(b"220-a\r\nSSH\r\n", 0))

    @given(
        st.lists(st.sampled_from([b"220-x\r\n", b"220 x\n", b"\xff\n", b"22", b"\n"])),
        st.lists(st.integers(0, 99)),
    )
    def test_what_was_seen_need_not_be_seen_again(
        self, parts: list[bytes], cuts: list[int]
    ) -> None:
        data = b"220-\n" + b"".join(parts)
        seen = 0
        found = None
        for size in itertools.accumulate(len(piece) for piece in pieces(data, cuts)):
            found = LAST(data[:size], seen)
            if found is not None:
                break
            seen = size
        self.assertEqual(LAST(data, 0), found)


class AnswerTests(SynchronousTestCase):
    def test_has(self) -> None:
        self.assertTrue(Has(pattern("^ok"))(b"\xff\nOK"))
        self.assertFalse(Has(pattern("^ok"))(b"not ok"))

    def test_offer(self) -> None:
        offer = Offer(pattern("^tls$"), b"go")
        self.assertEqual([b"go", None, None], [offer("a\ntls\n"), offer("xtls"), offer(None)])

    def test_always(self) -> None:
        self.assertEqual([b"go", b"go"], [Always(b"go")(None), Always(b"go")("x")])
