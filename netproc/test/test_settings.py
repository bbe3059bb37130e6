"""process/settings.py: a new setting of a process is checked, and holds for later input."""

from __future__ import annotations

import errno
from typing import Any

import netproc
from netproc import NetworkProcess, ProcessArgumentError, ProcessError, TransactionQueue
from netproc.test.support import oddvalues
from netproc.test.support.fixtures import Recorder, TcpFixture


class WrongValueTests(TcpFixture):
    def problem(self, call: Any, *arguments: Any) -> str:
        return str(self.assertRaises(ProcessArgumentError, call, *arguments))

    async def test_attributes(self) -> None:
        process, _ = await self.client_of_raw(buffer="b")
        for name, value, problem in (
            ("mark", "x", "'x' is not an integer"),
            ("mark", 1.5, "1.5 is not an integer"),
            ("mark", 0, "0 is not in 1…1"),
            (
                "filter_multibyte",
                oddvalues.Broken(),
                "this value cannot be used (LookupError: asked for its truth)",
            ),
            (
                "limits",
                None,
                "None is not a Limits; use dataclasses.replace(process.limits, …)",
            ),
        ):
            before = getattr(process, name)
            self.assertEqual(f"{name}: {problem}", self.problem(setattr, process, name, value))
            self.assertEqual(before, getattr(process, name))

    async def test_arguments(self) -> None:
        process, _ = await self.client_of_raw()
        self.assertEqual(
            ["name: 5 is not the name of an option", "name: [] is not the name of an option"],
            [self.problem(process.set_option, name, 1) for name in (5, [])],
        )
        self.assertEqual(
            "error: ValueError() is not a ProcessError", self.problem(process.fail, ValueError())
        )
        self.assertEqual("process: 5 is not a process", self.problem(TransactionQueue, 5))
        self.assertEqual(
            "observer: 5 is not a function", self.problem(netproc.ProcessTable().observe, 5)
        )

    async def test_how_long_to_wait(self) -> None:
        process, _ = await self.client_of_raw()
        for waiting in (
            process.accept_output("x"),
            netproc.accept_process_output(None, "x"),
            netproc.accept_process_output(process, "x"),
        ):
            error = await self.failure_of(waiting, ProcessArgumentError)
            self.assertEqual("timeout: 'x' is neither None nor a number of seconds", str(error))
        self.assertFalse(process._waiters)
        error = await self.failure_of(netproc.accept_process_output(5), ProcessArgumentError)
        self.assertEqual("process: 5 is not a process", str(error))

    async def test_options_of_what_has_ended(self) -> None:
        """After the end it does not matter whether the option is known."""
        process, peer = await self.client_of_raw()
        self.assertIsNone(process.set_option("no such", 1, no_error=True))
        peer.close()
        await process.closed
        for name in ("no such", "keepalive"):
            error = self.assertRaises(ProcessError, process.set_option, name, 1, no_error=True)
            self.assertEqual(errno.ENOTCONN, error.errno)
        self.assertTrue(process.set_option("linger", None))


class BufferTests(TcpFixture):
    async def test_a_buffer_that_the_program_gives_a_connection(self) -> None:
        """The connection's own buffer leaves the table at the end, the program's buffer stays."""
        program = netproc.get_buffer_create("log")
        self.addCleanup(program.kill)
        for replacement in (program, None):

            def sentinel(process: NetworkProcess, event: str, to: Any = replacement) -> None:
                if event.startswith("open"):
                    process.buffer = to

            server = await self.server(name=f"to {replacement}", sentinel=sentinel)
            with self.raw_client(server):
                connection = await self.connection(server)
            await connection.closed
            self.assertIsNone(netproc.get_buffer(connection.name))
        self.assertIs(program, netproc.get_buffer("log"))


class DecoderTests(TcpFixture):
    async def test_filter_multibyte_as_it_was_changes_nothing(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder, coding="utf-16")
        peer.sendall(b"\xff\xfea\0")
        await self.until(lambda: recorder.data == "a")
        process.filter_multibyte = True
        peer.sendall(b"b\0")
        await self.until(lambda: recorder.data == "ab")

    async def test_what_waited_is_for_the_new_filter_as_it_wants_it(self) -> None:
        """A unibyte buffer takes bytes, the program's filter takes text."""
        buffer = netproc.get_buffer_create("b")
        buffer.multibyte = False
        full, peer = await self.client_of_raw(buffer=buffer, coding="utf-8")
        buffer.limit = 0
        peer.sendall("é".encode())
        await self.until(lambda: full._input.delivery.waiting)
        held, _ = await self.client_of_raw(buffer=buffer, coding="utf-8")
        held.filter = True
        held.unread("é".encode())
        for process in (full, held):
            recorder = Recorder()
            process.filter = recorder
            self.assertEqual(["é"], recorder.pieces)
