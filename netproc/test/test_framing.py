"""core/framing.py: the result does not depend on how the stream is cut into pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.framing import LengthSplitter, LineSplitter, Splitter, TooLongError
from netproc.test.support.dialogue import pieces

CUTS = st.lists(st.integers(0, 10**6))


def take_all(splitter: Splitter) -> list[object]:
    """Return the messages, and the error if there is one."""
    taken: list[object] = []
    try:
        while (message := splitter.take()) is not None:
            taken.append(message)
    except TooLongError as error:
        taken.append(type(error))
    return taken


def cut(splitter: Splitter, pieces: list[bytes]) -> list[object]:
    taken: list[object] = []
    for piece in pieces:
        if TooLongError not in taken:
            splitter.feed(piece)
            taken += take_all(splitter)
    return taken


class LineTests(SynchronousTestCase):
    def test_lines(self) -> None:
        splitter = LineSplitter("\n", 10)
        splitter.feed("a\n\nbc")
        self.assertEqual(["a", ""], take_all(splitter))
        splitter.feed("d\n")
        self.assertEqual(["bcd"], take_all(splitter))

    @given(st.lists(st.binary().map(lambda b: b.replace(b"\n", b"").replace(b"\r", b""))), CUTS)
    def test_any_lines_in_any_pieces(self, lines: list[bytes], cuts: list[int]) -> None:
        for delimiter in (b"\n", b"\r\n", b"\n\r\n\r"):
            stream = b"".join(line + delimiter for line in lines)
            self.assertEqual(lines, cut(LineSplitter(delimiter, 10**6), pieces(stream, cuts)))

    @given(st.binary(max_size=50), CUTS, st.integers(0, 10))
    def test_any_stream_in_any_pieces(self, stream: bytes, cuts: list[int], most: int) -> None:
        stream = stream.replace(b"\x00", b"\n").replace(b"\x01", b"\r\n") + b"\r\n"
        for delimiter in (b"\n", b"\r\n"):
            whole = cut(LineSplitter(delimiter, most), [stream])
            self.assertEqual(whole, cut(LineSplitter(delimiter, most), pieces(stream, cuts)))

    def test_too_long(self) -> None:
        for chunks in ([b"ab\nabcd\nx\n"], [b"ab\nabcd"], [b"ab\nab", b"cd"]):
            self.assertEqual([b"ab", TooLongError], cut(LineSplitter(b"\n", 3), chunks))
        self.assertEqual([b"abc"], cut(LineSplitter(b"\r\n", 3), [b"abc\r", b"\n"]))

    @given(st.binary(), CUTS, st.integers(0, 3))
    def test_what_is_not_taken_comes_back(self, stream: bytes, cuts: list[int], taken: int) -> None:
        splitter = LineSplitter(b"\n", 10**6)
        for piece in pieces(stream, cuts):
            splitter.feed(piece)
        lines = [splitter.take() for _ in range(min(taken, stream.count(b"\n")))]
        rest = splitter.drain_unused()
        self.assertEqual(stream, b"".join(line + b"\n" for line in lines) + rest)
        self.assertEqual((None, b""), (splitter.take(), splitter.drain_unused()))


class LengthTests(SynchronousTestCase):
    @given(st.lists(st.binary(max_size=200)), CUTS, st.sampled_from(["big", "little"]))
    def test_any_messages_in_any_pieces(
        self, messages: list[bytes], cuts: list[int], order: str
    ) -> None:
        for size in (1, 2, 4, 8):
            stream = b"".join(len(m).to_bytes(size, order) + m for m in messages)
            self.assertEqual(messages, cut(LengthSplitter(size, order, 200), pieces(stream, cuts)))

    def test_too_long(self) -> None:
        for chunks in ([b"\x01a\x04"], [b"\x01", b"a", b"\x04"], [b"\x01a\x04abcd"]):
            self.assertEqual([b"a", TooLongError], cut(LengthSplitter(1, "big", 3), chunks))

    @given(st.lists(st.binary(max_size=20)), CUTS, st.integers(0, 3))
    def test_what_is_not_taken_comes_back(
        self, messages: list[bytes], cuts: list[int], taken: int
    ) -> None:
        stream = b"".join(bytes([len(m)]) + m for m in messages) + b"\x05abc"
        splitter = LengthSplitter(1, "big", 20)
        for piece in pieces(stream, cuts):
            splitter.feed(piece)
        for message in messages[:taken]:
            self.assertEqual(message, splitter.take())
        rest = b"".join(bytes([len(m)]) + m for m in messages[taken:]) + b"\x05abc"
        self.assertEqual((rest, None), (splitter.drain_unused(), splitter.take()))
