"""The status machine: one table; the only home of the event strings.

`process/lifecycle.py` asks `step` what a cause does to a process's state and tells the sentinel what
comes out; the documentation draws its picture from the same table.

Rules of the table: nothing leaves a terminal state, a terminal state is entered with exactly one
event, and a pair that the table does not have changes nothing.  Whether a process is stopped is
not a state here: stopping hides the states that are alive and comes back to them (N60).
"""

from __future__ import annotations

import enum
import signal
from typing import NamedTuple

from .errors import CommandError, ProcessError


class State(enum.Enum):
    """Where a process is in its life; the value is what `status` says."""

    NEW = "new"
    CONNECT = "connect"
    OPEN = "open"
    LISTEN = "listen"
    CLOSED = "closed"
    FAILED = "failed"
    # Of a command that is in the place of a connection.
    RUN = "run"
    EXIT = "exit"
    SIGNAL = "signal"

    # Members are looked up at every step, and Enum's own hash is a call of Python code.
    __hash__ = object.__hash__


#: What `status` says of a stopped process that is alive.
STOP = "stop"

#: The states in which `live` holds (N10).
LIVE = frozenset({State.CONNECT, State.OPEN, State.LISTEN, State.RUN})
ENDED = frozenset({State.CLOSED, State.FAILED, State.EXIT, State.SIGNAL})
#: The states in which something can be sent.
SENDING = frozenset({State.CONNECT, State.OPEN, State.RUN})
#: The ends that stopping does not hide.
_OVER = frozenset({State.CLOSED, State.EXIT, State.SIGNAL})
#: The states in which data can flow.
FLOWING = frozenset({State.OPEN, State.RUN})


class Cause(enum.Enum):
    """What can happen to a process."""

    CONNECTING = enum.auto()  # nowait: the process is shown before it is connected
    CONNECTED = enum.auto()
    ENCRYPTED = enum.auto()  # a client with TLS, which is told of in any case (N239)
    ACCEPTED = enum.auto()
    LISTENING = enum.auto()
    PEER_ENDED = enum.auto()  # end of file, reset or error: all the same to Emacs (N84)
    DELETED = enum.auto()
    FAILED = enum.auto()
    STARTED = enum.auto()  # a command runs
    FINISHED = enum.auto()  # it has ended as it should
    EXITED = enum.auto()
    SIGNALLED = enum.auto()

    __hash__ = object.__hash__


class Step(NamedTuple):
    """The new state, and the event to tell; `{}` stands for the host or the error."""

    state: State
    event: str | None
    exit_status: int = 0


TABLE: dict[tuple[State, Cause], Step] = {
    (State.NEW, Cause.CONNECTING): Step(State.CONNECT, None),
    (State.NEW, Cause.CONNECTED): Step(State.OPEN, None),
    (State.NEW, Cause.ACCEPTED): Step(State.OPEN, "open from {}\n"),
    (State.NEW, Cause.LISTENING): Step(State.LISTEN, None),
    (State.CONNECT, Cause.CONNECTED): Step(State.OPEN, "open\n"),
    (State.NEW, Cause.ENCRYPTED): Step(State.OPEN, "open\n"),
    (State.CONNECT, Cause.ENCRYPTED): Step(State.OPEN, "open\n"),
    (State.CONNECT, Cause.FAILED): Step(State.FAILED, "failed{}\n"),
    (State.CONNECT, Cause.DELETED): Step(State.CLOSED, "deleted\n"),
    (State.OPEN, Cause.PEER_ENDED): Step(State.CLOSED, "connection broken by remote peer\n", 256),
    (State.OPEN, Cause.DELETED): Step(State.CLOSED, "deleted\n"),
    (State.LISTEN, Cause.DELETED): Step(State.CLOSED, "deleted\n"),
    (State.LISTEN, Cause.FAILED): Step(State.FAILED, "failed{}\n"),
    (State.NEW, Cause.STARTED): Step(State.RUN, None),
    (State.CONNECT, Cause.STARTED): Step(State.RUN, "run\n"),
    (State.RUN, Cause.FINISHED): Step(State.EXIT, "finished\n"),
    (State.RUN, Cause.EXITED): Step(State.EXIT, "{}\n"),
    (State.RUN, Cause.SIGNALLED): Step(State.SIGNAL, "{}\n"),
    (State.RUN, Cause.DELETED): Step(State.SIGNAL, "killed\n", signal.SIGKILL),
    # Deleting what has ended is silent, but a failed process is closed by it (N65).
    (State.FAILED, Cause.DELETED): Step(State.CLOSED, None),
    (State.CLOSED, Cause.DELETED): Step(State.CLOSED, None),
}


def step(state: State, cause: Cause) -> Step | None:
    """What CAUSE does to a process in STATE, or None if it does nothing."""
    return TABLE.get((state, cause))


def shown(state: State, stopped: bool) -> str:
    """What `status` says of a process."""
    return STOP if stopped and state not in _OVER else state.value


def end_of_input(state: State, reason: ProcessError | None) -> Cause:
    """What it is for a process in STATE that its input has ended for REASON."""
    if state is not State.RUN:
        return Cause.PEER_ENDED
    if reason is None:
        return Cause.FINISHED
    by_signal = isinstance(reason, CommandError) and reason.by_signal
    return Cause.SIGNALLED if by_signal else Cause.EXITED


def exited_words(code: int) -> str:
    """How a command with exit status CODE has ended (N69)."""
    return f"exited abnormally with code {code}"


def signal_words(number: int) -> str:
    """How a command has ended that signal NUMBER killed: the system's words, without a capital."""
    try:
        words = signal.strsignal(number)
    except ValueError:
        words = None
    return words[0].lower() + words[1:] if words else f"signal {number}"


def failure_words(error: ProcessError) -> str:
    """How "failed" goes on: with the number where there is one (N70), else the reason (D2)."""
    return f": {error.problem}" if error.errno is None else f" with code {error.errno}"


def accept_message(host: str) -> str:
    """What the log function is told of a new connection (N91)."""
    return f"accept from {host}\n"


def accept_failed_message(errno: int) -> str:
    """What the log function is told when accepting fails (N91, D8)."""
    return f"accept failed with code {errno}\n"
