"""A filter that returns an awaitable delays further input of its process, and the end of input."""

from __future__ import annotations

import errno
from collections.abc import Generator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks

from netproc import NetworkProcess, ProcessError
from netproc.test.support.base import PATIENCE
from netproc.test.support.fixtures import BROKEN, MB, Recorder, TcpFixture, echo
from netproc.test.support.peers import in_thread, read_exactly, reset


class AsyncFilterTests(TcpFixture):
    async def test_one_call_at_a_time(self) -> None:
        running: list[int] = []
        pieces: list[bytes] = []

        async def filter(process: NetworkProcess, data: bytes) -> None:
            self.assertEqual([], running)
            running.append(1)
            await self.turn()
            pieces.append(data)
            running.pop()

        _, peer = await self.client_of_raw(filter=filter)
        for number in range(5):
            peer.sendall(b"%d" % number)
            await self.turn()
        await self.until(lambda: b"".join(pieces) == b"01234")

    async def test_deferreds_are_waited_for(self) -> None:
        gates: list[Deferred[None]] = []

        def filter(process: NetworkProcess, data: bytes) -> Deferred[None]:
            gates.append(Deferred())
            return gates[-1]

        process, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"a")
        await self.until(lambda: gates)
        peer.sendall(b"b")
        peer.close()
        await self.nothing_happens((1, []), lambda: (len(gates), self.events(process)))
        gates[0].callback(None)
        await self.until(lambda: len(gates) == 2)
        await self.nothing_happens("open", lambda: process.status)
        gates[1].callback(None)
        await process.closed
        self.assertEqual([BROKEN], self.events(process))

    async def test_a_deferred_that_has_fired_is_nothing_to_wait_for(self) -> None:
        recorder = Recorder()

        def filter(process: NetworkProcess, data: bytes) -> Deferred[None]:
            recorder(process, data)
            done: Deferred[None] = Deferred()
            done.callback(None)
            return done

        _, peer = await self.client_of_raw(filter=filter)
        for expected in (1, 2, 3):
            peer.sendall(b"x")
            await self.until(lambda wanted=expected: len(recorder.data) == wanted)

    async def test_loss_waits_too_but_drain_does_not(self) -> None:
        failures: list[ProcessError] = []
        gate: Deferred[None] = Deferred()

        async def filter(process: NetworkProcess, data: bytes) -> None:
            process.send(b"x" * 15 * MB)
            try:
                await process.drain()
            except ProcessError as error:
                failures.append(error)
            await gate

        process, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"go")
        await self.until(lambda: process.pending)
        reset(peer)
        await self.until(lambda: failures)
        await self.nothing_happens([], lambda: self.events(process))
        gate.callback(None)
        await process.closed
        self.assertEqual([BROKEN], self.events(process))

    async def test_waiting_for_its_own_output_fails_at_once(self) -> None:
        failures: list[int | None] = []

        async def filter(process: NetworkProcess, data: bytes) -> None:
            try:
                await process.accept_output(PATIENCE)
            except ProcessError as error:
                failures.append(error.errno)

        _, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"x")
        await self.until(lambda: failures)
        self.assertEqual([errno.EDEADLK], failures)

    async def test_others_may_wait_while_it_runs(self) -> None:
        """A loop in the main program works with every kind of filter."""
        done: list[bytes] = []

        async def coroutine(process: NetworkProcess, data: bytes) -> None:
            await self.turn()
            done.append(data)

        @inlineCallbacks
        def generator(
            process: NetworkProcess, data: bytes
        ) -> Generator[Deferred[None], None, None]:
            yield self.turn()
            done.append(data)

        def plain(process: NetworkProcess, data: bytes) -> Deferred[None]:
            return self.turn().addCallback(lambda _: done.append(data))

        for filter in (coroutine, generator, plain):
            done.clear()
            process, peer = await self.client_of_raw(filter=filter)
            for number in range(3):
                peer.sendall(b"%d" % number)
                self.assertTrue(await process.accept_output(PATIENCE))
                # A call may also wait while the filter runs, but there is no input then.
                self.assertFalse(await process.accept_output(0))
                await self.until(lambda number=number: len(done) > number)
            peer.close()
            self.assertFalse(await process.accept_output())

    async def test_generators_too_wait_for_their_own_output_in_vain(self) -> None:
        failures: list[int | None] = []

        @inlineCallbacks
        def filter(process: NetworkProcess, data: bytes) -> Generator[Deferred[Any], Any, None]:
            yield self.turn()
            try:
                yield process.accept_output(PATIENCE)
            except ProcessError as error:
                failures.append(error.errno)

        _, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"x")
        await self.until(lambda: failures)
        self.assertEqual([errno.EDEADLK], failures)

    async def test_waiting_for_the_output_of_another(self) -> None:
        other, other_peer = await self.client_of_raw()
        answers: list[bool] = []

        waiting: list[bool] = []

        async def filter(process: NetworkProcess, data: bytes) -> None:
            waiting.append(True)
            answers.append(await other.accept_output())

        _, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"x")
        await self.until(lambda: waiting)
        other_peer.sendall(b"y")
        await self.until(lambda: answers == [True])

    async def test_delete_cancels_it_after_telling_the_sentinel(self) -> None:
        cancelled: list[list[str]] = []

        async def filter(process: NetworkProcess, data: bytes) -> None:
            try:
                await Deferred()
            except CancelledError:
                cancelled.append(list(self.events(process)))
                raise

        process, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"x")
        await self.until(lambda: process.received)
        process.delete()
        self.assertEqual(["deleted\n"], self.events(process))
        self.assertEqual([["deleted\n"]], cancelled)
        peer.close()
        await process.closed

    async def test_an_echo_that_drains_stays_bounded(self) -> None:
        async def filter(process: NetworkProcess, data: bytes) -> None:
            process.send(data)
            await process.drain()

        server = await self.server(filter=filter)
        size = 8 * MB
        peer = self.raw_client(server)
        sending = in_thread(peer.sendall, b"x" * size)
        connection = await self.connection(server)
        await self.until_quiet(lambda: connection.pending)
        self.assertLess(connection.pending, 1 * MB)
        self.assertEqual(size, len(await in_thread(read_exactly, peer, size)))
        await sending
        peer.close()
        await connection.closed

    async def test_what_it_sends_counts_as_the_filters(self) -> None:
        """If this output exceeds the high-water mark, input stays paused after the filter is done."""

        async def filter(process: NetworkProcess, data: bytes) -> None:
            await self.turn()
            process.send(b"x" * 9 * MB)

        process, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"a")
        await self.until(lambda: process.pending)
        await self.until_quiet(lambda: process.pending)
        peer.sendall(b"b")
        await self.nothing_happens((1, 9 * MB), lambda: (process.received, process.sent))
        reading = in_thread(read_exactly, peer, 18 * MB)
        self.assertEqual(18 * MB, len(await reading))

    async def test_stopping_meanwhile(self) -> None:
        recorder = Recorder()

        async def filter(process: NetworkProcess, data: bytes) -> None:
            process.stop()
            await self.turn()
            recorder(process, data)

        process, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"a")
        await self.until(lambda: recorder.pieces)
        peer.sendall(b"b")
        await self.nothing_happens([b"a"], lambda: recorder.pieces)
        process.filter = echo
        process.resume()
        self.assertEqual(b"b", await in_thread(read_exactly, peer, 1))
