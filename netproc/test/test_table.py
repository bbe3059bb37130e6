"""core/table.py and core/listing.py."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.buffer import Buffer
from netproc.core.errors import ProcessArgumentError
from netproc.core.listing import listing
from netproc.core.table import ProcessTable
from netproc.test.support.counting import growth


class FakeProcess:
    """The part of a process that a table uses."""

    def __init__(self, name: str, buffer: Buffer | None = None, **contact: object) -> None:
        self.name = name
        self.buffer = buffer
        self.status = "open"
        self.is_server = bool(contact.get("server"))
        self.deleted = False
        self.raised: list[BaseException] = []
        self._contact = contact

    def contact(self, key: str) -> object:
        return self._contact.get(key)

    def delete(self) -> None:
        self.deleted = True

    def _observer_raised(self, error: BaseException) -> None:
        self.raised.append(error)


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.table: ProcessTable[FakeProcess] = ProcessTable()

    def enter(self, name: str, **keywords: object) -> FakeProcess:
        process = FakeProcess(self.table.reserve(name), **keywords)
        self.table.enter(process)
        return process

    def test_names_are_made_unique(self) -> None:
        found = [self.enter("foo").name for _ in range(3)]
        self.assertEqual(["foo", "foo<1>", "foo<2>"], found)
        self.assertEqual("foo<2><1>", self.enter("foo<2>").name)
        self.assertEqual("", self.enter("").name)

    def test_freed_names_are_used_again(self) -> None:
        self.enter("foo")
        self.table.leave(self.enter("foo"))
        self.assertEqual("foo<1>", self.enter("foo").name)

    def test_a_numbered_name_that_was_given_is_left_out_and_freed(self) -> None:
        explicit = self.enter("foo<2>")
        self.assertEqual(["foo", "foo<1>", "foo<3>"], [self.enter("foo").name for _ in range(3)])
        self.table.leave(explicit)
        self.assertEqual(["foo<2>", "foo<4>"], [self.enter("foo").name for _ in range(2)])

    def test_a_name_that_looks_numbered_and_is_endless(self) -> None:
        self.enter("foo")
        self.enter("foo")
        self.table.leave(self.enter(f"foo<{'9' * 5000}>"))

    @given(st.lists(st.tuples(st.sampled_from(["a", "a<1>", "a<2>", "a<1><1>"]), st.booleans())))
    def test_the_first_number_that_is_free(self, steps: list[tuple[str, bool]]) -> None:
        table: ProcessTable[FakeProcess] = ProcessTable()
        taken: list[str] = []
        for name, release in steps:
            if release and taken:
                table.release(taken.pop(len(name) % len(taken)))
            else:
                numbered = (f"{name}<{number}>" for number in itertools.count(1))
                free = next(n for n in itertools.chain([name], numbered) if n not in taken)
                taken.append(table.reserve(name))
                self.assertEqual(free, taken[-1])
        for name in taken:
            table.release(name)
        self.assertEqual({}, table._numbers, "they would be kept for ever")

    def test_many_of_one_name(self) -> None:
        def come_and_go(number: int) -> None:
            table: ProcessTable[FakeProcess] = ProcessTable()
            for name in [table.reserve("foo") for _ in range(number)]:
                table.release(name)

        self.assertLess(growth(come_and_go), 6)

    def test_reserved_names_are_taken_and_not_listed(self) -> None:
        reserved = self.table.reserve("foo")
        self.assertEqual("foo<1>", self.table.reserve("foo"))
        self.assertEqual(([], None), (self.table.processes(), self.table.get("foo")))
        self.table.release(reserved)
        self.assertEqual("foo", self.table.reserve("foo"))

    def test_releasing_what_is_entered_does_nothing(self) -> None:
        process = self.enter("foo")
        self.table.release("foo")
        self.assertIn(process, self.table)

    def test_newest_first_by_reservation(self) -> None:
        early = FakeProcess(self.table.reserve("early"))
        late = self.enter("late")
        self.table.enter(early)
        self.assertEqual([late, early], self.table.processes())

    def test_get(self) -> None:
        process = self.enter("foo")
        self.assertIs(process, self.table.get("foo"))
        self.assertIs(process, self.table.get(process))
        self.assertIsNone(self.table.get("bar"))
        for name in (5, None):
            self.assertRaises(ProcessArgumentError, self.table.get, name)

    def test_contains(self) -> None:
        process = self.enter("foo")
        self.assertIn(process, self.table)
        self.assertNotIn(FakeProcess("foo"), self.table)
        self.assertNotIn(5, self.table)

    def test_leaving_leaves_a_namesake(self) -> None:
        process = self.enter("foo")
        self.table.leave(FakeProcess("foo"))
        self.assertIn(process, self.table)

    def test_who_has_ended_is_known_until_it_is_closed(self) -> None:
        process = self.enter("foo")
        self.table.leave(process)
        self.assertEqual(({process}, []), (self.table.closing, self.table.processes()))
        told: list[object] = []
        self.table.observe(lambda *event: told.append(event))
        self.table.closed(process)
        self.assertEqual((set(), [(process, "gone", None)]), (self.table.closing, told))

    def test_connections_are_counted(self) -> None:
        self.assertEqual(1, self.table.next_connection())
        self.table.count_connection()
        self.assertEqual(2, self.table.next_connection())

    def test_buffers(self) -> None:
        self.assertIsNone(self.table.get_buffer("b"))
        buffer = self.table.get_buffer_create("b")
        self.assertIs(buffer, self.table.get_buffer_create("b"))
        self.assertIs(buffer, self.table.get_buffer_create(buffer))
        self.assertIs(buffer, self.table.get_buffer("b"))
        for name in (5, ""):
            self.assertRaises(ProcessArgumentError, self.table.get_buffer_create, name)

    def test_the_newest_process_of_a_buffer(self) -> None:
        buffer = self.table.get_buffer_create("b")
        self.assertIsNone(self.table.buffer_process(buffer))
        self.enter("old", buffer=buffer)
        new = self.enter("new", buffer=buffer)
        self.assertIs(new, self.table.buffer_process("b"))
        for name in ("c", None):
            self.assertIsNone(self.table.buffer_process(name))

    def test_killing_a_buffer_deletes_its_processes(self) -> None:
        buffer = self.table.get_buffer_create("b")
        mine, other = self.enter("mine", buffer=buffer), self.enter("other")
        buffer.kill()
        self.assertEqual((True, False), (mine.deleted, other.deleted))
        self.assertIsNone(self.table.get_buffer("b"))

    def test_a_forgotten_buffer_lives_on(self) -> None:
        buffer = self.table.get_buffer_create("b")
        self.table.forget_buffer(buffer)
        self.assertIsNot(buffer, self.table.get_buffer_create("b"))
        self.table.forget_buffer(buffer)
        self.assertEqual((True, True), (buffer.live, self.table.get_buffer("b") is not None))

    def test_observers(self) -> None:
        seen: list[tuple[str, str, object]] = []
        stop = self.table.observe(
            lambda process, what, value: seen.append((process.name, what, value))
        )
        process = self.enter("foo")
        self.table.notify(process, "sentinel", "open\n")
        stop()
        stop()
        self.table.notify(process, "gone", None)
        self.assertEqual([("foo", "made", None), ("foo", "sentinel", "open\n")], seen)

    def test_an_observer_that_raises_hurts_nobody(self) -> None:
        seen: list[str] = []

        def fail(process: FakeProcess, what: str, value: object) -> None:
            raise ZeroDivisionError

        stop = self.table.observe(fail)
        self.table.observe(lambda process, what, value: seen.append(what))
        process = self.enter("foo")
        self.assertEqual((["made"], [ZeroDivisionError]), (seen, list(map(type, process.raised))))
        stop()
        self.table.notify(process, "gone", None)
        self.assertEqual(1, len(process.raised))

    def test_a_process_is_known_until_its_descriptor_is_closed(self) -> None:
        """With and without an observer of the table."""
        for observed in ([], [lambda *_: None]):
            table: ProcessTable[FakeProcess] = ProcessTable()
            for observer in observed:
                table.observe(observer)
            process = FakeProcess(table.reserve("p"))
            table.enter(process)
            table.leave(process)
            self.assertEqual(([], {process}), (table.processes(), table.closing))
            table.closed(process)
            self.assertEqual(set(), table.closing)


class ListingTests(SynchronousTestCase):
    def test_columns_are_those_of_emacs(self) -> None:
        buffer = Buffer("lpbuf", lambda b: None)
        killed = Buffer("killed", lambda b: None)
        killed.kill()
        processes = [
            FakeProcess("srv", buffer, server=True, host="local", service=44655),
            FakeProcess("loc", killed, server=True, local="/tmp/lp"),
            FakeProcess("cli", host="127.0.0.1", service=44655),
        ]
        expected = (
            "Process  PID  Status  Buffer  TTY  Thread  Command\n"
            "cli      --   open    --      --   Main    (network connection to 127.0.0.1:44655)\n"
            "loc      --   open    --      --   Main    (network server on /tmp/lp)\n"
            "srv      --   open    lpbuf   --   Main    (network server on local:44655)\n"
        )
        self.assertEqual(expected, listing(processes))

    def commands(self, *processes: FakeProcess) -> list[str]:
        return [line.partition("Main    ")[2] for line in listing(processes).splitlines()[1:]]

    def test_what_is_no_stream_is_a_datagram_process(self) -> None:
        kinds = [
            FakeProcess(kind, host="local", service=7, type=kind)
            for kind in ("datagram", "seqpacket")
        ]
        self.assertEqual(["(datagram connection to local:7)"] * 2, self.commands(*kinds))

    def test_what_was_made_by_an_address_is_shown_by_it(self) -> None:
        found = self.commands(
            FakeProcess("1", remote=(127, 0, 0, 1, 7)),
            FakeProcess("2", server=True, local=("fe80::1%lo", 7)),
            FakeProcess("3", host=True, service="/tmp/s", remote="\0a\nb"),
            FakeProcess("4"),
        )
        self.assertEqual(
            [
                "(network connection to 127.0.0.1:7)",
                "(network server on [fe80:0:0:0:0:0:0:1%lo]:7)",
                "(network connection to \\x00a\\nb)",
                "(network connection to -)",
            ],
            found,
        )

    def test_nothing(self) -> None:
        self.assertEqual("Process  PID  Status  Buffer  TTY  Thread  Command\n", listing([]))
