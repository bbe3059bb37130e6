"""The states of a process: one table of transitions, and the only home of the event strings.

`process/lifecycle.py` calls `step` with a *cause*, which is something that has happened. The result
is the new state and the event with which the sentinel is called. When the documentation is built,
`docs/_ext/lifecycle.py` makes its picture and its list of transitions from `TABLE`.

The table keeps three rules. Nothing leaves a terminal state, except that deleting a failed process
closes it. A terminal state is entered with exactly one event. A pair that is not in the table
changes nothing. "Stopped" is not a state: stopping a process hides the state of a live process, and
resuming it shows that state again (N60).
"""

from __future__ import annotations

import enum
import signal
from typing import NamedTuple

from .errors import CommandError, ProcessError


class State(enum.Enum):
    """The state of a process. The value is what `NetworkProcess.status` returns."""

    NEW = "new"
    CONNECT = "connect"
    OPEN = "open"
    LISTEN = "listen"
    CLOSED = "closed"
    FAILED = "failed"
    # These are states of a command that runs instead of a connection.
    RUN = "run"
    EXIT = "exit"
    SIGNAL = "signal"

    # Every step looks up members in a dictionary, and the hash of Enum is slow Python code.
    __hash__ = object.__hash__


#: What `status` returns for a stopped process.
STOP = "stop"

#: The states in which `live` is True (N10).
LIVE = frozenset({State.CONNECT, State.OPEN, State.LISTEN, State.RUN})
ENDED = frozenset({State.CLOSED, State.FAILED, State.EXIT, State.SIGNAL})
#: The states in which `send` accepts data.
SENDING = frozenset({State.CONNECT, State.OPEN, State.RUN})
#: The terminal states that stopping does not hide.
_OVER = frozenset({State.CLOSED, State.EXIT, State.SIGNAL})
#: The states in which data can flow.
FLOWING = frozenset({State.OPEN, State.RUN})


class Cause(enum.Enum):
    """Something that happens to a process. The value is what the documentation calls it."""

    CONNECTING = "created with nowait"
    CONNECTED = "connected"
    ENCRYPTED = "connected, with tls_parameters"  # always has an event (N239)
    ACCEPTED = "accepted by a server"
    LISTENING = "listens"
    # Any error of an open connection is this cause too: Emacs does not distinguish them (N84).
    PEER_ENDED = "the peer ends or resets the connection"
    DELETED = "deleted"
    FAILED = "fails"
    STARTED = "the command starts"
    FINISHED = "the command exits with status 0"
    EXITED = "the command exits with another status"
    SIGNALLED = "a signal ends the command"

    __hash__ = object.__hash__


class Step(NamedTuple):
    """The new state and the event for the sentinel, in which `{}` stands for a host or an error.

    Without an event the sentinel is not called.
    """

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
    # Deleting an ended process has no event, but closes a failed process (N65).
    (State.FAILED, Cause.DELETED): Step(State.CLOSED, None),
    (State.CLOSED, Cause.DELETED): Step(State.CLOSED, None),
}


def step(state: State, cause: Cause) -> Step | None:
    """Return what CAUSE does to a process in STATE, or None if it changes nothing."""
    return TABLE.get((state, cause))


def shown(state: State, stopped: bool) -> str:
    """Return the status to report for a process in STATE."""
    return STOP if stopped and state not in _OVER else state.value


def end_of_input(state: State, reason: ProcessError | None) -> Cause:
    """Return the cause for a process in STATE whose input has ended because of REASON."""
    if state is not State.RUN:
        return Cause.PEER_ENDED
    if reason is None:
        return Cause.FINISHED
    by_signal = isinstance(reason, CommandError) and reason.by_signal
    return Cause.SIGNALLED if by_signal else Cause.EXITED


def exited_words(code: int) -> str:
    """Return the event, without newline, for a command that exited with CODE (N69)."""
    return f"exited abnormally with code {code}"


def signal_words(number: int) -> str:
    """Return the event, without newline, for a command that signal NUMBER ended.

    It is the system's description of the signal, with its first letter in lower case.
    """
    try:
        words = signal.strsignal(number)
    except ValueError:
        words = None
    return words[0].lower() + words[1:] if words else f"signal {number}"


def failure_words(error: ProcessError) -> str:
    """Return what follows "failed": the errno of ERROR if it has one (N70), else its text (D2)."""
    return f": {error.problem}" if error.errno is None else f" with code {error.errno}"


def accept_message(host: str) -> str:
    """Return the message with which `log` is called for a new connection from HOST (N91)."""
    return f"accept from {host}\n"


def accept_failed_message(errno: int) -> str:
    """Return the message with which `log` is called when accepting fails (N91, D8)."""
    return f"accept failed with code {errno}\n"
