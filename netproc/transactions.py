"""Transactions: questions, and the answers that belong to them, over one process (Emacs: tq).

A program makes a queue over a process that is open; the queue becomes the process's filter, sends the questions and
gives each question's Deferred what the process says up to a regexp.
"""

from __future__ import annotations

import errno
import re
from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from .core.decoders import Text
from .core.errors import ProcessArgumentError, ProcessError
from .core.limits import MIB
from .process import NetworkProcess

log = Logger()


class _Transaction:
    """One question."""

    def __init__(
        self, question: Text, end: re.Pattern[Any], delayed: bool, max_length: int
    ) -> None:
        self.question: Text | None = question
        self.end = end
        self.delayed = delayed
        self.max_length = max_length
        self.answer: Deferred[Any] = Deferred()
        self.timer: IDelayedCall | None = None


class TransactionQueue:
    """A queue of questions over PROCESS, whose filter it becomes (tq-create)."""

    def __init__(self, process: NetworkProcess) -> None:
        self._process = process
        self._waiting: deque[_Transaction] = deque()
        self._received: Any = None
        process.filter = self._received_more
        # However it ends, nobody waits for ever.
        process.closed.addCallback(self._ended)

    def enqueue(
        self,
        question: Text,
        regexp: str | bytes | re.Pattern[Any],
        *,
        timeout: float = 30.0,
        delay_question: bool = False,
        max_length: int = MIB,
    ) -> Deferred[Any]:
        """Ask QUESTION (tq-enqueue); fires with the answer: what comes up to the end of what REGEXP
        matches, str or bytes as the process has it.

        Questions go out at once, or with DELAY_QUESTION when all before have been answered.  Fails with
        ProcessError: ETIMEDOUT when there is no answer TIMEOUT seconds after the call, EMSGSIZE when it
        is longer than MAX_LENGTH, and when the process ends.  Since answers could not be told apart any
        more, these end the process; so does cancelling.
        """
        if not isinstance(regexp, (str, bytes, re.Pattern)):
            return fail(ProcessArgumentError("regexp", f"{regexp!r} is not a regular expression"))
        end = re.compile(regexp)
        asked = _Transaction(question, end, delay_question, max_length)
        asked.answer = Deferred(lambda _: self._abandon(asked, CancelledError()))
        if not self._process.live:
            return fail(self._why_ended())
        asked.timer = self._process.reactor.callLater(timeout, self._too_late, asked)
        self._waiting.append(asked)
        try:
            self._send_questions()
        except ProcessError as error:
            self._abandon(asked, error)
        return asked.answer

    def close(self) -> None:
        """End the process (tq-close); who still waits for an answer hears so."""
        self._process.delete()

    def _send_questions(self) -> None:
        """Those that need not wait for the answers before them."""
        for asked in self._waiting:
            if asked.delayed and asked is not self._waiting[0]:
                return
            if asked.question is not None:
                question, asked.question = asked.question, None
                self._process.send(question)

    # -- told by the process --------------------------------------------------------------------

    def _received_more(self, process: NetworkProcess, data: Text) -> None:
        """The filter."""
        if not self._waiting:
            log.info("{name}: what nobody asked for is dropped", name=process.name)
            return
        self._received = data if self._received is None else self._received + data
        while self._waiting and self._received:
            asked = self._waiting[0]
            found = asked.end.search(self._received)
            if len(self._received[: found.end() if found else None]) > asked.max_length:
                problem = f"the answer is longer than {asked.max_length}"
                self._abandon(asked, ProcessError(errno.EMSGSIZE, problem))
                return
            if found is None:
                return
            answer, self._received = self._received[: found.end()], self._received[found.end() :]
            self._waiting.popleft()
            self._stop_timer(asked)
            self._send_questions()
            asked.answer.callback(answer)
        self._received = None

    def _too_late(self, asked: _Transaction) -> None:
        asked.timer = None
        self._abandon(asked, ProcessError(errno.ETIMEDOUT, "there is no answer"))

    def _abandon(self, asked: _Transaction, error: Exception) -> None:
        """ASKED will not be answered, so nothing behind it can be."""
        if asked in self._waiting:
            self._waiting.remove(asked)
        self._stop_timer(asked)
        process = self._process
        if isinstance(error, ProcessError):
            process.fail(error)
        else:
            process.delete()
        if not asked.answer.called:
            asked.answer.errback(error)

    def _ended(self, process: NetworkProcess) -> None:
        while self._waiting:
            asked = self._waiting.popleft()
            self._stop_timer(asked)
            asked.answer.errback(self._why_ended())

    def _why_ended(self) -> ProcessError:
        return self._process.reason or ProcessError(errno.ENOTCONN, "the process has ended")

    def _stop_timer(self, asked: _Transaction) -> None:
        if asked.timer is not None:
            asked.timer.cancel()
            asked.timer = None
