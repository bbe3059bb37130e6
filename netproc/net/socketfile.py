"""The file of a UNIX server: who may connect, what is in the way, what is left behind.

`net/endpoints.py` listens through this module; `net/listener.py` removes the file in the end.

* The file has its mode from the first moment on: 0600 unless the program says otherwise (D10).
* A socket file that nobody listens on any more is replaced.  A live one, another's, and whatever is no
  socket stay untouched, and the address is in use.  A lock on the directory keeps two servers that
  start at once from replacing each other.
* It is removed in the end if it is still the one that was made.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from twisted.logger import Logger

from ..core.address import SocketAddress, text
from ..core.errors import from_os_error

log = Logger()

DEFAULT_MODE = 0o600

#: How long to wait for another server that is starting in the same directory, in seconds.
_LOCK_TIMEOUT = 1.0
_LOCK_INTERVAL = 0.005


class SocketFile:
    """A socket file that we made, known by device and inode."""

    def __init__(self, path: bytes) -> None:
        # The program may go to another directory.
        self._path = os.path.abspath(path)
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove it, unless something else is in its place."""
        try:
            if _identity(self._path) == self._identity:
                os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warn("Cannot remove socket file: {error}", error=error)


def bind(
    sock: socket.socket, address: SocketAddress, backlog: int | None, mode: int | None
) -> SocketFile | None:
    """Bind SOCK to the path or abstract name ADDRESS and listen, unless BACKLOG is None.

    The result is the file to remove in the end, None for an abstract name.  Raises ProcessError with the
    path when that is in use or cannot be made; nothing is left behind then.
    """
    path: bytes = address.raw
    try:
        if path.startswith(b"\0"):
            sock.bind(path)
            _listen(sock, backlog)
            return None
        with _locked_directory(os.path.dirname(path) or b"."):
            _bind(sock, path, DEFAULT_MODE if mode is None else mode)
            made = SocketFile(path)
            try:
                _listen(sock, backlog)
            except OSError:
                made.remove()
                raise
            return made
    except OSError as error:
        raise from_os_error(error, "Cannot bind server socket", text(address)) from error


def _listen(sock: socket.socket, backlog: int | None) -> None:
    if backlog is not None:
        sock.listen(backlog)


def _identity(path: bytes) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


@contextmanager
def _locked_directory(path: bytes) -> Iterator[None]:
    """Keep other starting servers out of a directory; one that we may not read goes unlocked."""
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield
        return
    try:
        _lock(directory)
        yield
    finally:
        os.close(directory)


def _lock(directory: int) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOCK_INTERVAL)


def _bind(sock: socket.socket, path: bytes, mode: int) -> None:
    try:
        _bind_with_mode(sock, path, mode)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _is_stale(path):
            raise
        os.unlink(path)
        _bind_with_mode(sock, path, mode)


def _bind_with_mode(sock: socket.socket, path: bytes, mode: int) -> None:
    try:
        # Linux makes the file with the mode of the socket's own inode.
        os.fchmod(sock.fileno(), mode)
        sock.bind(path)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        before = os.umask(0o777 & ~mode)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
    if stat.S_IMODE(os.lstat(path).st_mode) != mode:
        # The umask took bits away that are wanted.
        os.chmod(path, mode)


def _is_stale(path: bytes) -> bool:
    """Is it a socket of ours that nobody listens on?"""
    found = os.lstat(path)
    if not stat.S_ISSOCK(found.st_mode) or os.geteuid() not in (0, found.st_uid):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except OSError as error:
            return error.errno == errno.ECONNREFUSED
    return False
