"""transactions.py: questions and answers over a real connection."""

from __future__ import annotations

import errno
import re
import socket

from twisted.internet.defer import CancelledError

from netproc import NetworkProcess, ProcessArgumentError, ProcessError, TransactionQueue
from netproc.test.real.peers import in_thread
from netproc.test.real.test_tcp import TcpFixture


class TransactionTests(TcpFixture):
    async def queue(
        self, **keywords: str
    ) -> tuple[TransactionQueue, NetworkProcess, socket.socket]:
        process, peer = await self.client_of_raw(**{"coding": "utf-8-unix", **keywords})
        return TransactionQueue(process), process, peer

    async def test_answers_belong_to_their_questions(self) -> None:
        queue, _, peer = await self.queue()
        first = queue.enqueue("one\n", r"\n")
        second = queue.enqueue("two\n", re.compile(r"END"))
        self.assertEqual(b"one\ntwo\n", await in_thread(peer.recv, 100))
        for byte in b"1\n2 ENDrest":
            peer.send(bytes([byte]))
        self.assertEqual(["1\n", "2 END"], [await first, await second])

    async def test_bytes(self) -> None:
        queue, _, peer = await self.queue(coding="binary")
        answer = queue.enqueue(b"?", rb"\xff")
        peer.sendall(b"\xfe\xff")
        self.assertEqual(b"\xfe\xff", await answer)

    async def test_a_delayed_question_waits_for_the_answers_before(self) -> None:
        queue, _, peer = await self.queue()
        first = queue.enqueue("one\n", r"\n")
        second = queue.enqueue("two\n", r"\n", delay_question=True)
        self.assertEqual(b"one\n", await in_thread(peer.recv, 100))
        peer.sendall(b"1\n")
        self.assertEqual("1\n", await first)
        self.assertEqual(b"two\n", await in_thread(peer.recv, 100))
        peer.sendall(b"2\n")
        self.assertEqual("2\n", await second)

    async def test_what_nobody_asked_for_is_dropped(self) -> None:
        queue, process, peer = await self.queue()
        peer.sendall(b"greeting\n")
        await self.until(lambda: process.received)
        answer = queue.enqueue("?", r"\n")
        peer.sendall(b"answer\n")
        self.assertEqual("answer\n", await answer)

    async def test_no_answer_ends_it(self) -> None:
        queue, process, _ = await self.queue()
        first = queue.enqueue("one", r"\n", timeout=0.05)
        second = queue.enqueue("two", r"\n")
        error = await self.failure_of(first, ProcessError)
        self.assertEqual(errno.ETIMEDOUT, error.errno)
        self.assertEqual(["deleted\n"], self.events(process))
        error = await self.failure_of(second, ProcessError)
        self.assertEqual("there is no answer", str(error))

    async def test_too_long_an_answer_ends_it(self) -> None:
        for answer in (b"abcdef", b"abcde\n"):
            queue, process, peer = await self.queue()
            asked = queue.enqueue("?", r"\n", max_length=5)
            peer.sendall(answer)
            error = await self.failure_of(asked, ProcessError)
            self.assertEqual((errno.EMSGSIZE, False), (error.errno, process.live))

    async def test_the_end_of_the_process(self) -> None:
        queue, process, peer = await self.queue()
        asked = queue.enqueue("?", r"\n")
        peer.close()
        error = await self.failure_of(asked, ProcessError)
        self.assertIn(error.errno, (errno.ENOTCONN, errno.ECONNRESET))
        error = await self.failure_of(queue.enqueue("?", r"\n"), ProcessError)
        self.assertFalse(process.live)

    async def test_closing(self) -> None:
        queue, process, _ = await self.queue()
        asked = queue.enqueue("?", r"\n")
        queue.close()
        error = await self.failure_of(asked, ProcessError)
        self.assertEqual("the process has ended", str(error))
        self.assertEqual(["deleted\n"], self.events(process))

    async def test_cancelling(self) -> None:
        queue, process, _ = await self.queue()
        asked = queue.enqueue("?", r"\n")
        asked.cancel()
        await self.assertFailure(asked, CancelledError)
        self.assertFalse(process.live)

    async def test_what_cannot_be_sent(self) -> None:
        queue, process, _ = await self.queue()
        process.send_eof()
        error = await self.failure_of(queue.enqueue("?", r"\n"), ProcessError)
        self.assertEqual(errno.EPIPE, error.errno)

    async def test_what_is_no_regexp(self) -> None:
        queue, _, _ = await self.queue()
        error = await self.failure_of(queue.enqueue("?", 5), ProcessArgumentError)
        self.assertEqual("regexp: 5 is not a regular expression", str(error))
