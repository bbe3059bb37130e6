"""filters/ready.py: the ready filters, over real sockets."""

from __future__ import annotations

import re

from netproc import ProcessError, filters
from netproc.test.support.fixtures import TcpFixture
from netproc.test.support.peers import in_thread, read_all, read_exactly, request_and_half_close


class FilterTests(TcpFixture):
    async def test_echo(self) -> None:
        server = await self.server(filter=filters.echo, coding="utf-8")
        reply = await in_thread(request_and_half_close, self.raw_client(server), b"\xc3\xa9\xff")
        self.assertEqual(b"\xc3\xa9\xff", reply)

    async def test_discard(self) -> None:
        server = await self.server(filter=filters.discard)
        reply = await in_thread(request_and_half_close, self.raw_client(server), b"x")
        self.assertEqual(b"", reply)

    async def test_daytime_as_a_filter_and_as_a_sentinel(self) -> None:
        pattern = rb"\w+, \w+ \d\d, \d{4} \d\d:\d\d:\d\d-\w+\r\n"
        server = await self.server(filter=filters.daytime)
        reply = await in_thread(request_and_half_close, self.raw_client(server), b"x")
        self.assertTrue(re.fullmatch(pattern, reply), reply)
        server = await self.server(filter=filters.discard, sentinel=filters.daytime)
        with self.raw_client(server) as peer:
            reply = await in_thread(read_all, peer)
        self.assertTrue(re.fullmatch(pattern, reply), reply)

    async def test_chat(self) -> None:
        server = await self.server(filter=filters.chat)
        other_server = await self.server(name="other", filter=filters.chat)
        outsider = self.raw_client(other_server)
        peers = [self.raw_client(server) for _ in range(3)]
        await self.until(lambda: len(self.connections(server)) == 3)
        peers[0].sendall(b"hello")
        for peer in peers[1:]:
            self.assertEqual(b"hello", await in_thread(read_exactly, peer, 5))
        peers[1].sendall(b"hi")
        self.assertEqual(b"hi", await in_thread(read_exactly, peers[0], 2))
        outsider.setblocking(False)
        self.assertRaises(BlockingIOError, outsider.recv, 1)
        for peer in (*peers, outsider):
            peer.close()
        await self.all_closed(server)
        await self.all_closed(other_server)

    async def test_chat_leaves_who_does_not_read(self) -> None:
        server = await self.server(filter=filters.chat)
        speaker, sleeper = self.raw_client(server), self.raw_client(server)
        await self.until(lambda: len(self.connections(server)) == 2)
        asleep = next(
            p for p in self.connections(server) if p.contact("service") == sleeper.getsockname()[1]
        )

        def refuse(text: object) -> None:
            raise ProcessError(105, "too much is pending")

        self.patch(type(asleep._output), "send", lambda sending, data: refuse(data))
        speaker.sendall(b"x")
        await self.until(lambda: not asleep.live)
        speaker.close()
        sleeper.close()
        await self.all_closed(server)

    async def test_chat_of_a_client_with_itself(self) -> None:
        recorder, peer = await self.client_of_raw(filter=filters.chat)
        peer.sendall(b"x")
        await self.until(lambda: recorder.received == 1)
        self.assertEqual(0, recorder.sent)
