"""Callbacks may do anything, and an exception in one does not affect other processes (P11, P12, D7)."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning

from netproc import NetworkProcess, ProcessError, make_network_process
from netproc.test.support.fixtures import BROKEN, Recorder, TcpFixture, echo
from netproc.test.support.peers import in_thread, read_exactly, request_and_half_close


class Oops(Exception):
    pass


def fail(*arguments: Any) -> None:
    raise Oops


class RaisingTests(TcpFixture):
    def logged(self, times: int = 1) -> None:
        self.assertEqual(times, len(self.flushLoggedErrors(Oops)))

    async def test_a_filter_that_raises_is_called_again(self) -> None:
        recorder = Recorder()

        def filter(process: NetworkProcess, data: bytes) -> None:
            recorder(process, data)
            raise Oops

        process, peer = await self.client_of_raw(filter=filter)
        peer.sendall(b"a")
        await self.until(lambda: recorder.data == b"a")
        peer.sendall(b"b")
        await self.until(lambda: recorder.data == b"ab")
        self.assertEqual("open", process.status)
        self.logged(2)

    async def test_what_would_end_the_program_stops_the_reactor(self) -> None:
        stops: list[str] = []

        def stop() -> None:
            stops.append("stop")
            if len(stops) > 1:
                raise ReactorNotRunning

        def leave(process: NetworkProcess, data: bytes) -> None:
            raise SystemExit

        async def leave_later(process: NetworkProcess, data: bytes) -> None:
            await self.turn()
            raise KeyboardInterrupt

        self.patch(reactor, "stop", stop)
        for number, filter in enumerate((leave, leave_later, leave), 1):
            process, peer = await self.client_of_raw(filter=filter)
            peer.sendall(b"x")
            await self.until(lambda number=number: len(stops) == number)
            peer.close()
            await process.closed
        self.assertEqual(2, len(self.flushLoggedErrors(SystemExit)))
        self.assertEqual(1, len(self.flushLoggedErrors(KeyboardInterrupt)))

    async def test_a_raising_filter_does_not_stop_others(self) -> None:
        server = await self.server(filter=echo)
        process, peer = await self.client_of_raw(filter=fail)
        peer.sendall(b"x")
        await self.until(lambda: process.received)
        reply = await in_thread(request_and_half_close, self.raw_client(server), b"request")
        self.assertEqual(b"request", reply)
        self.logged()

    async def test_a_sentinel_that_raises(self) -> None:
        process, peer = await self.client_of_raw(sentinel=fail)
        peer.close()
        await process.closed
        self.assertEqual("closed", process.status)
        self.logged()

    async def test_delete_returns_though_the_sentinel_raises(self) -> None:
        process, _ = await self.client_of_raw(sentinel=fail)
        process.delete()
        self.logged()

    async def test_a_log_function_that_raises_does_not_eat_the_open_event(self) -> None:
        server = await self.server(filter=echo, log=fail)
        reply = await in_thread(request_and_half_close, self.raw_client(server), b"request")
        self.assertEqual(b"request", reply)
        (connection,) = self.connections(server)
        self.assertEqual(["open from 127.0.0.1\n", BROKEN], self.events(connection))
        self.logged()

    async def test_coroutines_that_raise(self) -> None:
        failing: list[object] = []

        async def fail_later(*arguments: Any) -> None:
            await self.turn()
            failing.append(arguments)
            raise Oops

        process, peer = await self.client_of_raw(filter=fail_later, sentinel=fail_later)
        peer.sendall(b"x")
        await self.until(lambda: process.received)
        peer.close()
        await process.closed
        await self.until(lambda: len(failing) == 2)
        self.logged(2)

    async def test_keyboard_interrupt_stops_the_reactor(self) -> None:
        stopped: list[int] = []
        self.patch(reactor, "stop", lambda: stopped.append(1))

        def interrupt(process: NetworkProcess, data: bytes) -> None:
            raise KeyboardInterrupt

        process, peer = await self.client_of_raw(filter=interrupt)
        peer.sendall(b"x")
        await self.until(lambda: stopped)
        self.assertEqual("open", process.status)
        self.flushLoggedErrors(KeyboardInterrupt)

    async def test_an_observer_that_raises(self) -> None:
        process, peer = await self.client_of_raw(filter=echo)
        self.addCleanup(process.table.observe(fail))
        peer.sendall(b"x")
        self.assertEqual(b"x", await in_thread(read_exactly, peer, 1))
        process.delete()
        peer.close()
        await process.closed
        self.assertEqual(["deleted\n"], self.events(process))
        # "filter", "delivered", "sentinel" and "gone".
        self.logged(4)


class ActingTests(TcpFixture):
    async def test_a_filter_that_deletes_its_process(self) -> None:
        calls: list[Any] = []

        def filter(process: NetworkProcess, data: bytes) -> None:
            process.delete()
            calls.append((len(data), self.events(process), process.status))

        process, peer = await self.client_of_raw(filter=filter)
        await in_thread(peer.sendall, b"x" * 100_000)
        peer.close()
        await process.closed
        self.assertEqual(1, len(calls))
        self.assertEqual((["deleted\n"], "closed"), calls[0][1:])

    async def test_a_sentinel_that_deletes_its_process_at_the_open(self) -> None:
        nested: list[str] = []

        def sentinel(process: NetworkProcess, event: str) -> None:
            nested.append("in " + event)
            process.delete()
            nested.append("out " + event)

        server = await self.server(filter=echo, sentinel=sentinel)
        peer = self.raw_client(server)
        connection = await self.connection(server)
        self.assertEqual(b"", await in_thread(read_exactly, peer, 1))
        peer.close()
        await connection.closed
        self.assertEqual(
            [
                "in open from 127.0.0.1\n",
                "in deleted\n",
                "out deleted\n",
                "out open from 127.0.0.1\n",
            ],
            nested,
        )
        server.sentinel = None

    async def test_deleting_the_connection_in_log_tells_no_open(self) -> None:
        def log(server: NetworkProcess, connection: NetworkProcess | None, message: str) -> None:
            assert connection is not None
            connection.delete()

        server = await self.server(filter=echo, log=log)
        peer = self.raw_client(server)
        connection = await self.connection(server)
        peer.close()
        await connection.closed
        self.assertEqual(["deleted\n"], self.events(connection))

    async def test_deleting_the_server_in_log(self) -> None:
        def log(server: NetworkProcess, connection: NetworkProcess | None, message: str) -> None:
            server.delete()

        server = await self.server(filter=echo, log=log)
        reply = await in_thread(request_and_half_close, self.raw_client(server), b"request")
        self.assertEqual((b"request", "closed"), (reply, server.status))

    async def test_deleting_another_process_that_has_data_too(self) -> None:
        one, peer_of_one = await self.client_of_raw()
        two, peer_of_two = await self.client_of_raw()
        calls: list[NetworkProcess] = []

        def filter(process: NetworkProcess, data: bytes) -> None:
            calls.append(process)
            (two if process is one else one).delete()

        one.filter = two.filter = filter
        peer_of_one.sendall(b"x")
        peer_of_two.sendall(b"x")
        await self.until(lambda: calls)
        await self.nothing_happens(1, lambda: len(calls))

    async def test_changing_the_filter_in_the_filter(self) -> None:
        second = Recorder()

        def first(process: NetworkProcess, data: bytes) -> None:
            process.filter = second

        process, peer = await self.client_of_raw(filter=first)
        peer.sendall(b"one")
        await self.until(lambda: process.filter is second)
        peer.sendall(b"two")
        await self.until(lambda: second.data == b"two")

    async def test_changing_the_sentinel_in_log(self) -> None:
        events: list[str] = []

        def log(server: NetworkProcess, connection: NetworkProcess | None, message: str) -> None:
            assert connection is not None
            connection.sentinel = lambda process, event: events.append(event)

        server = await self.server(filter=echo, log=log)
        await in_thread(request_and_half_close, self.raw_client(server), b"request")
        await self.until(lambda: len(events) == 2)
        self.assertEqual(["open from 127.0.0.1\n", BROKEN], events)

    async def test_setting_filter_true_in_the_filter_holds_the_rest(self) -> None:
        recorder = Recorder()

        def filter(process: NetworkProcess, data: bytes) -> None:
            recorder(process, data)
            process.filter = True

        process, peer = await self.client_of_raw(filter=filter)
        size = 300_000
        await in_thread(peer.sendall, b"x" * size)
        await self.until(lambda: process.filter is True)
        await self.nothing_happens(1, lambda: len(recorder.pieces))
        process.filter = recorder
        await self.until(lambda: len(recorder.data) == size)

    async def test_making_a_process_in_every_callback(self) -> None:
        server = await self.server(name="other", filter=echo)
        made: list[NetworkProcess] = []

        async def make(*arguments: Any) -> None:
            place = self.client_place(server)
            made.append(await make_network_process(name="made", **place))

        outer = await self.server(filter=make, sentinel=make, log=make)
        peer = self.raw_client(outer)
        peer.sendall(b"x")
        await self.until(lambda: len(made) == 3)
        peer.close()
        await self.until(lambda: len(made) == 4)
        for process in made:
            self.assertEqual("open", process.status)
            process.delete()
        outer.sentinel = None
        for connection in self.connections(server):
            await connection.closed

    async def test_sending_to_itself_and_others_from_a_sentinel(self) -> None:
        def sentinel(process: NetworkProcess, event: str) -> None:
            if event.startswith("open"):
                process.send(b"welcome")
            else:
                self.assertRaises(ProcessError, process.send, b"too late")

        server = await self.server(filter=echo, sentinel=sentinel)
        with self.raw_client(server) as peer:
            self.assertEqual(b"welcome", await in_thread(read_exactly, peer, 7))
        await (await self.connection(server)).closed

    async def test_processes_that_answer_each_other_for_ever(self) -> None:
        """Two filters that echo each other's data neither stop nor send more and more."""
        server = await self.server(filter=echo)
        client = await self.client(server, filter=echo)
        client.send(b"ping" * 10_000)
        await self.until(lambda: client.received > 1_000_000)
        client.delete()
        (connection,) = self.connections(server)
        await connection.closed

    async def test_a_sentinel_may_take_its_time(self) -> None:
        done: list[str] = []
        gate: Deferred[None] = Deferred()

        async def sentinel(process: NetworkProcess, event: str) -> None:
            await gate
            done.append(event)

        process, peer = await self.client_of_raw(sentinel=sentinel)
        peer.close()
        await process.closed
        gate.callback(None)
        self.assertEqual([BROKEN], done)
