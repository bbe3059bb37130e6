"""core/answers.py."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.answers import (
    Always,
    End,
    Has,
    LastLine,
    Offer,
    Polled,
    Since,
    UnexpectedAnswerError,
    Until,
    pattern,
    to_bytes,
    to_text,
)
from netproc.test.support.dialogue import pieces

LAST = LastLine(pattern(r"\d{3} "), pattern(r"\d{3}[ -]"))


class TextTests(SynchronousTestCase):
    @given(st.binary())
    def test_every_byte_comes_back(self, data: bytes) -> None:
        self.assertEqual(data, to_bytes(to_text(data)))

    def test_patterns_are_as_in_emacs(self) -> None:
        found = pattern("^ok$").search("no\nOK\nno")
        self.assertIsNotNone(found)


def measure(end: End, data: bytes, cuts: Iterable[int] = ()) -> int | None:
    """The length of the answer at the beginning of DATA, found while DATA arrives in pieces."""
    came = bytearray()
    scan = end(came)
    try:
        scan.send(None)
        for piece in pieces(data, cuts):
            came += piece
            if scan.send(False):
                scan.send(True)
    except StopIteration as found:
        assert isinstance(found.value, int)
        return found.value
    return None


class UntilTests(SynchronousTestCase):
    def test_it_ends_with_the_first_match(self) -> None:
        self.assertEqual(4, measure(Until(pattern("ok\r\n")), b"OK\r\nok\r\n"))

    def test_it_is_a_place_among_bytes(self) -> None:
        self.assertEqual(5, measure(Until(pattern("é.")), "aéé!".encode()))
        self.assertEqual(3, measure(Until(pattern("\udcff.")), b"x\xff!!"))

    def test_half_a_character_matches_nothing(self) -> None:
        for data, expected in ((b"", None), (b"\xc3", None), (b"\xc3\xa9", 2)):
            self.assertEqual(expected, measure(Until(pattern("^.")), data, range(9)))

    def test_a_match_of_several_lines(self) -> None:
        end = Until(pattern("^begin(?:.*\n)+end\n"))
        data = b"begin\n" + b"x\n" * 5000 + b"end\n"
        for size in (1, 100, 5000):
            self.assertEqual(len(data), measure(end, data, range(0, len(data), size)))

    def test_all_searches_together_are_linear(self) -> None:
        """New data is searched when there is enough of it, or when the caller has waited for more."""
        searched = 0

        class Counted:
            def search(self, text: str) -> None:
                nonlocal searched
                searched += len(text)

        came = bytearray()
        scan = Until(Counted())(came)
        scan.send(None)
        waits = False
        for _ in range(60_000):
            came += b"x"
            waits = scan.send(False)
        # Up to a bound each byte causes a search; above it, each doubling of the size.
        self.assertLess(searched, 1024 * 1024 / 2 + 10 * 60_000)
        self.assertTrue(waits)
        self.assertFalse(scan.send(True))
        before = searched
        self.assertFalse(scan.send(True))
        self.assertEqual(before + 60_000, searched)


class PolledTests(SynchronousTestCase):
    def test_it_is_given_all_that_came(self) -> None:
        seen: list[bytes] = []

        def end(data: bytearray) -> int | None:
            seen.append(bytes(data))
            return 2 if len(data) > 2 else None

        self.assertEqual(2, measure(Polled(end), b"abc", range(3)))
        self.assertEqual([b"", b"a", b"ab", b"abc"], seen)


class LastLineTests(SynchronousTestCase):
    def test_the_line_that_matches_is_the_last(self) -> None:
        data = b"220-a\r\n220 \xc3\xa9\n220 c\n"
        self.assertEqual(len(b"220-a\r\n220 \xc3\xa9\n"), measure(LAST, data))

    def test_a_line_is_complete_with_its_end(self) -> None:
        for data, expected in ((b"", None), (b"220 a", None), (b"xyz", None), (b"220 a\n", 6)):
            self.assertEqual(expected, measure(LAST, data, [5]))

    def test_the_first_line_tells_the_protocol(self) -> None:
        error = self.assertRaises(UnexpectedAnswerError, measure, LAST, b"SSH-2.0\r\n220 a\r\n")
        self.assertEqual(b"SSH-2.0\r", error.shown)
        self.assertIsNone(measure(LAST, b"220-a\r\nSSH\r\n"))

    @given(
        st.lists(st.sampled_from([b"220-x\r\n", b"220 x\n", b"\xff\n", b"22", b"\n"])),
        st.lists(st.integers(0, 99)),
    )
    def test_the_cuts_make_no_difference(self, parts: list[bytes], cuts: list[int]) -> None:
        data = b"220-\n" + b"".join(parts)
        self.assertEqual(measure(LAST, data), measure(LAST, data, cuts))


class AnswerTests(SynchronousTestCase):
    def test_has(self) -> None:
        self.assertTrue(Has(pattern("^ok"))(b"\xff\nOK"))
        self.assertFalse(Has(pattern("^ok"))(b"not ok"))

    def test_offer(self) -> None:
        offer = Offer(pattern("^tls$"), b"go")
        self.assertEqual([b"go", None, None], [offer("a\ntls\n"), offer("xtls"), offer(None)])

    def test_always(self) -> None:
        self.assertEqual([b"go", b"go"], [Always(b"go")(None), Always(b"go")("x")])

    def test_words(self) -> None:
        words = Since(pattern("^no"))
        self.assertEqual(["no\n\udcff", "yes"], [words(b"* x\nno\n\xff"), words(b"yes")])
