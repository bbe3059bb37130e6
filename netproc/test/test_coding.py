"""core/coding.py, core/decoders.py and core/codecnames.py."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core import coding
from netproc.core.codecnames import CODECS
from netproc.core.coding import CodingSystem, coding_pair, coding_system
from netproc.core.errors import ProcessArgumentError
from netproc.test.support.dialogue import pieces

CUTS = st.lists(st.integers(0, 10**6))
#: Without surrogates, because they are not characters.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))

SINGLE_BYTE = [
    "us-ascii", "latin-1", "latin-2", "latin-9", "koi8-r", "koi8-u", "windows-1250", "windows-1251",
    "windows-1252", "windows-1253", "windows-1257", "iso-8859-5", "iso-8859-7", "cp437", "cp737", "cp866",
    "cp874", "cp1125", "hp-roman8", "ibm273", "macintosh", "pt154", "tis-620",
]  # fmt: skip
#: Characters for the other coding systems.  Each has one form, so that any bytes come back.
ONE_FORM = [
    "gb18030", "gbk", "gb2312", "shift_jis", "shift_jis-2004", "euc-jp", "euc-kr", "cp949",
]  # fmt: skip
ESCAPING = ["iso-2022-jp", "iso-2022-jp-2", "iso-2022-jp-2004", "iso-2022-kr", "hz"]
MULTI_BYTE = [*ONE_FORM, *ESCAPING, "big5", "big5-hkscs", "cp932", "euc-jis-2004"]
UTF_16 = [
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-16-le",
    "utf-16-be",
    "utf-8-with-signature",
    "utf-8-auto",
]


def decode(name: str, chunks: list[bytes]) -> list[str | bytes]:
    decoder = coding_system(name).decoder()
    return [*(decoder.decode(chunk) for chunk in chunks if chunk), decoder.finish()]


def text_of(name: str, chunks: list[bytes]) -> str:
    return "".join(map(str, decode(name, chunks)))


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def padded_with_nothing(data: bytes) -> list[bytes]:
    return [piece for one in bytewise(data) for piece in (b"", one)] + [b""]


class Utf8Tests(SynchronousTestCase):
    def test_across_chunks(self) -> None:
        self.assertEqual(["a", "é", "b", ""], decode("utf-8-unix", [b"a\xc3", b"\xa9", b"b"]))

    def test_invalid_bytes_are_lone_surrogates(self) -> None:
        self.assertEqual(["a\udcffb", ""], decode("utf-8-unix", [b"a\xffb"]))
        self.assertEqual(["", "\udcc3X", ""], decode("utf-8-unix", [b"\xc3", b"X"]))

    def test_an_invalid_byte_at_the_end_waits_for_the_next(self) -> None:
        self.assertEqual(["k", "\udcfee", ""], decode("utf-8-unix", [b"k\xfe", b"e"]))

    def test_an_unfinished_character_at_the_end(self) -> None:
        self.assertEqual(["", "\udce2\udc82"], decode("utf-8-unix", [b"\xe2\x82"]))

    @given(TEXT, CUTS)
    def test_any_text_comes_back_in_any_chunks(self, text: str, cuts: list[int]) -> None:
        data = coding_system("utf-8-unix").encode(text)
        self.assertEqual(text, text_of("utf-8-unix", pieces(data, cuts)))

    @given(st.binary(), CUTS)
    def test_any_bytes_come_back_in_any_chunks(self, data: bytes, cuts: list[int]) -> None:
        text = text_of("utf-8-unix", pieces(data, cuts))
        self.assertEqual(data, coding_system("utf-8-unix").encode(text))


class CodecTests(SynchronousTestCase):
    @given(st.binary(), CUTS)
    def test_any_bytes_come_back(self, data: bytes, cuts: list[int]) -> None:
        for name in (*SINGLE_BYTE, *ONE_FORM, "utf-16le", "utf-16be"):
            text = text_of(f"{name}-unix", pieces(data, cuts))
            self.assertEqual((name, data), (name, coding_system(name).encode(text)))
        text = text_of("no-conversion-multibyte", pieces(data, cuts))
        self.assertEqual(data, coding_system("no-conversion-multibyte").encode(text))

    @given(TEXT, CUTS)
    def test_text_that_a_system_has_comes_back_in_any_chunks(
        self, text: str, cuts: list[int]
    ) -> None:
        for name in (*SINGLE_BYTE, *MULTI_BYTE):
            system = coding_system(f"{name}-unix")
            assert system.codec is not None
            theirs = "".join(c for c in text if self.has(system.codec, c))
            self.assertEqual(
                (name, theirs), (name, text_of(system.name, pieces(system.encode(theirs), cuts)))
            )

    def has(self, codec: str, character: str) -> bool:
        """Whether CODEC encodes CHARACTER, and decodes its bytes to it.  Some have two characters for ~ and \\."""
        if (codec == "hz" or codec.startswith("iso2022")) and character in "~\x1b\x0e\x0f\n":
            return False
        try:
            return character.encode(codec).decode(codec) == character
        except UnicodeError:
            return False

    @given(TEXT, CUTS)
    def test_any_text_comes_back_from_unicode_systems(self, text: str, cuts: list[int]) -> None:
        for name in UTF_16:
            if text.startswith("\ufeff"):
                # It looks like the byte-order mark.
                continue
            data = coding_system(f"{name}-unix").encode(text)
            self.assertEqual((name, text), (name, text_of(f"{name}-unix", pieces(data, cuts))))

    @given(st.lists(st.integers(0xD700, 0xE000)), st.binary(max_size=1), CUTS)
    @example([0xD800], b"", [])
    @example([0xD800], b"\xdc", [])
    @example([0xDC41], b"A", [])
    def test_any_code_units_come_back_from_utf_16(
        self, units: list[int], half: bytes, cuts: list[int]
    ) -> None:
        data = b"".join(unit.to_bytes(2, "little") for unit in units) + half
        text = text_of("utf-16le-unix", pieces(data, cuts))
        self.assertEqual(data, coding_system("utf-16le").encode(text))

    def test_what_is_no_utf_16(self) -> None:
        self.assertEqual("h\udc41\udcdc!\udc41", text_of("utf-16le-unix", [b"h\0A\xdc!\0A"]))
        self.assertEqual("\udcd8\udc01", text_of("utf-16be-unix", [b"\xd8\1"]))
        self.assertEqual(b"h\0\0\xd8", coding_system("utf-16le").encode("h\ud800"))

    @given(
        st.lists(
            st.sampled_from(
                [
                    b"\x1b",
                    b"\x1b$B",
                    b"\x1b(B",
                    b"\x1b&@",
                    b"\x1b$)C",
                    b"\x1bN",
                    b"\x1b.A",
                    b"$",
                    b"(",
                    b"&@",
                    b"B",
                    b"F|",
                    b"K",
                    b"a lower",
                    b"0123456789",
                    b"\n",
                    b"~{",
                    b"~",
                    b"\x0e",
                    b"\xff",
                ]
            ),
            max_size=9,
        ).map(b"".join),
        CUTS,
    )
    def test_no_escape_sequence_fails_and_no_chunking_matters(
        self, data: bytes, cuts: list[int]
    ) -> None:
        for name in ESCAPING:
            whole = text_of(f"{name}-unix", [data])
            self.assertEqual((name, whole), (name, text_of(f"{name}-unix", pieces(data, cuts))))
            self.assertEqual((name, whole), (name, text_of(f"{name}-unix", bytewise(data))))

    def test_what_is_no_escape_sequence_is_text_at_once(self) -> None:
        for line in (b"\x1b[1m ok\n", b"\x1b$1234567890", b"\x1b(x yz", b"\x1b" * 20 + b"a"):
            self.assertEqual([line.decode("ascii"), ""], decode("iso-2022-jp-unix", [line]))

    def test_escape_sequences(self) -> None:
        self.assertEqual(
            "日é", text_of("iso-2022-jp-2-unix", bytewise(b"\x1b$BF|\x1b(B\x1b.A\x1bNi"))
        )
        self.assertEqual("日", text_of("iso-2022-jp-unix", bytewise(b"\x1b&@\x1b$BF|\x1b(B")))
        self.assertEqual("日F", text_of("iso-2022-jp-unix", [b"\x1b$BF|F", b"\x1b", b"(B"]))
        self.assertEqual("日F\x1b日", text_of("iso-2022-jp-unix", [b"\x1b$BF|F", b"\x1b\x1b$BF|"]))

    @given(st.binary(), CUTS)
    def test_nothing_fails_and_no_chunking_matters(self, data: bytes, cuts: list[int]) -> None:
        for name in (*SINGLE_BYTE, *MULTI_BYTE, *UTF_16):
            whole = text_of(f"{name}-unix", [data])
            self.assertEqual((name, whole), (name, text_of(f"{name}-unix", pieces(data, cuts))))

    def test_invalid_bytes_are_lone_surrogates(self) -> None:
        self.assertEqual("a\udce9", text_of("us-ascii-unix", [b"a\xe9"]))
        self.assertEqual("\udc81", text_of("windows-1252-unix", [b"\x81"]))
        self.assertEqual("\udcfe日", text_of("euc-jp-unix", [b"\xfe", b"\xc6\xfc"]))

    def test_an_empty_piece_is_nothing(self) -> None:
        for name in [*CODECS, *UTF_16, "undecided", "prefer-utf-8", "raw-text", "no-conversion"]:
            for data in (b"\xef\xbb\xbfa\r\n", b"\xfe\xff\0a\0\r", b"\xc3\xa9\xff", b"\x1b$BF|"):
                plain, padded = coding_system(name).decoder(), coding_system(name).decoder()
                whole: Any = [plain.decode(piece) for piece in bytewise(data)]
                got: Any = [padded.decode(piece) for piece in padded_with_nothing(data)]
                empty = whole[0][:0]
                self.assertEqual(empty.join(whole), empty.join(got), name)
                self.assertEqual(plain.finish(), padded.finish(), name)

    def test_what_a_system_has_not_is_replaced(self) -> None:
        self.assertEqual(b"? ?\xe9", coding_system("us-ascii").encode("é 你\udce9"))
        self.assertEqual(
            b"\xe9  \x80", coding_system("latin-1").encode("é €".replace("€", "\u20ac") + "\x80")
        )
        self.assertEqual(b" ", coding_system("koi8-r").encode("é"))
        self.assertEqual(b"\x88\xa9", coding_system("windows-1250").encode("\udc88©"))
        # The replacement is written in ASCII mode, not between two bytes of a character.
        self.assertEqual(
            b"\x1b$BF|\x1b(B \x1b$BK\\\x1b(B", coding_system("iso-2022-jp").encode("日😀本")
        )
        self.assertEqual(b" ", coding_system("gb18030").encode("\ud800"))

    def test_replacing_takes_time_in_proportion(self) -> None:
        """An error handler that looks at all other characters each time would take quadratic time."""
        self.assertEqual(b" \xff" * 300_000, coding_system("koi8-r").encode("你\udcff" * 300_000))
        self.assertEqual(b"?" * 300_000, coding_system("us-ascii").encode("你" * 300_000))

    def test_bytes_that_were_no_utf_16_are_sent_as_they_were(self) -> None:
        """This includes ASCII bytes, which Python's own error handler does not restore."""
        data = b"\xff\xfea\0\n\xdcb\0\0\xd8c\0A"
        text = text_of("undecided-unix", [data])
        self.assertEqual("a\udc0a\udcdcb\udc00\udcd8c\udc41", text)
        for name in ("utf-8", "us-ascii", "latin-1", "koi8-r", "euc-jp", "iso-2022-jp", "gb18030"):
            sent = coding_system(f"{name}-unix").encode(text)
            self.assertEqual((name, b"a\n\xdcb\0\xd8cA"), (name, sent))
        self.assertEqual(data[2:], coding_system("utf-16le").encode(text))
        self.assertEqual(b"\0" * 300_000, coding_system("utf-8").encode("\udc00" * 300_000))

    def test_undoing_never_fails(self) -> None:
        """This holds for text from a decoder and for text that a program invents."""
        data = b"abc\x1b.A\x1bN\x00def"
        decoder = coding_system("iso-2022-jp-2-unix").decoder()
        text = decoder.decode(data)
        again = coding_system("iso-2022-jp-2-unix").decoder()
        self.assertEqual(("abc\x80def", text), (text, again.decode(decoder.undo(text))))
        for name in {first for first, _ in CODECS.values()} | {"utf-16", "undecided", "utf-8-auto"}:
            made_up = "a\ud800你\udcff\udc41\x85é😀"
            undone = coding_system(name).decoder().undo(made_up)
            self.assertTrue(
                undone.startswith(("a".encode(CODECS.get(name, ("", "utf-16-be"))[1]), b"a"))
            )
        many = coding_system("koi8-r").decoder().undo("你" * 300_000)
        self.assertEqual("你".encode() * 300_000, many)

    def test_nothing_has_no_mark(self) -> None:
        for name in ("utf-16", "utf-8-with-signature"):
            self.assertEqual(b"", coding_system(name).encode(""))

    def test_what_has_no_encoding(self) -> None:
        error = self.assertRaises(ProcessArgumentError, coding_system("utf-8").encode, "a\ud800")
        self.assertEqual("character '\\ud800' has no encoding in utf-8", error.problem)

    def test_python_has_every_codec(self) -> None:
        for name, (first, codec) in CODECS.items():
            self.assertEqual((name, "a"), (name, "a".encode(codec).decode(codec)))
            self.assertEqual((first, codec), CODECS[first])

    def test_the_mark_of_utf_16_is_written_once(self) -> None:
        system = coding_system("utf-16")
        self.assertEqual(b"\xfe\xff\0h", system.encode("h"))
        self.assertTrue(system.unsettled)
        self.assertEqual((b"\0h", "utf-16-unix"), (system.settled.encode("h"), system.settled.name))
        self.assertFalse(system.settled.unsettled)

    def test_marks(self) -> None:
        for name, data, text in (
            ("utf-16", b"\xff\xfeh\0", "h"),
            ("utf-16", b"\xfe\xff\0h", "h"),
            ("utf-16", b"\0h", "h"),
            ("utf-16-le", b"h\0", "h"),
            ("utf-16", b"\xfe", "\udcfe"),
            ("utf-16", b"\xfe\xff\xd8\0\xdc", "\udcd8\udc00\udcdc"),
            ("utf-16", b"", ""),
            ("utf-8-with-signature", b"\xef\xbb\xbf\xc3\xa9", "é"),
            ("utf-8-auto", b"\xc3\xa9", "é"),
            ("utf-8-auto", b"\xff\xfe", "\udcff\udcfe"),
        ):
            for chunks in ([data] if data else [], bytewise(data)):
                self.assertEqual((name, text), (name, text_of(f"{name}-unix", chunks)))

    def test_tails(self) -> None:
        for name, data, tail in (
            ("euc-jp-unix", b"a\xc6", b"\xc6"),
            ("utf-16-unix", b"\xfe", b"\xfe"),
            ("utf-16-unix", b"\xfe\xff\0", b"\0"),
            ("undecided-unix", b"a\xc3", b"\xc3"),
            ("undecided-unix", b"\xc3\xa9\xc3", b"\xc3"),
            ("utf-8-dos", b"a\xc3", b"\xc3"),
            ("utf-8-dos", b"a\r", b"\r"),
            ("utf-16le-dos", b"a\0\r\0", b"\r\0"),
            ("utf-16-dos", b"\xff\xfea\0\r\0b", b"\r\0b"),
            ("utf-8-auto-dos", b"a\r", b"\r"),
            ("undecided-dos", b"a\r", b"\r"),
            ("undecided-dos", b"\xff\xfea\0\r\0", b"\r\0"),
            ("raw-text-dos", b"\xe9\r", b"\r"),
            ("iso-2022-jp-unix", b"\x1b$BF|F\x1b(", b"F\x1b("),
            ("hz-unix", b"~{H", b"H"),
        ):
            decoder = coding_system(name).decoder()
            decoder.decode(data)
            self.assertEqual((name, tail), (name, decoder.tail))


