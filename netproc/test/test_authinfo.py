"""core/authinfo.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.authinfo import Entry, entries, find


def parsed(text: str) -> list[Entry]:
    return list(entries(text))


def looked_up(text: str, host: str = "h", port: str = "993") -> tuple[str, str] | None:
    return find(text, host, lambda value: value == port)


class EntryTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        for text in ("", "\n \n", "# machine h\n", "# no end"):
            self.assertEqual([], parsed(text))

    def test_one(self) -> None:
        expected = [Entry("h", "993", "/k", "/c")]
        for text in (
            "machine h port 993 key /k cert /c",
            "host h protocol 993 cert /c key /k\n",
            "machine h\n\tport 993\n  key /k cert\n/c\n",
            "machine 'h' port \"993\" key '/k' cert \"/c\"",
            "#x\nmachine h # at home\n port 993 # as ever\n\n key /k cert /c # x",
        ):
            self.assertEqual(expected, parsed(text), text)

    def test_several(self) -> None:
        text = "machine a key /k\nmachine b login x password y\ndefault cert /c"
        expected = [Entry("a", None, "/k"), Entry("b"), Entry(None, None, None, "/c")]
        self.assertEqual(expected, parsed(text))

    def test_quotes(self) -> None:
        text = 'machine "a b" key \'/a "b" #c\' cert ""'
        self.assertEqual([Entry("a b", None, '/a "b" #c', "")], parsed(text))

    def test_a_quote_that_does_not_end(self) -> None:
        self.assertEqual([Entry("h", None, '"/k', "/c")], parsed('machine h key "/k\ncert /c'))

    def test_values_are_anything(self) -> None:
        text = "machine h password #1 login default account host user 'machine' key #k"
        self.assertEqual([Entry("h", None, "#k")], parsed(text))

    def test_macros_are_passed_over(self) -> None:
        for text in (
            "machine a macdef init\nmachine b key x\ncd '\n\nmachine c",
            "machine a macdef init\n \nmachine c",
        ):
            self.assertEqual([Entry("a"), Entry("c")], parsed(text))
        self.assertEqual([Entry("a")], parsed("machine a macdef init\ncd x\n"))

    def test_no_entries(self) -> None:
        for text, problem in (
            ("login x", "line 1: nothing says for which machine this is"),
            ("\n\nsecret", "line 3: nothing says for which machine this is"),
            ("machine", "line 1: a value is missing"),
            ("machine h\nlogin", "line 2: a value is missing"),
            ("machine h password\nmachine b", "line 2: a value is missing"),
        ):
            error = self.assertRaises(ValueError, parsed, text)
            self.assertEqual(problem, str(error))

    def test_no_secret_is_kept_or_shown(self) -> None:
        text = "machine h login SECRET password SECRET\n account SECRET user SECRET"
        self.assertNotIn("SECRET", repr(parsed(text)))
        error = self.assertRaises(ValueError, parsed, text + " SECRET")
        self.assertNotIn("SECRET", str(error))

    @given(st.text(st.sampled_from("machine default key cert x # ' \" \n\t")))
    def test_any_text_ends(self, text: str) -> None:
        try:
            found = parsed(text)
        except ValueError as error:
            self.assertRegex(str(error), "^line [0-9]+: ")
        else:
            self.assertLessEqual(len(found), len(text))


class FindTests(SynchronousTestCase):
    def test_host_and_port(self) -> None:
        text = "machine h port 993 key /k cert /c"
        self.assertEqual(("/k", "/c"), looked_up(text))
        self.assertIsNone(looked_up(text, host="H"))
        self.assertIsNone(looked_up(text, host="h.example"))
        self.assertIsNone(looked_up(text, port="143"))

    def test_every_port(self) -> None:
        self.assertEqual(("/k", "/c"), looked_up("machine h key /k cert /c"))

    def test_every_host(self) -> None:
        self.assertEqual(("/k", "/c"), looked_up("machine x\ndefault key /k cert /c"))

    def test_the_first_with_both(self) -> None:
        text = """
            machine h port 993 login me password secret
            machine h port 993 key /no
            machine h port 993 cert /no
            machine h port 993 key /k cert /c
            machine h port 993 key /later cert /later
        """
        self.assertEqual(("/k", "/c"), looked_up(text))

    def test_none(self) -> None:
        self.assertIsNone(looked_up("machine h login me"))

    def test_what_comes_later_is_not_looked_at(self) -> None:
        text = "machine h key /k cert /c machine b login"
        self.assertEqual(("/k", "/c"), looked_up(text))
        self.assertRaises(ValueError, looked_up, text, host="c")
