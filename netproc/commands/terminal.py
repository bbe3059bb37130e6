"""Standard input and output, which may be terminals, pipes or files.

`open.py` connects a process to them.

Each of them has a thread, which makes one blocking call at a time.  Non-blocking descriptors would not do: the flag is
shared by all programs that use the terminal, such as the shell, and a reactor cannot watch every kind of file.
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
        """Return a Deferred for the next input, which is empty at the end; it fails with OSError."""
        return self._input.call(os.read, STDIN, PIECE)

    def write(self, data: bytes) -> Deferred[None]:
        """Return a Deferred that fires when all of DATA is written; it fails with OSError."""
        return self._output.call(_write_all, data)


def keep_descriptors() -> None:
    """Open standard streams that are closed, so that the first socket does not get the number of one."""
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            # Reading ends at once, and writing is an error.
            os.open(os.devnull, os.O_RDONLY)


def _write_all(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(STDOUT, rest) :]


class _Caller:
    """A thread that calls functions one after the other; the program can end without it."""

    def __init__(self, reactor: INetprocReactor) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[tuple[Deferred[Any], Callable[..., object], Any]] = SimpleQueue()
        Thread(target=self._work, daemon=True).start()

    def call(self, function: Callable[..., object], *arguments: object) -> Deferred[Any]:
        """Return a Deferred that fires with the result of FUNCTION, or fails with its exception."""
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