class UndecidedTests(SynchronousTestCase):
    def decided(self, *chunks: bytes, name: str = "undecided-unix") -> tuple[str, str]:
        decoder = coding_system(name).decoder()
        text = "".join(str(decoder.decode(chunk)) for chunk in chunks)
        return text + str(decoder.finish()), decoder.name

    def test_ascii_decides_nothing(self) -> None:
        self.assertEqual(("abc\0", "undecided-unix"), self.decided(b"a", b"bc\0"))

    def test_utf_8(self) -> None:
        self.assertEqual(("aé€", "utf-8-unix"), self.decided(*bytewise("aé€".encode())))
        self.assertEqual(("é\udcff", "utf-8-unix"), self.decided(b"\xc3\xa9", b"\xff"))

    def test_an_unfinished_tail_is_not_invalid(self) -> None:
        self.assertEqual(("a€", "utf-8-unix"), self.decided(b"a\xe2\x82", b"\xac"))
        self.assertEqual(("aé€", "utf-8-unix"), self.decided(b"a\xc3\xa9\xe2", b"\x82\xac"))

    def test_anything_else_is_latin_1(self) -> None:
        self.assertEqual(("café!", "iso-latin-1-unix"), self.decided(b"caf", b"\xe9!"))
        self.assertEqual(("café!ÿ", "iso-latin-1-unix"), self.decided(b"caf\xe9!", b"\xff"))

    def test_a_nul_byte_means_no_conversion(self) -> None:
        self.assertEqual(
            ("\0\udce9\udcff", "no-conversion-multibyte"), self.decided(b"\0\xe9", b"\xff")
        )

    def test_what_is_found_out_can_be_set(self) -> None:
        """A decoder of the system that was found reads further input as the undecided one does."""
        for data, more in (
            (b"\0\xe9", b"\xe9"),
            (b"\xe9!", b"\xe9"),
            (b"\xc3\xa9", b"\xc3\xa9"),
            (b"\xff\xfeh\0", b"h\0"),
            (b"\xfe\xff\0h", b"\0h"),
        ):
            _, name = self.decided(data)
            decoder = coding_system("undecided-unix").decoder()
            decoder.decode(data)
            text = text_of(name, [more])
            self.assertEqual((name, decoder.decode(more)), (name, text))

    def test_marks(self) -> None:
        self.assertEqual(("é", "utf-8-with-signature-unix"), self.decided(b"\xef\xbb\xbf\xc3\xa9"))
        self.assertEqual(
            ("é", "utf-8-with-signature-unix"), self.decided(*bytewise(b"\xef\xbb\xbf\xc3\xa9"))
        )
        big, little = "utf-16be-with-signature-unix", "utf-16le-with-signature-unix"
        self.assertEqual(("h", big), self.decided(*bytewise(b"\xfe\xff\0h")))
        self.assertEqual(("h", little), self.decided(b"\xff\xfeh\0"))
        self.assertEqual(("h", little), self.decided(b"\xff\xfeh\0", name="utf-16-unix"))
        self.assertEqual(("h", "utf-16-unix"), self.decided(b"\0h", name="utf-16-unix"))

    def test_marks_are_in_front_only(self) -> None:
        self.assertEqual(("a\ufeffé", "utf-8-unix"), self.decided(b"a", b"\xef\xbb\xbf\xc3\xa9"))
        self.assertEqual(("aþÿ", "iso-latin-1-unix"), self.decided(b"a", b"\xfe\xff"))

    def test_what_is_unfinished_at_the_end_stays_as_it_is(self) -> None:
        for data in (b"\xef\xbb", b"\xff", b"caf\xc3", b"caf\xe9", b"\xf0\x9f\x98"):
            for chunks in ([data], bytewise(data)):
                text, name = self.decided(*chunks)
                self.assertEqual("utf-8-unix", name)
                self.assertEqual(data, coding_system(name).encode(text))

    def test_prefer_utf_8(self) -> None:
        self.assertEqual(("é", "utf-8-unix"), self.decided(b"\xc3\xa9", name="prefer-utf-8-unix"))

    @given(st.binary(), CUTS)
    def test_the_kind_stays_text_and_nothing_fails(self, data: bytes, cuts: list[int]) -> None:
        for piece in decode("undecided", pieces(data, cuts)):
            self.assertIsInstance(piece, str)

    def test_it_is_written_as_utf_8(self) -> None:
        system = coding_system("undecided")
        self.assertEqual("é".encode(), system.encode("é"))
        self.assertEqual("utf-8-unix", system.settled.name)


