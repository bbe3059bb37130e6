"""framing.py: lines and messages over real connections."""

from __future__ import annotations

import errno
import gc
from typing import Any

from twisted.internet.defer import Deferred

from netproc import NetworkProcess, ProcessArgumentError, length_prefixed, lines
from netproc.test.real.peers import in_thread, read_all
from netproc.test.real.test_tcp import TcpFixture


class LinesTests(TcpFixture):
    async def take(self, data: bytes, count: int, **keywords: Any) -> list[Any]:
        """The COUNT lines of DATA, which comes byte by byte."""
        seen: list[Any] = []
        keywords = {"coding": "utf-8-unix", **keywords}
        process, peer = await self.client_of_raw(
            filter=lines(lambda p, line: seen.append(line)), **keywords
        )
        for byte in data:
            peer.send(bytes([byte]))
        await self.until(lambda: process.received == len(data))
        self.assertEqual(count, len(seen))
        return seen

    async def test_text(self) -> None:
        self.assertEqual(["é", "", "b"], await self.take("é\n\nb\nc".encode(), 3))

    async def test_bytes(self) -> None:
        self.assertEqual([b"\xc3", b"b"], await self.take(b"\xc3\nb\n", 2, coding="binary"))

    async def test_connections_of_a_server_have_lines_of_their_own(self) -> None:
        seen: list[str] = []
        server = await self.server(
            filter=lines(lambda p, line: seen.append(line)), coding="utf-8-unix"
        )
        first, second = self.raw_client(server), self.raw_client(server)
        first.sendall(b"one ")
        await self.until(lambda: any(p.received for p in self.connections(server)))
        second.sendall(b"two\n")
        await self.until(lambda: seen)
        first.sendall(b"three\n")
        await self.until(lambda: len(seen) == 2)
        self.assertEqual(["two", "one three"], seen)
        first.close()
        second.close()
        await self.all_closed(server)

    async def test_too_long_a_line_ends_the_process(self) -> None:
        seen: list[bytes] = []
        process, peer = await self.client_of_raw(
            filter=lines(lambda p, line: seen.append(line), max_length=5)
        )
        peer.sendall(b"short\ntoo long\nmore\n")
        await self.until(lambda: not process.live)
        peer.close()
        await process.closed
        self.assertEqual(([b"short"], ["deleted\n"]), (seen, self.events(process)))
        self.assertEqual(errno.EMSGSIZE, process.reason.errno)
        self.assertEqual("a line is longer than 5", str(process.reason))

    async def test_another_filter_takes_over_in_the_middle(self) -> None:
        rest: list[bytes] = []

        def first(process: NetworkProcess, line: bytes) -> None:
            if line == b"DATA":
                process.filter = lambda p, data: rest.append(data)

        _, peer = await self.client_of_raw(filter=lines(first))
        peer.sendall(b"HELO\nDATA\none\ntwo")
        await self.until(lambda: b"".join(rest) == b"one\ntwo")
        peer.sendall(b"three")
        await self.until(lambda: b"".join(rest) == b"one\ntwothree")

    async def test_other_lines_take_over_in_the_middle(self) -> None:
        seen: list[tuple[str, bytes]] = []

        def second(process: NetworkProcess, line: bytes) -> None:
            seen.append(("second", line))

        def first(process: NetworkProcess, line: bytes) -> None:
            seen.append(("first", line))
            process.filter = lines(second)

        _, peer = await self.client_of_raw(filter=lines(first))
        peer.sendall(b"a\nb\nc\n")
        await self.until(lambda: len(seen) == 3)
        self.assertEqual([("first", b"a"), ("second", b"b"), ("second", b"c")], seen)

    async def test_stopping_in_the_middle(self) -> None:
        seen: list[bytes] = []

        def function(process: NetworkProcess, line: bytes) -> None:
            seen.append(line)
            process.stop()

        process, peer = await self.client_of_raw(filter=lines(function))
        peer.sendall(b"a\nb\nc")
        await self.until(lambda: seen == [b"a"])
        peer.sendall(b"d\n")
        for expected in ([b"a", b"b"], [b"a", b"b", b"cd"]):
            await self.turn(0.02)
            self.assertEqual(expected[:-1], seen)
            process.resume()
            await self.until(lambda expected=expected: seen == expected)

    async def test_deleting_in_the_middle(self) -> None:
        seen: list[bytes] = []

        def function(process: NetworkProcess, line: bytes) -> None:
            seen.append(line)
            process.delete()

        process, peer = await self.client_of_raw(filter=lines(function))
        peer.sendall(b"a\nb\n")
        self.assertEqual(b"", await in_thread(read_all, peer))
        peer.close()
        await process.closed
        self.assertEqual([b"a"], seen)

    async def test_functions_that_take_time(self) -> None:
        seen: list[bytes] = []
        gates: list[Deferred[None]] = []

        async def function(process: NetworkProcess, line: bytes) -> None:
            gates.append(Deferred())
            await gates[-1]
            seen.append(line)

        process, peer = await self.client_of_raw(filter=lines(function))
        peer.sendall(b"a\nb\nc\n")
        peer.close()
        for count in range(1, 4):
            await self.until(lambda count=count: len(gates) == count)
            await self.turn()
            self.assertEqual(count, len(gates))
            gates[-1].callback(None)
        await process.closed
        self.assertEqual([b"a", b"b", b"c"], seen)

    def test_processes_are_not_kept(self) -> None:
        class Process:
            live, stopped = True, False
            filter = lines(lambda p, line: None)

        process = Process()
        Process.filter(process, "unfinished")
        self.assertEqual(1, len(Process.filter._splitters))
        del process
        gc.collect()
        self.assertEqual(0, len(Process.filter._splitters))

    async def test_unread_outside_of_the_filter(self) -> None:
        seen: list[bytes] = []
        process, _ = await self.client_of_raw(filter=lambda p, data: seen.append(data))
        process.unread(b"again")
        self.assertEqual([b"again"], seen)
        process.delete()
        process.unread(b"too late")
        self.assertEqual([b"again"], seen)

    def test_what_cannot_be(self) -> None:
        for call, problem in (
            (lambda: lines(None), "function: None is not a function"),
            (lambda: lines(print, delimiter=""), "delimiter: '' is no text to end a line"),
            (lambda: lines(print, max_length=-1), "max_length: -1 is not a number of bytes"),
            (lambda: length_prefixed(print, 3), "size: 3 is none of 1, 2, 4 and 8"),
            (
                lambda: length_prefixed(print, byteorder="odd"),
                "byteorder: 'odd' is neither 'big' nor 'little'",
            ),
        ):
            self.assertEqual(problem, str(self.assertRaises(ProcessArgumentError, call)))


class LengthPrefixedTests(TcpFixture):
    async def test_messages(self) -> None:
        seen: list[bytes] = []
        _, peer = await self.client_of_raw(
            filter=length_prefixed(lambda p, message: seen.append(message), 2)
        )
        for byte in b"\0\3abc\0\0\0\1d":
            peer.send(bytes([byte]))
        await self.until(lambda: len(seen) == 3)
        self.assertEqual([b"abc", b"", b"d"], seen)

    async def test_too_long_a_message(self) -> None:
        process, peer = await self.client_of_raw(filter=length_prefixed(print, max_length=10))
        peer.sendall(b"\0\0\0\x0b")
        peer.close()
        await process.closed
        self.assertEqual("a message is longer than 10 bytes", str(process.reason))

    async def test_text_has_no_lengths(self) -> None:
        process, peer = await self.client_of_raw(filter=length_prefixed(print), coding="utf-8-unix")
        peer.sendall(b"\0")
        peer.close()
        await process.closed
        self.assertEqual(errno.EINVAL, process.reason.errno)
