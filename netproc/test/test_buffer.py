"""core/buffer.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core import buffer as buffer_module
from netproc.core.buffer import Buffer
from netproc.core.errors import ProcessArgumentError


def make(text: str = "", name: str = "b") -> Buffer:
    made = Buffer(name, lambda buffer: None)
    if text:
        made.insert(1, text)
    return made


class TextTests(SynchronousTestCase):
    def test_insert(self) -> None:
        buffer = make("ad")
        buffer.insert(2, "bc")
        buffer.insert(5, "e")
        self.assertEqual(("abcde", 5), (buffer.text, len(buffer)))

    def test_erase(self) -> None:
        buffer = make("abc")
        buffer.erase()
        self.assertEqual(("", 0), (buffer.text, len(buffer)))

    def test_take(self) -> None:
        buffer = make("abc")
        buffer.insert(4, "def")
        self.assertEqual(["a", "bcd", "ef", ""], [buffer.take(n) for n in (1, 3, 9, 1)])

    def test_many_small_pieces_are_joined(self) -> None:
        buffer = make()
        for _ in range(3 * buffer_module._MOST_SMALL):
            buffer.insert(buffer.end(), "x")
        self.assertEqual(3, len(buffer._pieces))
        self.assertEqual("x" * len(buffer), buffer.text)

    def test_bad_places(self) -> None:
        buffer = make("abc")
        for position in (0, 5):
            error = self.assertRaises(ProcessArgumentError, buffer.insert, position, "x")
            self.assertEqual(f"{position} is not in 1…4", error.problem)
        self.assertRaises(ProcessArgumentError, setattr, buffer, "point", 9)

    def test_wrong_values_are_refused_and_change_nothing(self) -> None:
        buffer = make("abc")
        for call, problem in (
            (lambda: buffer.insert("1", "x"), "position: '1' is not an integer"),
            (lambda: buffer.insert(True, "x"), "position: True is not an integer"),
            (lambda: buffer.insert(1, b"x"), "text: b'x' is not a str"),
            (lambda: buffer.take(-1), "count: -1 is not a number of characters"),
            (lambda: buffer.take("2"), "count: '2' is not a number of characters"),
            (lambda: setattr(buffer, "limit", 1.5), "limit: 1.5 is not a number of characters"),
            (lambda: setattr(buffer, "limit", None), "limit: None is not a number of characters"),
            (lambda: setattr(buffer, "point", 1.0), "point: 1.0 is not an integer"),
        ):
            self.assertEqual(problem, str(self.assertRaises(ProcessArgumentError, call)))
        self.assertEqual(
            ("abc", 1, buffer_module.DEFAULT_LIMIT), (buffer.text, buffer.point, buffer.limit)
        )

    def test_read_only(self) -> None:
        buffer = make("abc")
        buffer.read_only = True
        for call in (lambda: buffer.insert(1, "x"), buffer.erase, lambda: buffer.take(1)):
            error = self.assertRaises(ProcessArgumentError, call)
            self.assertEqual("'b' is read-only", error.problem)
        buffer.insert_output(buffer.new_mark(4), "d")
        self.assertEqual("abcd", buffer.text)

    def test_kill(self) -> None:
        killed: list[str | None] = []
        buffer = Buffer("b", lambda b: killed.append(b.name))
        self.assertEqual("<Buffer 'b'>", repr(buffer))
        buffer.kill()
        buffer.kill()
        self.assertEqual((["b"], None, False), (killed, buffer.name, buffer.live))
        self.assertEqual("<killed Buffer>", repr(buffer))
        self.assertRaises(ProcessArgumentError, buffer.insert, 1, "x")

    @given(st.lists(st.tuples(st.integers(0, 100), st.text(max_size=5), st.booleans())))
    def test_is_a_string_that_changes(self, changes: list[tuple[int, str, bool]]) -> None:
        for name, small in (("_CUT", 2), ("_MOST_SMALL", 3)):
            self.patch(buffer_module, name, small)
        buffer, expected = make(), ""
        for number, text, take in changes:
            if take:
                self.assertEqual(expected[:number], buffer.take(number))
                expected = expected[number:]
            else:
                at = number % (len(expected) + 1)
                buffer.insert(at + 1, text)
                expected = expected[:at] + text + expected[at:]
            self.assertEqual(len(expected), len(buffer))
            if number % 5 == 0:
                self.assertEqual(expected, buffer.text)
        self.assertEqual(expected, buffer.text)

    def copied(self, work: Callable[[Buffer], object]) -> int:
        """How many characters WORK copies in a buffer of a million; these two functions do all copying."""
        count = 0

        def split(piece: str, at: int, original: Any = buffer_module._split) -> Any:
            nonlocal count
            before, after = original(piece, at)
            count += len(piece) if before and after else 0
            return before, after

        def joined(buffer: Buffer, original: Any = Buffer._joined) -> str:
            nonlocal count
            count += len(buffer)
            return original(buffer)  # type: ignore[no-any-return]

        buffer = make("x" * 1_000_000)
        self.patch(buffer_module, "_split", split)
        self.patch(Buffer, "_joined", joined)
        work(buffer)
        return count

    def test_large_texts_are_not_copied_for_each_change(self) -> None:
        def output_before_typed_text(buffer: Buffer) -> None:
            mark = buffer.new_mark(500_000)
            for _ in range(1000):
                buffer.insert_output(mark, "output")
                buffer.insert(buffer.end(), "typed")
                buffer.insert(mark.position or 1, "y")

        def walk(buffer: Buffer) -> None:
            for position in range(1, 10_000, 3):
                buffer.insert(position, "y")

        def take_little(buffer: Buffer) -> None:
            for _ in range(1000):
                buffer.take(1)

        for work in (output_before_typed_text, walk, take_little):
            self.assertLess(self.copied(work), 6_000_000)


class MarkTests(SynchronousTestCase):
    def test_output_pushes_all_marks_of_its_place(self) -> None:
        buffer = make("ab")
        here, there, behind = buffer.new_mark(2), buffer.new_mark(2), buffer.new_mark(3)
        buffer.insert_output(here, "xyz")
        self.assertEqual([5, 5, 6], [m.position for m in (here, there, behind)])
        self.assertEqual("axyzb", buffer.text)

    def test_a_mark_that_stays(self) -> None:
        buffer = make("abc")
        stays, output = buffer.new_mark(2, stays=True), buffer.new_mark(2)
        buffer.insert_output(output, "xy")
        self.assertEqual((2, 4), (stays.position, output.position))
        buffer.insert_output(buffer.new_mark(1), "z")
        self.assertEqual((3, 5), (stays.position, output.position))

    def test_typed_text_stays_behind_marks_of_its_place(self) -> None:
        buffer = make("ab")
        mark = buffer.new_mark(2)
        buffer.insert(2, "x")
        self.assertEqual(2, mark.position)
        buffer.insert(1, "y")
        self.assertEqual(3, mark.position)

    def test_a_mark_that_points_nowhere_begins_at_the_end(self) -> None:
        buffer = make("ab")
        mark = buffer.new_mark(None)
        buffer.take(1)
        self.assertIsNone(mark.position)
        buffer.insert_output(mark, "c")
        self.assertEqual(("bc", 3), (buffer.text, mark.position))

    def test_bytes_are_eight_bit_characters(self) -> None:
        buffer = make()
        buffer.insert_output(buffer.new_mark(1), b"a\xff")
        self.assertEqual("a\udcff", buffer.text)

    def test_marks_follow_what_is_taken(self) -> None:
        buffer = make("abc")
        mark = buffer.new_mark(3)
        buffer.take(1)
        self.assertEqual(2, mark.position)
        buffer.erase()
        self.assertEqual(1, mark.position)

    def test_point_moves_along_when_it_is_there(self) -> None:
        buffer = make()
        mark = buffer.new_mark(1)
        buffer.insert_output(mark, "abc")
        self.assertEqual(4, buffer.point)
        buffer.point = 2
        buffer.insert_output(mark, "def")
        self.assertEqual(2, buffer.point)


class RoomTests(SynchronousTestCase):
    def test_room(self) -> None:
        buffer = make("abc")
        buffer.limit = 5
        self.assertEqual(2, buffer.room)
        buffer.limit = 1
        self.assertEqual(0, buffer.room)

    def test_who_waits_is_told_once(self) -> None:
        buffer = make("abc")
        buffer.limit = 2
        told: list[int] = []
        buffer.when_room(lambda: told.append(1))
        buffer.take(1)
        self.assertEqual([], told)
        buffer.take(1)
        buffer.take(1)
        self.assertEqual([1], told)

    def test_who_waits_twice_or_no_more(self) -> None:
        buffer = make("abc")
        buffer.limit = 1
        told: list[int] = []
        once, never = (lambda: told.append(1)), (lambda: told.append(2))
        for callback in (once, never, once):
            buffer.when_room(callback)
        for _ in range(2):
            buffer.forget(never)
        buffer.erase()
        self.assertEqual([1], told)

    def test_killing_tells_too(self) -> None:
        buffer = make("abc")
        buffer.limit = 1
        told: list[int] = []
        buffer.when_room(lambda: told.append(1))
        buffer.kill()
        self.assertEqual([1], told)
