"""Standard input and output, whatever they are: terminals, pipes, files.

`open.py` joins a process to them.

Each has a thread, which is in one blocking call at most.  Descriptors that do not block are no way to do it: that is
set for all who share the terminal, the shell too, and not every kind of file can be watched for being ready.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..core.limits import PIECE
from ..net.interfaces import INetprocReactor

STDIN, STDOUT, STDERR = 0, 1, 2


class Terminal:
    """The standard streams of this program."""

    def __init__(self, reactor: INetprocReactor) -> None:
        self._input = _Caller(reactor)
        self._output = _Caller(reactor)

    def read(self) -> Deferred[bytes]:
        """Fires with what comes next, empty at the end; fails with OSError."""
        return self._input.call(os.read, STDIN, PIECE)

    def write(self, data: bytes) -> Deferred[None]:
        """Fires when all of DATA is written; fails with OSError."""
        return self._output.call(_write_all, data)


def keep_descriptors() -> None:
    """Put something in the place of standard streams that are not open: the first socket would be there."""
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            # It ends at once as input, and as output it is an error.
            os.open(os.devnull, os.O_RDONLY)


def _write_all(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(STDOUT, rest) :]


class _Caller:
    """Calls functions in a thread, one after the other; it does not keep the program from ending."""

    def __init__(self, reactor: INetprocReactor) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[tuple[Deferred[Any], Callable[..., object], Any]] = SimpleQueue()
        Thread(target=self._work, daemon=True).start()

    def call(self, function: Callable[..., object], *arguments: object) -> Deferred[Any]:
        """Fires with what FUNCTION returns, fails with what it raises."""
        done: Deferred[Any] = Deferred()
        self._calls.put((done, function, arguments))
        return done

    def _work(self) -> None:
        while True:
            done, function, arguments = self._calls.get()
            result: object
            try:
                result = function(*arguments)
            except Exception:
                result = Failure()
            self._reactor.callFromThread(done.callback, result)
