"""A peer that does not read takes bounded memory, and does not delay other connections (H6)."""

from __future__ import annotations

import errno
import tracemalloc

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from netproc import Buffer, NetworkProcess, ProcessError, get_buffer_create
from netproc.core.delivery import Delivery
from netproc.core.limits import MIB
from netproc.test.support.fixtures import TcpFixture, echo
from netproc.test.support.peers import in_thread, read_exactly


class Allocations:
    """Counts the bytes that Python allocates from now to the end of the test."""

    def __init__(self, test: SynchronousTestCase) -> None:
        tracemalloc.start()
        test.addCleanup(tracemalloc.stop)

    @property
    def most(self) -> int:
        """The largest number of bytes allocated at any time."""
        _, most = tracemalloc.get_traced_memory()
        return most


class StalledPeerTests(TcpFixture):
    async def offer(self, process: NetworkProcess, total: int) -> None:
        """Send TOTAL bytes, and wait for `drain` after each piece."""
        piece = b"x" * 64 * 1024
        for _ in range(total // len(piece)):
            process.send(piece)
            await process.drain()

    async def test_300_mb_through_drain_take_20_mb_at_most(self) -> None:
        server = await self.server(filter=echo)
        process, peer = await self.client_of_raw()
        allocations = Allocations(self)
        done = Deferred.fromCoroutine(self.offer(process, 300 * 1_000_000))
        await self.until_quiet(lambda: process.pending)
        self.assertNoResult(done)
        self.assertLess(allocations.most, 20 * 1_000_000)

        # Another connection is still served.
        other = self.raw_client(server)
        other.sendall(b"ping")
        self.assertEqual(b"ping", await in_thread(read_exactly, other, 4))
        other.close()

        process.delete()
        peer.close()
        await process.closed
        await self.assertFailure(done, ProcessError)

    async def test_the_cap_bounds_what_does_not_drain(self) -> None:
        process, peer = await self.client_of_raw()
        allocations = Allocations(self)
        piece = b"x" * 64 * 1024
        refused = 0
        for _ in range(300 * 1_000_000 // len(piece)):
            try:
                process.send(piece)
            except ProcessError:
                refused += 1
        self.assertGreater(refused, 4000)
        self.assertLessEqual(process.pending, 16 * MIB)
        self.assertLess(allocations.most, 20 * 1_000_000)
        process.limits = type(process.limits)(flush_timeout=0.05)
        process.delete()
        await process.closed
        peer.close()

    async def test_small_sends_weigh_no_more_than_large_ones(self) -> None:
        process, peer = await self.client_of_raw()
        process.send(b"x" * 8 * MIB)
        await self.until_quiet(lambda: process.pending)
        allocations = Allocations(self)
        for _ in range(100_000):
            process.send(b"ab")
        self.assertLess(allocations.most, 3_200_000)
        peer.close()
        process.delete()
        await process.closed


class BufferTests(TcpFixture):
    async def test_a_full_buffer_stops_reading_and_loses_nothing(self) -> None:
        process, peer = await self.client_of_raw(buffer="b", coding="utf-8")
        assert process.buffer is not None
        process.buffer.limit = 2_000_000
        size = 100_000_000
        sending = in_thread(peer.sendall, b"0123456789" * (size // 10))
        buffer = process.buffer
        await self.until(lambda: len(buffer) == 2_000_000)
        await self.nothing_happens(2_000_000, lambda: len(buffer))
        taken = 0
        while taken < size:
            piece = buffer.take(1_500_000)
            # Each piece has a multiple of ten bytes, so it begins with a zero.
            self.assertEqual(piece, ("0123456789" * (len(piece) // 10 + 1))[: len(piece)])
            taken += len(piece)
            buffer_was_full = await self.filled_again(buffer, size - taken)
            self.assertTrue(buffer_was_full)
        self.assertEqual(size, taken)
        await sending
        peer.close()
        await process.closed
        self.assertIn("connection broken by remote peer", buffer.text)

    async def filled_again(self, buffer: Buffer, left: int) -> bool:
        """Wait until BUFFER is full or has all LEFT bytes; return whether it keeps its limit."""
        await self.until(lambda: len(buffer) == min(buffer.limit, left))
        return len(buffer) <= buffer.limit

    async def test_what_a_filter_gives_back_has_a_bound(self) -> None:
        self.patch(Delivery, "MOST_SEEN", 1000)
        process, peer = await self.client_of_raw(filter=lambda p, data: p.unread(data))
        peer.sendall(b"x" * 1000)
        await self.until(lambda: process._input.delivery.seen == 1000)
        peer.sendall(b"x")
        peer.close()
        await process.closed
        assert process.reason is not None
        self.assertEqual(errno.EMSGSIZE, process.reason.errno)

    async def test_nobody_is_left_waiting_for_room(self) -> None:
        buffer = get_buffer_create("full")
        self.addCleanup(buffer.kill)
        buffer.limit = 0
        for _ in range(3):
            process, peer = await self.client_of_raw(buffer=buffer)
            peer.sendall(b"x")
            await self.until(lambda: buffer._waiting)
            for _ in range(3):
                process.filter = None
            self.assertEqual(1, len(buffer._waiting))
            process.sentinel = lambda process, event: None
            process.delete()
            self.assertEqual(0, len(buffer._waiting))

    async def test_a_full_buffer_holds_the_end_back_too(self) -> None:
        process, peer = await self.client_of_raw(buffer="b", coding="utf-8")
        assert process.buffer is not None
        process.buffer.limit = 4
        peer.sendall(b"012345")
        peer.close()
        await self.until(lambda: process.received == 6)
        await self.nothing_happens([], lambda: self.events(process))
        self.assertEqual("0123", process.buffer.take(4))
        await process.closed
        self.assertTrue(process.buffer.text.startswith("45\nProcess client connection broken"))

    async def test_another_filter_takes_over_from_a_full_buffer(self) -> None:
        got: list[str] = []
        process, peer = await self.client_of_raw(buffer="b", coding="utf-8")
        assert process.buffer is not None
        process.buffer.limit = 3
        peer.sendall(b"abcdef")
        await self.until(lambda: process.received == 6)
        process.filter = lambda _, text: got.append(text)
        await self.until(lambda: got == ["def"])
        peer.close()
        await process.closed
