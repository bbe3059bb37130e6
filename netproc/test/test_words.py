"""The check of wordings, `.ci/check-words`.  From a checkout only."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from netproc.test.support.checkout import checkout

#: A wording that is refused, in pieces so that this file has none.
HABIT = "be" + "hind"


def script() -> dict[str, Any]:
    path = os.path.join(checkout(), ".ci", "check-words")
    if not os.path.exists(path):
        raise SkipTest("an sdist has no .ci")
    return runpy.run_path(path)


class WordsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.check = script()

    def run_on(self, name: str, text: str) -> tuple[int, list[str]]:
        """The exit status for a file NAME with TEXT, and the lines printed, without its name."""
        path = os.path.join(self.mktemp(), name)
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            status = self.check["main"]([path])
        return status, [line.removeprefix(path) for line in out.getvalue().splitlines()]

    def lines(self, name: str, text: str) -> list[int]:
        """The numbers of the lines of TEXT that are refused in a file NAME."""
        _, printed = self.run_on(name, text)
        return [int(line.split(":")[1]) for line in printed]

    def test_each_habit_is_found_in_its_examples_only(self) -> None:
        def refused(text: str) -> list[object]:
            words = self.check["words_of_text"](1, text)
            return [habit for _, _, habit in self.check["findings"](words)]

        for habit in self.check["HABITS"]:
            for example in habit.wrong:
                self.assertEqual([habit], refused(example), example)
            for example in habit.right:
                self.assertEqual([], refused(example), example)

    def test_a_finding_says_where_what_and_what_to_write(self) -> None:
        status, (line,) = self.run_on("a.rst", f"Title\n=====\n\nOpen {HABIT} the handshake.\n")
        self.assertEqual(1, status)
        self.assertTrue(line.startswith(f":4: '{HABIT}': write for time write \"after\""), line)

    def test_clean_text_passes(self) -> None:
        self.assertEqual((0, []), self.run_on("a.rst", "Open after the handshake.\n"))

    def test_a_wording_may_go_over_the_end_of_a_line(self) -> None:
        self.assertEqual([1], self.lines("a.rst", "in the\nplace of it\n"))
        self.assertEqual([1], self.lines("a.py", "# in the\n# place of it\n"))
        self.assertEqual([1], self.lines("a.py", 'x = ("in the "\n    "place of it")\n'))

    def test_parts_are_not_joined(self) -> None:
        self.assertEqual([], self.lines("a.rst", "in the\n\nplace of it\n"))
        self.assertEqual([], self.lines("a.rst", "* in the\n* place of it\n"))
        self.assertEqual([], self.lines("a.py", "# in the\nx = 1\n# place of it\n"))

    def test_code_is_not_checked(self) -> None:
        self.assertEqual([], self.lines("a.py", f"{HABIT} = 1\n"))

    def test_comments_docstrings_and_messages_are_checked(self) -> None:
        text = f'"""A {HABIT} B."""\n\nx = 1  # {HABIT}\nraise ValueError(f"{{x}} is {HABIT}")\n'
        self.assertEqual([1, 3, 4], self.lines("a.py", text))

    def test_data_of_tests_is_not_checked(self) -> None:
        text = f'"""A {HABIT} B."""\n\nx = "{HABIT}"\n'
        self.assertEqual([1], self.lines(os.path.join("test", "a.py"), text))

    def test_a_docstring_is_no_question(self) -> None:
        text = 'def f():\n    """Is it open?"""\n\nask("Is it open?")\n'
        self.assertEqual([2], self.lines("a.py", text))
        text = "#: Is it\n#: open?\nx = 1\n# Is it open?\n#: How open. Is it?\ny = 2\n"
        self.assertEqual([1], self.lines("a.py", text))

    def test_examples_of_what_not_to_write_are_allowed(self) -> None:
        text = f"Text.\n\nBefore: {HABIT} it,\nand {HABIT} that.\n\nAfter: {HABIT} it.\n"
        self.assertEqual([6], self.lines("a.rst", text))

    def test_a_missing_file_is_an_error(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(2, self.check["main"](["no-such-file"]))
        self.assertIn("no-such-file", said.getvalue())
