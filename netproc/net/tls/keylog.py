"""Logging of the secrets of connections to a file that only its owner can read.

`contexts.py` calls `log_keys` for parameters with a `keylog`.  Programs such as Wireshark read the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from OpenSSL import SSL
from twisted.logger import Logger

from ...core.errors import ProcessArgumentError, os_error_text
from ...core.escape import escape
from .parameters import parameter_error

log = Logger()


@contextlib.contextmanager
def _opened(name: str) -> Iterator[int]:
    """Yield a descriptor of the file NAME for appending; only this user may have access to the file."""
    # Do not follow a link, which another user may have made, and do not wait for the reader of a pipe.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(name, flags, 0o600)
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        why = "it is a symbolic link; give the file itself" if is_link else os_error_text(error)
        raise parameter_error(f"keylog: {escape(name)}: {why}") from None
    try:
        problem = _problem(os.fstat(descriptor))
        if problem is not None:
            raise parameter_error(f"keylog: {escape(name)}: {problem}")
        yield descriptor
    finally:
        os.close(descriptor)


def _problem(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return "other users have access to it; remove that with chmod 600"
    return None


def log_keys(context: SSL.Context, name: str) -> None:
    """Append the secrets of the connections of CONTEXT to the file NAME.

    :raises ProcessArgumentError: if that is not possible, or if other users could read them.
    """
    if (os.getuid(), os.getgid()) != (os.geteuid(), os.getegid()):
        raise parameter_error(
            "keylog: not possible in a program that runs with more rights than its user has"
        )
    with _opened(name):
        pass
    told: set[str] = set()

    def append(connection: SSL.Connection, line: bytes) -> None:
        try:
            with _opened(name) as descriptor:
                os.write(descriptor, line + b"\n")
        except (OSError, ProcessArgumentError) as error:
            problem = str(error)
            if problem not in told:
                told.add(problem)
                log.error("TLS secrets are not logged: {problem}", problem=escape(problem))

    context.set_keylog_callback(append)
