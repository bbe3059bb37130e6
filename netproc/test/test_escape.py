"""core/escape.py, byte for byte (P18)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.escape import LONGEST, error_text, escape, shown


class EscapeTests(SynchronousTestCase):
    def test_plain_text_stays(self) -> None:
        self.assertEqual("echo <127.0.0.1:7>: é – 你好", escape("echo <127.0.0.1:7>: é – 你好"))

    def test_every_byte(self) -> None:
        shown = escape("".join(map(chr, range(256)))[:LONGEST])
        expected = (
            "\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\t\\n\\x0b\\x0c\\r\\x0e\\x0f"
            "\\x10\\x11\\x12\\x13\\x14\\x15\\x16\\x17\\x18\\x19\\x1a\\x1b\\x1c\\x1d\\x1e\\x1f"
        )
        self.assertTrue(shown.startswith(expected + " !"), shown)
        self.assertIn("[\\\\]", shown)
        self.assertIn("~\\x7f\\x80\\x81", shown)

    def test_what_turns_text_around_or_ends_lines(self) -> None:
        self.assertEqual("a\\u202eb\\u2028c\\udc80\\u200b", escape("a\u202eb\u2028c\udc80\u200b"))

    def test_long_text_is_cut(self) -> None:
        self.assertEqual("x" * 200 + "… (1000000 characters)", escape("x" * 1_000_000))

    @given(st.text())
    def test_is_always_one_printable_line(self, text: str) -> None:
        self.assertTrue(escape(text).isprintable())


class ShownTests(SynchronousTestCase):
    def test_values(self) -> None:
        class Odd:
            def __repr__(self) -> str:
                raise ZeroDivisionError

        for value, expected in (
            ("a\n", r"'a\n'"),
            (b"x" * 300, f"b'{'x' * 198}…"),
            (10**5000, "a value of type int"),
            (Odd(), "a value of type Odd"),
        ):
            self.assertEqual(expected, shown(value))

    def test_a_program_may_print_its_objects_on_many_lines(self) -> None:
        class Table:
            def __repr__(self) -> str:
                return "a\\b\n\ud800" + "x" * 300

        self.assertEqual(r"a\b\n\ud800" + "x" * 195 + "…", shown(Table()))

    def test_errors(self) -> None:
        class Odd(Exception):
            def __str__(self) -> str:
                raise ZeroDivisionError

        for error, expected in (
            (ValueError("a\nb"), r"a\nb"),
            (ValueError(), "ValueError"),
            (Odd(), "Odd"),
        ):
            self.assertEqual(expected, error_text(error))
