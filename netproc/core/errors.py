"""The errors of netproc.

Every failure raises one of these::

    NetprocError
     +-- ProcessArgumentError   a value cannot be used (a ValueError)
     +-- ProcessError           the network or the peer failed (an OSError)
          +-- NegotiationError       the dialogue that opens a stream failed
               +-- StartTLSError          the server does not offer TLS, or refuses it
               +-- AnswerSizeError        an answer was longer than allowed
          +-- SecurityError        the security manager refused a connection
          +-- CommandError         a command that replaces a connection failed
"""

from __future__ import annotations

import errno as _errno
import os
from contextlib import ContextDecorator
from types import TracebackType

from .escape import error_text


class NetprocError(Exception):
    """The base class of all errors of netproc."""


class ProcessArgumentError(NetprocError, ValueError):
    """An argument or an attribute was given a value that cannot be used.

    The functions that make processes fail with it before they make a socket.

    Attributes:
        keyword: The Python name of the argument or the attribute.
        problem: What is wrong with its value.
    """

    def __init__(self, keyword: str, problem: str) -> None:
        super().__init__(f"{keyword}: {problem}")
        self.keyword = keyword
        self.problem = problem


class argument(ContextDecorator):  # noqa: N801
    """While the value of KEYWORD is checked, turn any exception into a ProcessArgumentError.

    The checks raise it for the mistakes that they look for.  This catches the rest: numbers that are too long to be
    printed, text that cannot be encoded, objects that raise when they are compared or copied.
    """

    # A class, since a generator costs some microseconds for each value.
    __slots__ = ("_keyword",)

    def __init__(self, keyword: str) -> None:
        self._keyword = keyword

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, NetprocError):
            problem = f"this value cannot be used ({type(error).__name__}: {error_text(error)})"
            raise ProcessArgumentError(self._keyword, problem) from error


class ProcessError(NetprocError, OSError):
    """An operation on a process failed.

    Attributes:
        errno: The error number of the system, or None if there is none, as for a host name that was not found.
        problem: The text of the error.
        address: The address or addresses at which it happened, as text, or None.
    """

    #: Whether the error has been logged.  An error that is raised again and again is logged once.
    logged = False

    def __init__(self, errno: int | None, problem: str, address: str | None = None) -> None:
        super().__init__(errno, problem)
        self.problem = problem
        self.address = address

    def __str__(self) -> str:
        return self.problem if self.address is None else f"{self.problem}: {self.address}"


class NegotiationError(ProcessError):
    """The dialogue that opens a stream failed: the server did not answer as its protocol requires."""

    def __init__(self, problem: str) -> None:
        super().__init__(None, problem)


class StartTLSError(NegotiationError):
    """The server does not offer TLS, or it refused TLS.

    `open_network_stream` fails with it if the stream must have TLS.  Otherwise the stream stays unencrypted, and this is
    the `last_error` of the process.
    """


class AnswerSizeError(NegotiationError):
    """The server sent more than a dialogue may contain."""


class SecurityError(ProcessError):
    """The security manager refuses the connection.

    Attributes:
        conditions: The names of the problems, as a tuple: the "warnings" of `peer_status`, "same-cert" (the host has
            another public key than before), "not-seen", "unencrypted", "version", "cbc-cipher", ….  It is empty if the manager
            failed, for example because it could not read its file.
    """

    def __init__(self, problem: str, conditions: tuple[str, ...] = ()) -> None:
        super().__init__(None, problem)
        self.conditions = conditions


class CommandError(ProcessError):
    """A command that ran instead of a connection has failed.

    Attributes:
        exit_status: The exit status of the command, which is not 0, or the number of the signal that ended it.
        by_signal: Whether a signal ended the command.
    """

    def __init__(self, problem: str, exit_status: int, *, by_signal: bool = False) -> None:
        super().__init__(None, problem)
        self.exit_status = exit_status
        self.by_signal = by_signal


def os_error_text(error: OSError) -> str:
    """Return the system's text for ERROR, without errno and file name: "Connection refused"."""
    if error.errno is not None and error.errno in _errno.errorcode:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def from_os_error(error: OSError, what: str, address: str | None = None) -> ProcessError:
    """Return a ProcessError for ERROR; WHAT says what failed ("connect", …)."""
    made = ProcessError(error.errno, f"{what}: {os_error_text(error)}", address)
    made.__cause__ = error
    return made


def without_traceback(error: ProcessError) -> ProcessError:
    """Return ERROR without its tracebacks, which would keep every object in their frames alive."""
    part: BaseException | None = error
    while part is not None:
        part.__traceback__ = None
        part = part.__cause__
    return error


def not_running(name: str) -> ProcessError:
    """Return the error for sending to a process without a connection (N148)."""
    return ProcessError(_errno.ENOTCONN, f"Process {name} not running")
