"""framing.py: lines and messages over real connections."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from netproc import NetworkProcess, ProcessArgumentError, length_prefixed, lines
from netproc.core.framing import LineSplitter
from netproc.test.support.fixtures import TcpFixture
from netproc.test.support.peers import in_thread, read_all, read_exactly


class LinesTests(TcpFixture):
    async def take(self, data: bytes, count: int, **keywords: Any) -> list[Any]:
        """Return the COUNT lines of DATA, which the peer sends byte by byte."""
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
            await self.nothing_happens(expected[:-1], lambda: seen)
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

    async def test_processes_are_not_kept(self) -> None:
        filter = lines(lambda p, line: None)
        process, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"unfinished")
        await self.until(lambda: process.received)
        process.delete()
        self.assertIsNone(process._input.unused)
        peer.close()
        await process.closed

    async def test_an_error_in_the_function_does_not_hold_up_the_rest(self) -> None:
        seen: list[bytes] = []

        def function(process: NetworkProcess, line: bytes) -> None:
            seen.append(line)
            raise ValueError(line)

        _, peer = await self.client_of_raw(filter=lines(function))
        peer.sendall(b"a\nb\nc\n")
        await self.until(lambda: len(seen) == 3)
        self.assertEqual([b"a", b"b", b"c"], seen)
        self.assertEqual(3, len(self.flushLoggedErrors(ValueError)))

    async def test_an_error_in_a_coroutine_function_neither(self) -> None:
        seen: list[bytes] = []

        async def function(process: NetworkProcess, line: bytes) -> None:
            await self.turn()
            seen.append(line)
            raise ValueError(line)

        _, peer = await self.client_of_raw(filter=lines(function))
        peer.sendall(b"a\nb\n")
        await self.until(lambda: len(seen) == 2)
        await self.turn()
        self.assertEqual(2, len(self.flushLoggedErrors(ValueError)))

    async def test_a_piece_is_cut_once_however_many_lines_it_has(self) -> None:
        """Otherwise short lines would take quadratic time."""
        seen: list[bytes] = []
        cut: list[bytes] = []
        feed = LineSplitter.feed

        def counting(splitter: LineSplitter, data: bytes) -> None:
            cut.append(data)
            feed(splitter, data)

        self.patch(LineSplitter, "feed", counting)

        async def function(process: NetworkProcess, line: bytes) -> None:
            seen.append(line)
            if len(seen) % 5000 == 0:
                await self.turn()

        _, peer = await self.client_of_raw(filter=lines(function))
        peer.sendall(b"\n" * 60_000)
        await self.until(lambda: len(seen) == 60_000)
        self.assertEqual(60_000, sum(map(len, cut)))

    async def test_a_function_that_returns_something(self) -> None:
        seen: list[bytes] = []
        _, peer = await self.client_of_raw(filter=lines(lambda p, line: seen.append(line) or True))
        peer.sendall(b"a\nb\n")
        await self.until(lambda: seen == [b"a", b"b"])

    async def test_stopping_while_the_function_takes_its_time(self) -> None:
        seen: list[bytes] = []
        gate: Deferred[None] = Deferred()

        async def function(process: NetworkProcess, line: bytes) -> None:
            seen.append(line)
            if line == b"a":
                await gate

        process, peer = await self.client_of_raw(filter=lines(function))
        peer.sendall(b"a\nb\nc")
        await self.until(lambda: seen)
        process.stop()
        gate.callback(None)
        peer.sendall(b"d\n")
        await self.nothing_happens([b"a"], lambda: seen)
        process.resume()
        await self.until(lambda: seen == [b"a", b"b", b"cd"])

    async def test_deleting_while_the_function_takes_its_time(self) -> None:
        seen: list[bytes] = []
        cancelled: list[bytes] = []

        async def function(process: NetworkProcess, line: bytes) -> None:
            seen.append(line)
            try:
                await Deferred()
            except CancelledError:
                cancelled.append(line)
                raise

        process, peer = await self.client_of_raw(filter=lines(function))
        peer.sendall(b"a\nb\n")
        await self.until(lambda: seen)
        process.delete()
        self.assertEqual(([b"a"], [b"a"]), (seen, cancelled))
        peer.close()
        await process.closed

    async def test_another_filter_from_outside_gets_the_unfinished_line(self) -> None:
        rest: list[bytes] = []
        process, peer = await self.client_of_raw(filter=lines(lambda p, line: None))
        peer.sendall(b"line\nunfinished")
        await self.until(lambda: process.received == 15)
        process.filter = lambda p, data: rest.append(data)
        self.assertEqual([b"unfinished"], rest)

    async def test_another_coding_holds_for_the_rest(self) -> None:
        """All bytes after the line are received as they were sent."""
        payload = bytes(range(256))
        seen: list[bytes] = []

        def header(process: NetworkProcess, line: str) -> None:
            process.coding = "binary"
            process.filter = length_prefixed(lambda p, message: seen.append(message), 2)

        for coding in ("utf-8-unix", "latin-1-unix", "undecided-unix", "us-ascii-unix"):
            _, peer = await self.client_of_raw(filter=lines(header), coding=coding)
            peer.sendall(b"BINARY\n\x01\x00" + payload)
            await self.until(lambda: seen)
            self.assertEqual(payload, seen.pop())

    async def test_another_coding_and_the_same_filter(self) -> None:
        seen: list[Any] = []

        def function(process: NetworkProcess, line: Any) -> None:
            seen.append(line)
            if line == "binary":
                process.coding = "binary"

        process, peer = await self.client_of_raw(filter=lines(function), coding="utf-8-unix")
        peer.sendall("é\nbinary\né\né".encode())
        await self.until(lambda: len(seen) == 3)
        process.coding = "latin-1-unix"
        peer.sendall(b"\n")
        await self.until(lambda: len(seen) == 4)
        self.assertEqual(["é", "binary", "é".encode(), "Ã©"], seen)

    async def test_filter_multibyte_holds_for_the_unfinished_line(self) -> None:
        seen: list[Any] = []
        process, peer = await self.client_of_raw(
            filter=lines(lambda p, line: seen.append(line)), coding="utf-8-unix"
        )
        peer.sendall("é".encode())
        await self.until(lambda: process.received)
        process.filter_multibyte = False
        peer.sendall(b"\n")
        await self.until(lambda: seen)
        self.assertEqual(["é".encode()], seen)

    async def test_another_coding_while_it_is_stopped(self) -> None:
        seen: list[Any] = []

        def function(process: NetworkProcess, line: Any) -> None:
            seen.append(line)
            process.stop()

        process, peer = await self.client_of_raw(filter=lines(function), coding="utf-8-unix")
        peer.sendall(b"a\nrest\xc3")
        await self.until(lambda: seen)
        process.coding = "binary"
        process.resume()
        peer.sendall(b"\xa9\n")
        await self.until(lambda: seen == ["a", b"rest\xc3\xa9"])

    async def test_a_filter_may_call_it(self) -> None:
        seen: list[bytes] = []
        framing = lines(lambda p, line: seen.append(line))

        def filter(process: NetworkProcess, data: bytes) -> None:
            framing(process, data)

        process, peer = await self.client_of_raw(filter=filter)
        for piece in (b"a\nb", b"c\n"):
            before = process.received
            peer.sendall(piece)
            await self.until(lambda before=before: process.received > before)
        await self.until(lambda: seen == [b"a", b"bc"])

    async def test_a_filter_may_call_one_and_then_another(self) -> None:
        seen: list[tuple[str, bytes]] = []
        first = lines(lambda p, line: seen.append(("first", line)))
        second = lines(lambda p, line: seen.append(("second", line)))
        using = [first]

        def filter(process: NetworkProcess, data: bytes) -> None:
            using[-1](process, data)

        _, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"a\nb")
        await self.until(lambda: seen)
        using.append(second)
        peer.sendall(b"c\n")
        await self.until(lambda: len(seen) == 2)
        self.assertEqual([("first", b"a"), ("second", b"bc")], seen)

    async def test_many_questions_with_large_answers_at_once(self) -> None:
        """The answers to one piece of input may exceed the limit of pending output."""
        size, count = 1_000_000, 40
        server = await self.server(filter=lines(lambda p, line: p.send(b"x" * size)))
        peer = self.raw_client(server)
        peer.sendall(b"\n" * count)
        self.assertEqual(size * count, len(await in_thread(read_exactly, peer, size * count)))
        peer.close()
        await (await self.connection(server)).closed

    async def test_unread_outside_of_the_filter(self) -> None:
        seen: list[bytes] = []
        process, _ = await self.client_of_raw(filter=lambda p, data: seen.append(data))
        process.unread(b"again")
        self.assertEqual([b"again"], seen)
        error = self.assertRaises(ProcessArgumentError, process.unread, "text")
        self.assertEqual("text: str given, but the filter receives bytes", str(error))
        process.delete()
        process.unread(b"too late")
        self.assertEqual([b"again"], seen)

    def test_what_cannot_be(self) -> None:
        for call, problem in (
            (lambda: lines(None), "function: None is not a function"),
            (
                lambda: lines(print, delimiter=""),
                "delimiter: '' is not a string of at least one character",
            ),
            (lambda: lines(print, max_length=-1), "max_length: -1 is not a number of bytes"),
            (lambda: length_prefixed(print, 3), "size: 3 is not 1, 2, 4 or 8"),
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