class LineEndTests(SynchronousTestCase):
    def decided(self, name: str, *chunks: bytes) -> tuple[str, str]:
        decoder = coding_system(name).decoder()
        text = "".join(str(decoder.decode(chunk)) for chunk in chunks)
        return text + str(decoder.finish()), decoder.name

    def test_dos(self) -> None:
        for chunks in ([b"1\n2\r\n3\r4\r"], bytewise(b"1\n2\r\n3\r4\r")):
            self.assertEqual(("1\n2\n3\r4\r", "utf-8-dos"), self.decided("utf-8-dos", *chunks))

    def test_mac(self) -> None:
        self.assertEqual(("1\n2\n\n3\n4", "utf-8-mac"), self.decided("utf-8-mac", b"1\n2\r\n3\r4"))

    def test_unix(self) -> None:
        self.assertEqual(("1\r\n", "utf-8-unix"), self.decided("utf-8-unix", b"1\r\n"))

    def test_the_first_line_end_decides_for_good(self) -> None:
        self.assertEqual(("a\nb\nc\n", "utf-8-dos"), self.decided("utf-8", b"a\r\nb\r\n", b"c\n"))
        self.assertEqual(("a\nb\r\n", "utf-8-unix"), self.decided("utf-8", b"a\n", b"b\r\n"))
        self.assertEqual(("a\nb", "utf-8-dos"), self.decided("utf-8", b"a\r", b"\nb"))
        self.assertEqual(("a\nb\n\n", "utf-8-mac"), self.decided("utf-8", b"a\rb\r", b"\n"))
        self.assertEqual(("a\nb", "utf-8-mac"), self.decided("utf-8", b"a\r", b"b"))
        self.assertEqual(("a\n", "utf-8-mac"), self.decided("utf-8", b"a\r"))
        self.assertEqual(("", "utf-8"), self.decided("utf-8"))

    def test_a_cr_alone_decides_only_where_there_is_no_lf(self) -> None:
        self.assertEqual(("a\rb\n", "utf-8-dos"), self.decided("utf-8", b"a\rb\r\n"))
        self.assertEqual(("a\rb\n", "utf-8-unix"), self.decided("utf-8", b"a\rb\n"))
        self.assertEqual(("a\r\nb\n", "utf-8-unix"), self.decided("utf-8", b"a\r\nb\n"))

    def test_what_is_not_decoded_has_no_line_ends(self) -> None:
        name = "no-conversion-multibyte"
        self.assertEqual(("\0\udce9\r\n", name), self.decided("undecided-dos", b"\0\xe9\r\n"))
        self.assertEqual(("a\r\0\udce9", name), self.decided("undecided-dos", b"a\r", b"\0\xe9"))
        self.assertEqual(
            ("a\n\0\udce9\r\n", name), self.decided("undecided", b"a\r\n", b"\0\xe9\r\n")
        )

    def test_the_first_name_is_shown_then(self) -> None:
        self.assertEqual(("é\n", "iso-latin-1-unix"), self.decided("latin-1", b"\xe9\n"))
        self.assertEqual(("é", "latin-1"), self.decided("latin-1", b"\xe9"))

    def test_undecided(self) -> None:
        self.assertEqual(("a\n", "undecided-dos"), self.decided("undecided", b"a\r\n"))
        self.assertEqual(("é\n", "utf-8-dos"), self.decided("undecided", b"\xc3\xa9\r\n"))
        self.assertEqual(("a\né", "utf-8-dos"), self.decided("undecided", b"a\r\n", b"\xc3\xa9"))

    def test_bytes(self) -> None:
        self.assertEqual([b"a\xe9\nb", b""], decode("raw-text-dos", [b"a\xe9\r\nb"]))
        decoder = coding_system("raw-text").decoder()
        self.assertEqual((b"a\n", "raw-text-dos"), (decoder.decode(b"a\r\n"), decoder.name))
        decoder = coding_system("utf-8-dos").decoder(multibyte=False)
        self.assertEqual((b"\xc3\n", "raw-text-dos"), (decoder.decode(b"\xc3\r\n"), decoder.name))

    def test_writing(self) -> None:
        for name, expected in (
            ("utf-8-unix", b"a\nb\r\n"),
            ("utf-8", b"a\nb\r\n"),
            ("utf-8-dos", b"a\r\nb\r\r\n"),
            ("utf-8-mac", b"a\rb\r\r"),
        ):
            self.assertEqual(expected, coding_system(name).encode("a\nb\r\n"))
            self.assertEqual(expected, coding_system(name).encode_bytes(b"a\nb\r\n"))

    @given(TEXT.map(lambda text: text.replace("\r", "")), CUTS)
    def test_text_comes_back_from_dos_in_any_chunks(self, text: str, cuts: list[int]) -> None:
        data = coding_system("utf-8-dos").encode(text)
        self.assertEqual(text, text_of("utf-8-dos", pieces(data, cuts)))


