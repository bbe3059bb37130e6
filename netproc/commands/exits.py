"""How a command ends: with one line on standard error and an exit status, and not by every signal.

`make.py` and `tap.py` use this, because twistd and twist have no way for a service to say it: an exception
before the reactor runs prints a traceback, and after it the exit status is always 0.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from types import TracebackType
from typing import Final

from twisted.logger import Logger

from ..core.errors import NetprocError, ProcessArgumentError
from ..core.escape import escape
from ..net.interfaces import INetprocReactor

log = Logger(namespace="netproc.command")

#: Signals that scripts send to every daemon: to reload, to rotate a log.
_SURVIVED: Final = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class _Exit:
    """The exit status that the program has been told to have."""

    status = os.EX_OK


def say(problem: str) -> None:
    """Write PROBLEM as one line to the real standard error: twistd has put its log in its place.

    A standard error that takes nothing, as a full disk or a closed pipe, changes nothing about how the program ends.
    """
    if sys.__stderr__ is None:
        return
    # ValueError: the program has closed the file.
    with contextlib.suppress(OSError, ValueError):
        print(f"netproc: {escape(problem)}", file=sys.__stderr__, flush=True)


def option_name(keyword: str) -> str:
    """The option of the command line for KEYWORD."""
    return "--" + keyword.replace("_", "-")


def one_line_errors() -> None:
    """Let an uncaught error of netproc end the program with one line and status 1."""
    previous = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ProcessArgumentError):
            say(f"{option_name(error.keyword)}: {error.problem}")
        elif isinstance(error, NetprocError):
            say(str(error))
        else:
            previous(kind, error, traceback)

    sys.excepthook = hook


def survive_signals(reactor: INetprocReactor) -> None:
    """Let SIGHUP, SIGUSR1 and SIGUSR2 be logged; otherwise they would end the program.

    A signal that is ignored stays so (nohup), and so does one that has a handler: under ``twistd --logfile`` SIGUSR1
    rotates the log.
    """

    def note(number: int, frame: object) -> None:
        name = signal.Signals(number).name
        # As an event of its own: a signal may come in the middle of a log line.
        reactor.callFromThread(log.info, "{name} came; it does nothing", name=name)

    for number in _SURVIVED:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, note)


def exit_with(status: int) -> None:
    """Whatever the reactor's runner returns, the program's exit status is STATUS."""
    _Exit.status = status


def _leave() -> None:
    if _Exit.status:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(_Exit.status)


# Registered when the command is imported, so it runs after what was registered later.
atexit.register(_leave)
