"""process/tables.py, process/waiting.py, and the parts of a process that need no peer."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import netproc
from netproc import NetworkProcess, ProcessArgumentError, ProcessError, ProcessTable
from netproc.test.support.base import PATIENCE, NetprocTestCase
from netproc.test.support.fixtures import BROKEN, Recorder, TcpFixture, echo
from netproc.test.support.peers import accept, in_thread, read_exactly, request_and_half_close


class TableTests(TcpFixture):
    async def test_functions_on_processes(self) -> None:
        server = await self.server(filter=echo)
        client = await self.client(server)
        await self.until(lambda: self.connections(server))
        (connection,) = self.connections(server)
        self.assertEqual([connection, client, server], netproc.process_list())
        self.assertIs(client, netproc.get_process("client"))
        self.assertIsNone(netproc.get_process("nobody"))
        self.assertIs(client, netproc.get_process(client))
        self.assertEqual("network", client.type)
        self.assertIn("(network server on local:", netproc.list_processes())
        client.query_on_exit = False
        self.assertNotIn("client", netproc.list_processes(query_only=True))
        client.delete()
        await connection.closed

    async def test_functions_on_buffers(self) -> None:
        self.assertIsNone(netproc.get_buffer("b"))
        buffer = netproc.get_buffer_create("b")
        self.assertIs(buffer, netproc.get_buffer("b"))
        server = await self.server(buffer=buffer)
        self.assertIs(server, netproc.get_buffer_process("b"))
        buffer.kill()
        self.assertEqual(("closed", buffer), (server.status, server.buffer))
        self.assertEqual(["deleted\n"], self.events(server))

    async def test_tables_are_apart(self) -> None:
        table: ProcessTable[NetworkProcess] = ProcessTable()
        one = await self.server(table=table)
        two = await self.server()
        self.assertEqual(("server", "server"), (one.name, two.name))
        self.assertEqual([one], netproc.process_list(table=table))

    async def test_waiting_for_any_process(self) -> None:
        _, peer = await self.client_of_raw(filter=Recorder())
        waiting = netproc.accept_process_output(timeout=5)
        self.assertFalse(await netproc.accept_process_output(None, 0.01))
        peer.sendall(b"x")
        self.assertTrue(await waiting)
        self.assertEqual(1, len(netproc.process.process.DEFAULT_TABLE.observers))


class AcceptOutputTests(TcpFixture):
    async def test_output(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        waiting = [process.accept_output(PATIENCE), netproc.accept_process_output(process)]
        peer.sendall(b"x")
        self.assertEqual([True, True], [await d for d in waiting])
        self.assertEqual(b"x", recorder.data)

    async def test_no_time_looks_at_what_is_there(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        self.assertFalse(await process.accept_output(0))
        process.stop()
        peer.sendall(b"x")
        await self.nothing_happens([], lambda: recorder.pieces)
        self.assertFalse(await process.accept_output(-1))
        process.resume()
        self.assertTrue(await process.accept_output(0))

    async def test_the_end(self) -> None:
        process, peer = await self.client_of_raw(filter=Recorder())
        waiting = process.accept_output()
        peer.close()
        self.assertFalse(await waiting)
        await process.closed
        self.assertFalse(await process.accept_output())

    async def test_the_sentinel_is_called_before(self) -> None:
        """This holds for an end alone, and for one that came together with the last output (N168)."""
        for output in (b"", b"x"):
            process, peer = await self.client_of_raw(filter=Recorder(), stop=True)
            waiting = process.accept_output(PATIENCE)
            peer.sendall(output)
            peer.close()
            await self.nothing_happens(False, lambda waiting=waiting: waiting.called)
            process.resume()
            await self.until(lambda waiting=waiting: waiting.called and not waiting.paused)
            self.assertEqual((bool(output), [BROKEN]), (await waiting, self.events(process)))

    async def test_a_server_has_no_output(self) -> None:
        server = await self.server(filter=echo)
        self.assertFalse(await server.accept_output())

    async def test_cancelling(self) -> None:
        process, _ = await self.client_of_raw(filter=Recorder())
        waiting = process.accept_output(PATIENCE)
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        self.assertFalse(process._waiters)


class ProcessTests(TcpFixture):
    async def test_what_can_be_set(self) -> None:
        process, _ = await self.client_of_raw(plist={"a": 1}, noquery=True)
        self.assertEqual(({"a": 1}, False), (process.plist, process.query_on_exit))
        process.plist = {"b": 2}
        self.assertEqual({"b": 2}, process.plist)
        process.plist = None
        self.assertEqual({}, process.plist)
        self.assertRaises(ProcessArgumentError, setattr, process, "plist", 5)
        process.filter = None
        self.assertIs(netproc.default_filter, process.filter)
        process.sentinel = None
        self.assertIs(netproc.default_sentinel, process.sentinel)
        for name in ("filter", "sentinel", "buffer", "coding"):
            self.assertRaises(ProcessArgumentError, setattr, process, name, 5)
        self.assertRaises(ProcessArgumentError, process.send, 5)
        self.assertRaises(ProcessArgumentError, process.contact, 5)
        self.assertRaises(ProcessArgumentError, setattr, process, "mark", 1)

    async def test_the_callers_plist_is_its_own(self) -> None:
        plist = {"shared": [1]}
        process, _ = await self.client_of_raw(plist=plist)
        process.plist["x"] = 1
        self.assertEqual({"shared": [1]}, plist)

    async def test_what_is_sent_is_copied(self) -> None:
        process, peer = await self.client_of_raw()
        data = bytearray(b"abc")
        process.send(data)
        data[:] = b"xyz"
        process.send(memoryview(b"def"))
        process.send(b"")
        self.assertEqual(b"abcdef", await in_thread(peer.recv, 6))
        self.assertEqual((6, 0), (process.sent, process.pending))

    async def test_coding_can_change_in_the_middle(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        peer.sendall(b"\xc3")
        await self.until(lambda: recorder.pieces == [b"\xc3"])
        process.coding = "utf-8"
        self.assertEqual(("utf-8", "utf-8-unix"), process.coding)
        peer.sendall("é".encode() + b"\xc3")
        await self.until(lambda: recorder.pieces[1:] == ["é"])
        process.filter_multibyte = False
        self.assertFalse(process.filter_multibyte)
        peer.sendall(b"\xa9")
        await self.until(lambda: recorder.pieces[2:] == [b"\xc3", b"\xa9"])

    async def test_no_bytes_of_a_peer_end_a_connection(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder, coding="iso-2022-jp-unix")
        peer.sendall(b"hello \x1b$1234567890")
        await self.until(lambda: recorder.data == "hello \x1b$1234567890")
        peer.sendall(b"\x1b$BF|\x1b(B")
        await self.until(lambda: recorder.data.endswith("日"))
        self.assertEqual("open", process.status)

    async def test_a_refused_text_leaves_the_byte_order_mark_to_the_next(self) -> None:
        listener, place = self.raw_server()
        with listener:
            process = await self.make(name="client", nowait=True, coding="utf-16", **place)
            # This stays pending until the process is connected.
            process.send(b"early")
            process.limits = dataclasses.replace(process.limits, send_cap=5)
            self.assertRaises(ProcessError, process.send, "h")
            self.assertEqual("utf-16", process.coding[1])
            process.limits = dataclasses.replace(process.limits, send_cap=100)
            process.send("h")
            self.assertEqual("utf-16-unix", process.coding[1])
            process.send("i")
            peer = await in_thread(accept, listener)
        with peer:
            self.assertEqual(b"early\xfe\xff\0h\0i", await in_thread(read_exactly, peer, 11))

    async def test_a_stopped_client_that_cannot_connect(self) -> None:
        buffer = netproc.get_buffer_create("b")
        self.addCleanup(buffer.kill)
        process = await self.make(name="p", service=1, nowait=True, stop=True, buffer=buffer)
        await process.closed
        self.assertEqual("\nProcess p failed with code 111\n", buffer.text)
        # As in Emacs (N60).
        self.assertEqual(("stop", False), (process.status, process.live))
        process.resume()
        self.assertEqual("failed", process.status)

    async def test_the_default_sentinel_tells_no_open(self) -> None:
        listener, place = self.raw_server()
        with listener:
            process = await self.make(name="p", nowait=True, stop=True, buffer="b", **place)
            with await in_thread(accept, listener):
                await self.until(lambda: self.events(process))
        assert process.buffer is not None
        self.addCleanup(process.buffer.kill)
        self.assertEqual(
            ("stop", ["open\n"], ""), (process.status, self.events(process), process.buffer.text)
        )

    async def test_empty_text_is_not_sent(self) -> None:
        """Not even a byte-order mark is sent; it goes before the first text."""
        process, peer = await self.client_of_raw(coding="utf-16")
        process.send("")
        self.assertEqual((0, "utf-16"), (process.sent, process.coding[1]))
        process.send("h")
        self.assertEqual(b"\xfe\xff\0h", await in_thread(read_exactly, peer, 4))

    async def test_a_unibyte_buffer_is_given_bytes(self) -> None:
        buffer = netproc.get_buffer_create("b")
        buffer.multibyte = False
        process, peer = await self.client_of_raw(buffer=buffer, coding="utf-8-dos")
        self.assertFalse(process.filter_multibyte)
        peer.sendall("é\r\n".encode())
        await self.until(lambda: buffer.text == "\udcc3\udca9\n")
        self.assertEqual(("raw-text-dos", "utf-8-dos"), process.coding)
        recorder = Recorder()
        process.filter = recorder
        self.assertTrue(process.filter_multibyte)
        peer.sendall("é\r\n".encode())
        await self.until(lambda: recorder.data == "é\n")

    async def test_the_mark(self) -> None:
        process, peer = await self.client_of_raw(buffer="b", coding="utf-8")
        assert process.buffer is not None
        process.buffer.insert(1, "abc")
        process.mark = 2
        peer.sendall(b"X")
        await self.until(lambda: process.buffer and process.buffer.text == "aXbc")
        self.assertEqual(3, process.mark)
        self.assertRaises(ProcessArgumentError, setattr, process, "mark", 9)
        process.mark = None
        other = netproc.get_buffer_create("other")
        process.buffer = other
        self.assertEqual(1, process.mark)
        process.buffer = other
        process.buffer = None
        self.assertIsNone(process.buffer)

    async def test_repr_shows_no_secrets(self) -> None:
        process, _ = await self.client_of_raw(plist={"password": "secret"})
        self.assertRegex(
            repr(process), r"<NetworkProcess 'client' open 127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+>"
        )

    async def test_closed_again_and_again(self) -> None:
        process, peer = await self.client_of_raw()
        first, second = process.closed, process.closed
        peer.close()
        self.assertEqual([process] * 3, [await first, await second, await process.closed])

    async def test_waiting_for_the_close_can_be_cancelled(self) -> None:
        process, _ = await self.client_of_raw()
        waiting = process.closed
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        drained = process.drain()
        self.assertTrue(drained.called)


class CycleTests(TcpFixture):
    """A closed process is freed without the garbage collector."""

    async def test_connections_and_clients(self) -> None:
        server = await self.server(filter=echo)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for _ in range(3):
            await in_thread(request_and_half_close, self.raw_client(server), b"x")
        client = await netproc.make_network_process(name="client", **self.client_place(server))
        client.send(b"x")
        await client.accept_output(PATIENCE)
        client.delete()
        await client.closed
        await self.until(lambda: len(self.ledger.gone) == 5)
        references = [weakref.ref(p) for p in self.ledger.events if p is not server]
        self.assertEqual(5, len(references))
        for process in list(self.ledger.events):
            if process is not server:
                self.assertIn(self.events(process)[-1], (BROKEN, "deleted\n"))
                del self.ledger.events[process]
        self.ledger.gone.clear()
        del process, client
        await self.turn()  # the result of the last await is kept until the next one
        self.assertEqual([None] * 5, [reference() for reference in references])

    async def test_a_failed_one(self) -> None:
        process = await netproc.make_network_process(name="p", service=1, nowait=True)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        await process.closed
        self.ledger.events.clear()
        self.ledger.gone.clear()
        reference = weakref.ref(process)
        del process
        await self.turn()
        self.assertIsNone(reference())


class PatienceTests(NetprocTestCase):
    """The test case itself."""

    async def test_until_fails_when_it_does_not_come(self) -> None:
        error = await self.failure_of(
            netproc.make_network_process(name=5).addErrback(lambda f: f), ProcessArgumentError
        )
        self.assertEqual("name: 5 is not a string", str(error))