class BytesTests(SynchronousTestCase):
    def test_they_stay_what_they_are(self) -> None:
        for name in ("binary", "no-conversion", "raw-text-unix"):
            self.assertEqual([b"\xc3", b"\xa9\r\n", b""], decode(name, [b"\xc3", b"\xa9\r\n"]))
            self.assertFalse(coding_system(name).multibyte)
            self.assertEqual("é".encode(), coding_system(name).encode("é"))
        self.assertEqual("raw-text-unix", coding_system("raw-text").settled.name)

    def test_without_multibyte_it_is_bytes(self) -> None:
        for name in ("utf-8-unix", "undecided-unix", "latin-1-unix", "utf-16-unix"):
            decoder = coding_system(name).decoder(multibyte=False)
            self.assertEqual((b"\xc3", "raw-text-unix"), (decoder.decode(b"\xc3"), decoder.name))
        self.assertEqual("binary", coding_system("binary").decoder(multibyte=False).name)


class UndoTests(SynchronousTestCase):
    @given(st.binary(), st.lists(st.integers(0, 10**6)))
    def test_the_bytes_come_back(self, data: bytes, cuts: list[int]) -> None:
        # "undecided" drops a byte-order mark at the beginning, so there must not be one.
        data = b"x" + data
        for name in ("utf-8-unix", "latin-1-unix", "us-ascii-unix", "undecided-unix", "binary"):
            decoder = coding_system(name).decoder()
            texts = [decoder.decode(piece) for piece in pieces(data, cuts)]
            undone = b"".join(decoder.undo(text) for text in texts)
            self.assertEqual(data, undone + decoder.tail, name)

    def test_every_system_reads_the_same_again(self) -> None:
        sample = "one\ntwo\n"
        names = [
            *CODECS,
            "undecided",
            "utf-16",
            "utf-16le-with-signature",
            "utf-8-auto",
            "raw-text",
        ]
        for name in names:
            for suffix in ("", "-unix", "-dos", "-mac"):
                system = coding_system(name + suffix)
                for multibyte in (True, False):
                    decoder = system.decoder(multibyte)
                    text = decoder.decode(system.encode(sample))
                    self.assertEqual(text, decoder.decode(decoder.undo(text)), system.name)

    def test_a_mark_says_how(self) -> None:
        for data in (b"\xff\xfea\0\xe9\0", b"\xfe\xff\0a\0\xe9"):
            decoder = coding_system("utf-16-unix").decoder()
            self.assertEqual(data[2:], decoder.undo(decoder.decode(data)))

    def test_text_before_anything_was_read(self) -> None:
        for name, data in (("undecided", "é".encode()), ("utf-16-unix", b"\0\xe9")):
            self.assertEqual(data, coding_system(name).decoder().undo("é"))


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

    def test_set_at_run_time_the_line_ends_of_writing_are_decided(self) -> None:
        self.assertEqual("iso-latin-1-unix", coding_system("latin-1").for_writing().name)
        dos = coding_system("latin-1-dos")
        self.assertIs(dos, dos.for_writing())

    def test_systems_are_values(self) -> None:
        self.assertIs(coding_system("koi8-r"), coding_system("koi8-r"))
        self.assertIsInstance(coding_system("koi8-r-dos"), CodingSystem)

    def test_other_things(self) -> None:
        for value, problem in (
            (5, "5 is not the name of a coding system"),
            (("utf-8",), "('utf-8',) is not (decoding, encoding)"),
            ("klingon", "Invalid coding system: klingon"),
            ("utf-7", "Invalid coding system: utf-7"),
            ("no-conversion-multibyte-dos", "Invalid coding system: no-conversion-multibyte-dos"),
            ("binary-dos", "Invalid coding system: binary-dos"),
        ):
            error = self.assertRaises(ProcessArgumentError, coding_pair, value)
            self.assertEqual(("coding", problem), (error.keyword, error.problem))
