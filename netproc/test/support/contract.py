"""The contract of stream processes, which holds for every kind of stream.

`test_tcp.py`, `test_unix.py` and `test_foreign.py` run it over their kind of socket; "make reactors" runs these
on every reactor.
"""

from __future__ import annotations

import dataclasses
import errno
import socket
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from netproc import NetworkProcess, ProcessError
from netproc.core.limits import DEFAULT_LIMITS
from netproc.test.support.base import PATIENCE
from netproc.test.support.fixtures import BROKEN, MB, TIMES, Recorder, echo
from netproc.test.support.peers import (
    in_thread,
    read_all,
    read_exactly,
    request_and_half_close,
    reset,
)


class HalfCloseContract:
    """A peer that shuts its writing side gets the whole reply (H1, H2, F1)."""

    async def replies_of_server(self, request: bytes, times: int) -> None:
        server = await self.server(filter=echo)
        complete = 0
        for _ in range(times):
            peer = self.raw_client(server)
            complete += await in_thread(request_and_half_close, peer, request) == request
        self.assertEqual(times, complete)
        self.assertEqual([BROKEN] * times, [self.events(p)[-1] for p in self.connections(server)])

    async def replies_of_client(self, request: bytes, times: int) -> None:
        complete = 0
        for _ in range(times):
            process, peer = await self.client_of_raw(filter=echo)
            complete += await in_thread(request_and_half_close, peer, request) == request
            await process.closed
            self.assertEqual([*self.opened, BROKEN], self.events(process))
        self.assertEqual(times, complete)

    def test_small_reply_of_server_every_time(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.replies_of_server(b"request", TIMES))

    def test_small_reply_of_client_every_time(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.replies_of_client(b"request", TIMES))

    def test_3_mb_reply_of_server_every_time(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.replies_of_server(b"x" * 3 * MB, TIMES))

    def test_3_mb_reply_of_client_every_time(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.replies_of_client(b"x" * 3 * MB, TIMES))

    async def test_16_mb_through_an_echo_server_and_back(self) -> None:
        server = await self.server(filter=echo)
        recorder = Recorder()
        client = await self.client(server, filter=recorder)
        data = bytes(range(256)) * (16 * MB // 256)
        client.send(data)
        client.send_eof()
        await client.closed
        self.assertTrue(recorder.data == data, len(recorder.data))

    async def test_sends_of_an_async_filter_behind_the_half_close(self) -> None:
        async def slow(process: NetworkProcess, data: bytes) -> None:
            await self.turn()
            process.send(b"late " + data)

        server = await self.server(filter=slow)
        reply = await in_thread(request_and_half_close, self.raw_client(server), b"request")
        self.assertEqual(b"late request", reply)

    async def test_send_eof_keeps_reading(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        process.send(b"last")
        process.send_eof()
        process.send_eof()
        self.assertEqual(b"last", await in_thread(read_all, peer))
        self.assertEqual("open", process.status)
        error = self.assertRaises(ProcessError, process.send, b"more")
        self.assertEqual(errno.EPIPE, error.errno)
        peer.sendall(b"answer")
        peer.close()
        await process.closed
        self.assertEqual((b"answer", [*self.opened, BROKEN]), (recorder.data, self.events(process)))


class CloseContract:
    """Closing is orderly, and reports whether all output was delivered."""

    async def test_reply_and_delete_while_the_peer_uploads_every_time(self) -> None:
        reply = b"r" * 300_000

        def answer(process: NetworkProcess, data: bytes) -> None:
            process.send(reply)
            process.delete()

        def upload(sock: socket.socket) -> bytes:
            with sock:
                sock.sendall(b"u" * 400_000)
                return read_all(sock)

        server = await self.server(filter=answer)
        whole = 0
        for _ in range(TIMES):
            whole += await in_thread(upload, self.raw_client(server)) == reply
        self.assertEqual(TIMES, whole)
        for connection in self.connections(server):
            await connection.closed
            self.assertEqual((0, None), (connection.unsent, connection.reason))

    async def test_delete_writes_what_was_sent(self) -> None:
        process, peer = await self.client_of_raw()
        process.send(b"x" * 8 * MB)
        process.delete()
        self.assertEqual(
            ("closed", [*self.opened, "deleted\n"]), (process.status, self.events(process))
        )
        self.assertEqual(8 * MB, len(await in_thread(read_all, peer)))
        peer.close()
        await process.closed
        self.assertEqual((0, None), (process.unsent, process.reason))

    async def test_a_peer_that_does_not_read_is_given_up(self) -> None:
        process, _ = await self.client_of_raw()
        process.limits = dataclasses.replace(DEFAULT_LIMITS, flush_timeout=0.1, send_cap=64 * MB)
        # More than the kernel takes, even if a TLS peer reads some of it.
        process.send(b"x" * 48 * MB)
        process.delete()
        await process.closed
        self.assertGreater(process.unsent, 5 * MB)
        assert process.reason is not None
        self.assertEqual(errno.ETIMEDOUT, process.reason.errno)

    async def test_draining_to_the_last_byte(self) -> None:
        process, peer = await self.client_of_raw()
        process.limits = dataclasses.replace(DEFAULT_LIMITS, low_water=0)
        process.send(b"x" * 8 * MB)
        drained = process.drain()
        self.assertEqual(8 * MB, len(await in_thread(read_exactly, peer, 8 * MB)))
        await drained
        self.assertEqual(0, process.pending)

    async def test_a_peer_that_does_not_end_is_left(self) -> None:
        process, _ = await self.client_of_raw()
        process.limits = dataclasses.replace(DEFAULT_LIMITS, linger_timeout=0.1)
        process.send(b"bye")
        process.delete()
        await process.closed
        self.assertEqual((0, None), (process.unsent, process.reason))

    async def test_reset_is_told_after_the_data(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        peer.sendall(b"data")
        await self.until(lambda: recorder.pieces)
        reset(peer)
        await process.closed
        self.assertEqual((b"data", [*self.opened, BROKEN]), (recorder.data, self.events(process)))
        self.assertEqual(256, process.exit_status)

    async def test_sending_to_what_has_ended(self) -> None:
        process, peer = await self.client_of_raw()
        peer.close()
        await process.closed
        for send in (lambda: process.send(b"x"), process.send_eof):
            error = self.assertRaises(ProcessError, send)
            self.assertEqual("Process client not running", str(error))
        process.delete()
        self.assertEqual(([*self.opened, BROKEN], 0), (self.events(process), process.exit_status))


class StopContract:
    """A stopped process gets nothing, then everything in order, then the end (N142, N146)."""

    async def held(self, hold: Any, let_go: Any) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        hold(process, recorder)
        peer.sendall(b"one")
        await self.nothing_happens([], lambda: recorder.pieces)
        peer.sendall(b"two")
        peer.close()
        await self.nothing_happens(
            ([], self.opened), lambda: (recorder.pieces, self.events(process))
        )
        let_go(process, recorder)
        await process.closed
        self.assertEqual((b"onetwo", [*self.opened, BROKEN]), (recorder.data, self.events(process)))

    async def test_stop(self) -> None:
        await self.held(lambda p, r: p.stop(), lambda p, r: p.resume())

    async def test_filter_true(self) -> None:
        await self.held(
            lambda p, r: setattr(p, "filter", True), lambda p, r: setattr(p, "filter", r)
        )

    async def test_stop_and_resume_do_not_override_filter_true(self) -> None:
        def let_go(process: NetworkProcess, recorder: Recorder) -> None:
            process.stop()
            process.resume()
            self.assertEqual([], recorder.pieces)
            process.filter = recorder

        await self.held(lambda p, r: setattr(p, "filter", True), let_go)

    async def test_made_stopped(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder, stop=True)
        self.assertEqual("stop", process.status)
        peer.sendall(b"x")
        await self.nothing_happens([], lambda: recorder.pieces)
        process.resume()
        await self.until(lambda: recorder.data == b"x")

    async def test_stopping_inside_the_filter(self) -> None:
        recorder = Recorder()

        def stop(process: NetworkProcess, data: bytes) -> None:
            recorder(process, data)
            process.stop()

        process, peer = await self.client_of_raw(filter=stop)
        peer.sendall(b"one")
        await self.until(lambda: recorder.pieces)
        peer.sendall(b"two")
        await self.nothing_happens([b"one"], lambda: recorder.pieces)
        process.resume()
        await self.until(lambda: recorder.pieces == [b"one", b"two"])

    async def test_stop_and_resume_inside_the_filter(self) -> None:
        recorder = Recorder()

        def both(process: NetworkProcess, data: bytes) -> None:
            recorder(process, data)
            process.stop()
            process.resume()

        _, peer = await self.client_of_raw(filter=both)
        for expected in (b"a", b"ab", b"abc"):
            peer.sendall(expected[-1:])
            await self.until(lambda wanted=expected: recorder.data == wanted)

    async def test_sending_while_stopped(self) -> None:
        process, peer = await self.client_of_raw(stop=True)
        process.send(b"x")
        self.assertEqual(b"x", await in_thread(read_exactly, peer, 1))

    async def test_a_stopped_server_accepts_later(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder)
        server.stop()
        self.assertEqual("stop", server.status)
        with self.raw_client(server) as peer:
            peer.sendall(b"early")
            await self.nothing_happens([], lambda: self.connections(server))
            server.resume()
            self.assertEqual("listen", server.status)
            await self.until(lambda: recorder.data == b"early")
        await (await self.connection(server)).closed

    async def test_deleting_a_stopped_process(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder, stop=True)
        peer.sendall(b"unread")
        process.delete()
        self.assertEqual([*self.opened, "deleted\n"], self.events(process))
        peer.close()
        await process.closed
        self.assertEqual([], recorder.pieces)


class FlowContract:
    """Output is bounded, and a peer that does not read affects only its own connection."""

    async def test_drain_fires_when_the_peer_has_read(self) -> None:
        process, peer = await self.client_of_raw()
        await process.drain()
        process.send(b"x" * 8 * MB)
        drained = process.drain()
        await self.nothing_happens(False, lambda: drained.called)
        reading = in_thread(read_exactly, peer, 8 * MB)
        await drained
        self.assertLess(process.pending, DEFAULT_LIMITS.low_water)
        self.assertEqual(8 * MB, len(await reading))

    async def test_drain_fails_when_the_peer_is_lost(self) -> None:
        process, peer = await self.client_of_raw()
        process.send(b"x" * 15 * MB)
        drained = process.drain()
        await self.until_quiet(lambda: process.pending)
        reset(peer)
        await self.assertFailure(drained, ProcessError)
        await process.closed
        self.assertGreater(process.unsent, 0)

    async def test_the_cap_refuses_a_call_whole(self) -> None:
        process, peer = await self.client_of_raw()
        cap = DEFAULT_LIMITS.send_cap
        process.send(b"x" * (cap + 5 * MB))
        await self.until_quiet(lambda: process.pending)
        pending = process.pending
        self.assertGreater(pending, cap // 2)
        error = self.assertRaises(ProcessError, process.send, b"y" * cap)
        self.assertEqual((errno.ENOBUFS, pending), (error.errno, process.pending))
        reading = in_thread(read_exactly, peer, cap + 5 * MB)
        self.assertEqual({ord("x")}, set(await reading))

    async def test_an_echo_to_a_peer_that_does_not_read_stays_bounded(self) -> None:
        server = await self.server(filter=echo)
        peer = self.raw_client(server)
        peer.setblocking(False)
        sent = 0
        for _ in range(100):
            try:
                sent += peer.send(b"x" * MB)
            except BlockingIOError:
                pass
            await self.turn()
        connection = await self.connection(server)
        self.assertLess(connection.pending, 1 * MB)
        peer.setblocking(True)
        received = await in_thread(read_exactly, peer, sent)
        self.assertEqual(sent, len(received))
        peer.close()
        await connection.closed

    async def test_other_output_does_not_stop_reading(self) -> None:
        """Otherwise two busy ends would block each other."""
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        process.send(b"x" * 15 * MB)
        await in_thread(peer.sendall, b"y" * 5 * MB)
        await self.until(lambda: len(recorder.data) == 5 * MB)
        await in_thread(read_exactly, peer, 15 * MB)

    async def test_many_connections_at_once(self) -> None:
        server = await self.server(filter=echo, **({} if self.foreign else {"server": 128}))
        peers = [self.raw_client(server) for _ in range(50)]
        replies = [
            in_thread(request_and_half_close, peer, b"%d" % number * 1000)
            for number, peer in enumerate(peers)
        ]
        expected = [b"%d" % number * 1000 for number in range(50)]
        self.assertEqual(expected, await gatherResults(replies))

    #: Whether the endpoint is another package's.
    foreign = False


class InputContract:
    """A filter may return unused input, and callers may wait for its input."""

    async def test_giving_everything_back_waits_for_more(self) -> None:
        given: list[bytes] = []

        def filter(process: NetworkProcess, data: bytes) -> None:
            given.append(data)
            if not data.endswith(b"\n"):
                process.unread(data)

        _, peer = await self.client_of_raw(filter=filter)
        for piece in (b"half", b" a ", b"line\n"):
            peer.sendall(piece)
            await self.until(lambda piece=piece: given and given[-1].endswith(piece))
        self.assertEqual([b"half", b"half a ", b"half a line\n"], given)

    async def test_what_is_given_back_in_the_last_call_is_for_another_filter(self) -> None:
        recorder = Recorder()

        def first(process: NetworkProcess, text: str) -> None:
            if text.endswith("\udcc3"):
                process.filter = recorder
                process.unread(text)

        process, peer = await self.client_of_raw(filter=first, coding="utf-8-unix")
        peer.sendall(b"caf\xc3")
        peer.close()
        await process.closed
        self.assertEqual(("\udcc3", [*self.opened, BROKEN]), (recorder.data, self.events(process)))

    async def test_waiting_for_output_sees_the_end_that_has_come(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder, stop=True)
        peer.sendall(b"x" * 20_000)
        peer.close()
        process.resume()
        while await process.accept_output(PATIENCE):
            pass
        self.assertEqual(
            (b"x" * 20_000, [*self.opened, BROKEN]), (recorder.data, self.events(process))
        )


class StreamContract(HalfCloseContract, CloseContract, StopContract, FlowContract, InputContract):
    """All of it."""
