"""core/coding.py."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core import coding
from netproc.core.coding import coding_pair, coding_system
from netproc.core.errors import ProcessArgumentError


def decode(name: str, chunks: list[bytes]) -> list[str | bytes]:
    decoder = coding_system(name).decoder()
    return [*(decoder.decode(chunk) for chunk in chunks if chunk), decoder.finish()]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """DATA cut at CUTS, taken modulo its length."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


class DecodeTests(SynchronousTestCase):
    def test_utf_8_across_chunks(self) -> None:
        self.assertEqual(["a", "é", "b", ""], decode("utf-8", [b"a\xc3", b"\xa9", b"b"]))

    def test_invalid_bytes_are_lone_surrogates(self) -> None:
        self.assertEqual(["a\udcffb", ""], decode("utf-8-unix", [b"a\xffb"]))
        self.assertEqual(["", "\udcc3X", ""], decode("utf-8", [b"\xc3", b"X"]))

    def test_an_invalid_byte_at_the_end_waits_for_the_next(self) -> None:
        self.assertEqual(["k", "\udcfee", ""], decode("utf-8", [b"k\xfe", b"e"]))

    def test_an_unfinished_character_at_the_end(self) -> None:
        self.assertEqual(["", "\udce2\udc82"], decode("utf-8", [b"\xe2\x82"]))

    def test_binary(self) -> None:
        self.assertEqual([b"\xc3", b"\xa9", b""], decode("binary", [b"\xc3", b"\xa9"]))

    def test_without_multibyte_it_is_bytes(self) -> None:
        decoder = coding_system("utf-8").decoder(multibyte=False)
        self.assertEqual(b"\xc3\xa9", decoder.decode(b"\xc3\xa9"))

    @given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 10**6)))
    def test_any_text_comes_back_in_any_chunks(self, text: str, cuts: list[int]) -> None:
        data = coding_system("utf-8").encode(text)
        self.assertEqual(text, "".join(map(str, decode("utf-8", split(data, cuts)))))

    @given(st.binary(), st.lists(st.integers(0, 10**6)))
    def test_any_bytes_come_back_in_any_chunks(self, data: bytes, cuts: list[int]) -> None:
        text = "".join(map(str, decode("utf-8", split(data, cuts))))
        self.assertEqual(data, coding_system("utf-8").encode(text))


class NameTests(SynchronousTestCase):
    def test_default(self) -> None:
        self.assertEqual(coding.DEFAULT, coding_pair(None))
        self.assertEqual(["undecided-unix", "utf-8-unix"], [s.name for s in coding.DEFAULT])

    def test_one_name_is_for_both_ways(self) -> None:
        self.assertEqual(["binary", "binary"], [s.name for s in coding_pair("binary")])

    def test_pair(self) -> None:
        found = coding_pair(("binary", "utf-8"))
        self.assertEqual(["binary", "utf-8"], [s.name for s in found])
        found = coding_pair([None, None])
        self.assertEqual(coding.DEFAULT, found)

    def test_other_things(self) -> None:
        for value, problem in (
            (5, "5 is not the name of a coding system"),
            (("utf-8",), "('utf-8',) is not (decoding, encoding)"),
            ("latin-1", "coding system 'latin-1': not yet"),
        ):
            error = self.assertRaises(ProcessArgumentError, coding_pair, value)
            self.assertEqual(("coding", problem), (error.keyword, error.problem))

    def test_what_has_no_encoding(self) -> None:
        error = self.assertRaises(ProcessArgumentError, coding_system("utf-8").encode, "a\ud800")
        self.assertEqual("character '\\ud800' has no encoding in utf-8", error.problem)
