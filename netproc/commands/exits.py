"""How a command ends: one line on standard error and an exit status; some signals do not end it.

All commands write their line with `say`.  `make.py`, `tap.py` and `foreground.py` use the rest, because a service has no way to
tell twistd or twist how to end: an exception before the reactor runs prints a traceback, and after it has run the exit status
is always 0.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from twisted.logger import Logger

from ..core.errors import NetprocError, ProcessArgumentError, os_error_text
from ..core.escape import escape
from ..net.interfaces import INetprocReactor
from .values import option_name

log = Logger(namespace="netproc.command")

#: Signals that scripts send to every daemon: to reload, to rotate a log.
_SURVIVED: Final = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

#: The key of log events whose text `say` has written to standard error as well.
SAID: Final = "netproc_said"


class _Exit:
    """The exit status that was given to `exit_with`."""

    status = os.EX_OK


def say(problem: str) -> None:
    """Write PROBLEM as one line to the real standard error: twistd replaces sys.stderr by its log.

    If the line cannot be written, for example to a full disk or a closed pipe, the program ends as it would otherwise.
    """
    if sys.__stderr__ is None:
        return
    # ValueError: the program has closed the file.
    with contextlib.suppress(OSError, ValueError):
        print(f"netproc: {escape(problem)}", file=sys.__stderr__, flush=True)


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """Print inside this: if standard output takes nothing, the program exits with one line, or silently if it is a pipe that
    nothing reads.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        # Otherwise Python would write the rest when the program ends, and show a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            say(f"standard output: {os_error_text(error)}")
        raise SystemExit(os.EX_IOERR) from None


def one_line_errors() -> None:
    """Let an uncaught error of netproc end the program with one line and status 1."""
    previous = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, NetprocError):
            say(what_is_wrong(error))
        else:
            previous(kind, error, traceback)

    sys.excepthook = hook


def what_is_wrong(error: NetprocError) -> str:
    """Return the text of ERROR, which names the option if an argument is wrong."""
    if isinstance(error, ProcessArgumentError):
        return f"--{option_name(error.keyword)}: {error.problem}"
    return str(error)


def survive_signals(reactor: INetprocReactor) -> None:
    """Log SIGHUP, SIGUSR1 and SIGUSR2, which would otherwise end the program.

    A signal that is ignored (as nohup does) or that has a handler stays as it is: under ``twistd --logfile``, SIGUSR1
    rotates the log file.
    """

    def note(number: int, frame: object) -> None:
        name = signal.Signals(number).name
        # Later: the signal may have interrupted the writing of a log line.
        reactor.callFromThread(log.info, "{name} received and ignored", name=name)

    for number in _SURVIVED:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, note)


def exit_with(status: int) -> None:
    """Let the program's exit status be STATUS, whatever the reactor's runner returns."""
    _Exit.status = status


def exit_status() -> int:
    """Return the exit status that was given to `exit_with`, or 0."""
    return _Exit.status


def _leave() -> None:
    if _Exit.status:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(_Exit.status)


# Functions run in reverse order: this one, registered on import, runs after those that are registered later.
atexit.register(_leave)
