"""Transactions: questions and their answers, over one process (Emacs: tq).

A program makes a queue for an open process.  The queue becomes the filter of the process and sends the questions.  It
fires the Deferred of each question with the input up to a match of the question's regexp (`core/search.py`).
"""

from __future__ import annotations

import errno
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.decoders import Text
from ..core.errors import NetprocError, ProcessArgumentError, ProcessError
from ..core.escape import escape, shown
from ..core.limits import KIB, MIB, check_seconds, check_size
from ..core.search import LOOK_AFTER, Answer, compile_pattern
from ..core.throttle import Throttle, not_logged
from ..process.process import NetworkProcess

log = Logger()

#: Input is searched in pieces of this size, so that the rest is not copied once for each of many short answers.
_PIECE = 4 * KIB


class _Transaction:
    """One question, and the Deferred for its answer."""

    __slots__ = ("answer", "delayed", "end", "max_length", "question", "timer")

    #: Gives up when the time is over.
    timer: IDelayedCall

    def __init__(
        self,
        question: Text,
        end: re.Pattern[Any],
        delayed: bool,
        max_length: int,
        cancelled: Callable[[_Transaction], None],
    ) -> None:
        self.question = question
        self.end = end
        self.delayed = delayed
        self.max_length = max_length
        self.answer: Deferred[Any] = Deferred(lambda _: cancelled(self))

    def settle(self, result: object) -> None:
        """Fire the Deferred with RESULT, or let it fail if RESULT is a Failure."""
        if self.timer.active():
            self.timer.cancel()
        # A callback of an earlier answer may have cancelled this question.
        if not self.answer.called:
            self.answer.callback(result)


