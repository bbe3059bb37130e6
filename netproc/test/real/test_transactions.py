"""transactions.py: requests and answers over a real connection."""

from __future__ import annotations

import errno
import re
import socket

from twisted.internet.defer import CancelledError
from twisted.logger import globalLogPublisher

from netproc import NetworkProcess, ProcessArgumentError, ProcessError, TransactionQueue
from netproc.filters import transactions
from netproc.test.support.fixtures import TcpFixture
from netproc.test.support.peers import in_thread, read_exactly


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

    async def test_one_end_that_cancels_the_next(self) -> None:
        queue, _, _ = await self.queue()
        first, second, third = (queue.enqueue("?", r"\n") for _ in range(3))
        first.addErrback(lambda _: second.cancel())
        queue.close()
        await self.failure_of(second, CancelledError)
        await self.failure_of(third, ProcessError)

    async def test_an_answer_that_one_match_spans(self) -> None:
        """It is not searched after each piece, but soon; and at once if the peer ends or the time is over."""
        answer = b"begin" + b"x" * 10_000 + b"end"
        for then in ("wait", "close", "late"):
            self.patch(transactions, "LOOK_AFTER", 0.01 if then == "wait" else 60)
            queue, process, peer = await self.queue()
            asked = queue.enqueue("?", r"begin[^!]*end", timeout=20)
            for piece in (answer[:-1], answer[-1:]):
                peer.sendall(piece)
                await self.until(
                    lambda process=process: (
                        process.received >= len(answer) - 1 and not process._input.gate
                    )
                )
            if then == "close":
                peer.close()
            if then == "late":
                self.advance(20)
            self.assertEqual(answer.decode(), await asked)
            self.assertEqual(then != "close", process.live)

    async def test_many_answers_at_once(self) -> None:
        queue, _, peer = await self.queue()
        answers = [queue.enqueue("", r"\n") for _ in range(3000)]
        await in_thread(peer.sendall, b"x\n" * 3000)
        self.assertEqual(["x\n"] * 3000, [await answer for answer in answers])

    async def test_a_coding_that_changes_the_kind(self) -> None:
        """The queue fails, and the program can go on with the process."""
        queue, process, peer = await self.queue()
        asked = queue.enqueue("?", r"\n")
        delayed = queue.enqueue("?", r"\n", delay_question=True)
        peer.sendall(b"begins as text")
        await self.until(lambda: process.received)
        process.coding = "binary"
        peer.sendall(b"\n")
        for failing in (asked, delayed, queue.enqueue(b"?", rb"\n")):
            error = await self.failure_of(failing, ProcessError)
            self.assertEqual(errno.EINVAL, error.errno)
        peer.sendall(b"\n")
        await self.until(lambda: process.received == 16)
        self.assertTrue(process.live)

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
        asked, delayed = queue.enqueue("1", r"\n"), queue.enqueue("2", r"\n", delay_question=True)
        failing = [self.failure_of(d, ProcessError) for d in (asked, delayed)]
        queue.close()
        self.assertTrue(asked.called and delayed.called, "they wait for the descriptor")
        for error in failing:
            self.assertEqual("the process has ended", str(await error))
        self.assertEqual(["deleted\n"], self.events(process))

    async def test_closing_when_an_answer_has_come(self) -> None:
        queue, _, peer = await self.queue()
        first, second = queue.enqueue("1", r"\n"), queue.enqueue("2", r"\n")
        first.addCallback(lambda _: queue.close())
        peer.sendall(b"1\n2\n")
        await first
        await self.failure_of(second, ProcessError)

    async def test_cancelling(self) -> None:
        queue, process, _ = await self.queue()
        asked, other = queue.enqueue("1", r"\n"), queue.enqueue("2", r"\n")
        asked.cancel()
        await self.assertFailure(asked, CancelledError)
        await self.failure_of(other, ProcessError)
        self.assertFalse(process.live)

    async def test_giving_up_what_was_not_sent(self) -> None:
        queue, process, peer = await self.queue()
        first = queue.enqueue("1\n", r"\n")
        cancelled = queue.enqueue("2\n", r"\n", delay_question=True)
        late = queue.enqueue("3\n", r"\n", delay_question=True, timeout=0.01)
        cancelled.cancel()
        await self.assertFailure(cancelled, CancelledError)
        await self.failure_of(late, ProcessError)
        peer.sendall(b"one\n")
        self.assertEqual(("one\n", True), (await first, process.live))
        self.assertEqual(b"1\n", await in_thread(peer.recv, 100))

    async def test_what_cannot_be_sent(self) -> None:
        queue, process, peer = await self.queue()
        first = queue.enqueue("?", r"\n")
        delayed = queue.enqueue("?", r"\n", delay_question=True)
        process.send_eof()
        peer.sendall(b"answer\n")
        self.assertEqual("answer\n", await first)
        for asked in (delayed, queue.enqueue("?", r"\n")):
            error = await self.failure_of(asked, ProcessError)
            self.assertEqual((errno.EPIPE, True), (error.errno, process.live))

    async def test_what_cannot_be_asked(self) -> None:
        queue, process, peer = await self.queue()
        binary, _, _ = await self.queue(coding="binary")
        for asked, problem in (
            (queue.enqueue("?", 5), "regexp: 5 is not a pattern: "),
            (queue.enqueue("?", "("), "regexp: '(' is not a pattern: "),
            (queue.enqueue("?", b"x"), "regexp: b'x' is not str, the type of the input"),
            (binary.enqueue(b"?", "x"), "regexp: 'x' is not bytes, the type of the input"),
            (queue.enqueue("?", "x", timeout=0), "timeout: 0 is not a positive number of seconds"),
            (queue.enqueue("?", "x", max_length="1"), "max_length: '1' is not a number of bytes"),
            (queue.enqueue(5, "x"), "data: int is neither str nor bytes"),
            (queue.enqueue("\ud800", "x"), "text: character '\\ud800' has no encoding in "),
        ):
            error = await self.failure_of(asked, ProcessArgumentError)
            self.assertTrue(str(error).startswith(problem), str(error))
        asked = queue.enqueue("?", r"\n")
        peer.sendall(b"fine\n")
        self.assertEqual(("fine\n", True), (await asked, process.live))

    async def test_what_came_before_the_question_is_no_answer(self) -> None:
        queue, _, peer = await self.queue()
        first = queue.enqueue("1\n", r"\n")
        second = queue.enqueue("2\n", r"\n", delay_question=True)
        peer.sendall(b"one\nnot asked for\n")
        self.assertEqual("one\n", await first)
        await in_thread(read_exactly, peer, 4)
        peer.sendall(b"two\n")
        self.assertEqual("two\n", await second)

    async def test_what_nobody_asked_for_is_one_line_a_second(self) -> None:
        queue, process, _ = await self.queue()
        logged: list[object] = []
        observer = logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for _ in range(20):
            queue._receive(process, "again")
        self.assertEqual(1, sum("unsolicited" in event["log_format"] for event in logged))