class TransactionQueue:
    """A queue of questions to a server, each of which has one answer.

    The queue becomes the filter of the process.  Input that arrives while no question waits for an answer is dropped, and
    netproc logs a line.

    Emacs: ``tq-create``.

    Args:
        process: The process, which must be open.

    Raises:
        ProcessArgumentError: `process` is not a process.
    """

    def __init__(self, process: NetworkProcess) -> None:
        if not isinstance(process, NetworkProcess):
            raise ProcessArgumentError("process", f"{shown(process)} is not a process")
        self._process = process
        # The questions that are not sent yet, and those that are, in the order in which the answers will arrive.
        self._unsent: OrderedDict[_Transaction, None] = OrderedDict()
        self._sent: OrderedDict[_Transaction, None] = OrderedDict()
        # The input for the first sent question, and the timer that searches all of it.
        self._received = Answer()
        self._look_due: IDelayedCall | None = None
        # Why the queue can no longer tell which answer belongs to which question.
        self._broken: ProcessError | None = None
        self._dropping = Throttle()
        process.filter = self._receive
        # So that every Deferred fires, however the process ends.
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
        """Send a question and wait for its answer.

        The answer is the input up to the end of what the regular expression matches.  The question and the expression are str
        or bytes, as the filter of the process receives them.

        A question that was sent and gets no answer ends the process, because the later answers could not be assigned to their
        questions any more.  Cancelling the Deferred of such a question also ends the process.  A question that was not sent yet is
        only removed from the queue.

        Emacs: ``tq-enqueue``.

        Args:
            question: What to send.  If it is empty, nothing is sent, and the queue waits for the answer only.
            regexp: The regular expression, compiled or not.
            timeout: Seconds from the call to the answer.
            delay_question: Whether to send the question only after all questions before it have been answered.  Otherwise it is
                sent at once.
            max_length: The longest answer, in characters or bytes, 1,048,576 by default.

        Returns:
            A Deferred that fires with the answer.  It fails with `ProcessArgumentError` if the question or the expression
            cannot be used.  It fails with `ProcessError` as `NetworkProcess.send` does, with the errno ETIMEDOUT if there is no
            answer in time, with EMSGSIZE if the answer is too long, and when the process ends.
        """
        try:
            end = self._compiled(regexp)
            check_seconds("timeout", timeout)
            check_size("max_length", max_length)
        except ProcessArgumentError as error:
            return fail(error)
        if self._broken is not None or not self._process.live:
            return fail(self._why_ended())
        asked = _Transaction(question, end, delay_question, max_length, self._abandon)
        asked.timer = self._process.reactor.callLater(timeout, self._too_late, asked)
        self._unsent[asked] = None
        self._send()
        return asked.answer

    def _compiled(self, regexp: object) -> re.Pattern[Any]:
        kind = str if self._process.filter_multibyte else bytes
        end = compile_pattern("regexp", regexp)
        if not isinstance(end.pattern, kind):
            problem = f"{shown(end.pattern)} is not {kind.__name__}, the type of the input"
            raise ProcessArgumentError("regexp", problem)
        return end

    def close(self) -> None:
        """End the process after the questions have been written.  The Deferreds of waiting questions fail at once.

        Emacs: ``tq-close``.
        """
        self._process.delete()
        self._fail_all()

    def _send(self) -> None:
        """Send the questions that need not wait for earlier answers."""
        while self._unsent and not (_first(self._unsent).delayed and self._sent):
            asked, _ = self._unsent.popitem(last=False)
            try:
                self._process.send(asked.question)
            except NetprocError as error:
                asked.settle(Failure(error))
            else:
                self._sent[asked] = None

    # -- called by the process ------------------------------------------------------------------

    def _receive(self, process: NetworkProcess, data: Text) -> None:
        """The filter."""
        if self._sent and not isinstance(data, type(_first(self._sent).end.pattern)):
            problem = f"the coding system has changed: {type(data).__name__} cannot match `regexp`"
            self._broken = ProcessError(errno.EINVAL, problem)
            self._fail_all()
        for start in range(0, len(data), _PIECE):
            if not process.live:
                return
            self._received.feed(data[start : start + _PIECE])
            self._settle(thorough=False)

    def _settle(self, thorough: bool) -> None:
        """Fire the Deferreds of the questions whose answers are complete."""
        while self._sent and self._received.size:
            asked, received = _first(self._sent), self._received
            size = received.find(asked.end, thorough or received.size > asked.max_length)
            if (received.size if size is None else size) > asked.max_length:
                problem = f"the answer is longer than {shown(asked.max_length)}"
                self._give_up(asked, ProcessError(errno.EMSGSIZE, problem))
                return
            if size is None:
                self._look_later()
                return
            answer = received.take(size)
            del self._sent[asked]
            if not self._sent:
                self._drop_received()
            self._send()
            asked.settle(answer)
        if not self._sent:
            self._drop_received()

    def _look_later(self) -> None:
        """Search all of the input soon, unless that is done: searching it for each piece would be slow."""
        if self._look_due is None and not self._received.searched:
            self._look_due = self._process.reactor.callLater(LOOK_AFTER, self._look)

    def _look(self) -> None:
        self._look_due = None
        self._settle(thorough=True)

    def _drop_received(self) -> None:
        """Drop the input that arrived before a question was sent: it is not the answer."""
        received, self._received = self._received.size, Answer()
        suppressed = self._dropping.passes(self._process.reactor.seconds()) if received else None
        if suppressed is not None:
            log.info(
                "{name}: dropped unsolicited input{more}",
                name=escape(self._process.name),
                more=not_logged(suppressed),
            )

    def _too_late(self, asked: _Transaction) -> None:
        self._settle(thorough=True)
        if not asked.answer.called:
            self._give_up(asked, ProcessError(errno.ETIMEDOUT, "there is no answer"))

    def _give_up(self, asked: _Transaction, error: ProcessError) -> None:
        """Let ASKED fail with ERROR; if it was sent, end the process too."""
        if asked in self._sent:
            self._process.fail(error)
        self._abandon(asked)
        asked.settle(Failure(error))

    def _abandon(self, asked: _Transaction) -> None:
        """Remove ASKED, which is cancelled or has failed, from the queue; if it was sent, end the process."""
        if asked.timer.active():
            asked.timer.cancel()
        if asked in self._unsent:
            del self._unsent[asked]
            self._send()
        elif asked in self._sent:
            del self._sent[asked]
            self.close()

    def _ended(self, process: NetworkProcess) -> None:
        self._settle(thorough=True)
        self._fail_all()

    def _fail_all(self) -> None:
        """Let all questions fail."""
        if self._look_due is not None:
            self._look_due.cancel()
            self._look_due = None
        self._received = Answer()
        waiting = [*self._sent, *self._unsent]
        self._sent.clear()
        self._unsent.clear()
        for asked in waiting:
            asked.settle(Failure(self._why_ended()))

    def _why_ended(self) -> ProcessError:
        return (
            self._broken
            or self._process.reason
            or ProcessError(errno.ENOTCONN, "the process has ended")
        )


def _first(transactions: OrderedDict[_Transaction, None]) -> _Transaction:
    return next(iter(transactions))
