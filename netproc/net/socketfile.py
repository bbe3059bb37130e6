"""The file of a UNIX server: who may connect, what is in the way, what is left behind.

`net/endpoints.py` listens through this module; `net/listener.py` removes the file in the end.

* The file has its mode from the first moment on: 0600 unless the program says otherwise (D10).
* A socket file that no program has open any more is replaced.  A live one, another user's, and whatever is
  no socket stay untouched, and the address is in use.  Nothing is locked: anybody who can read a directory
  could hold a lock on it.
* It is removed in the end if it is still the one that was made.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat

from twisted.logger import Logger

from ..core.address import SocketAddress, text
from ..core.errors import from_os_error

log = Logger()

DEFAULT_MODE = 0o600


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


def _bind(sock: socket.socket, path: bytes, mode: int) -> None:
    try:
        _bind_with_mode(sock, path, mode)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _remove_stale(path):
            raise
        _bind_with_mode(sock, path, mode)


def _bind_with_mode(sock: socket.socket, path: bytes, mode: int) -> None:
    """Bind SOCK to PATH; the umask gives the file exactly MODE.

    Changing the mode afterwards would be too late, and by then something else could be in its place.
    """
    before = os.umask(0o777 & ~mode)
    try:
        sock.bind(path)
    finally:
        os.umask(before)


def _remove_stale(path: bytes) -> bool:
    """Remove the file at PATH if it is a socket of ours that no program has any more; whether that is done.

    Another server may do the same at this moment, and then bind its own socket to PATH.  So the file is
    moved aside first, and moved back if it is not the one that was looked at.
    """
    aside = path + b"." + secrets.token_hex(8).encode()
    try:
        found = os.lstat(path)
        is_ours = stat.S_ISSOCK(found.st_mode) and os.geteuid() in (0, found.st_uid)
        if not is_ours or not _is_dead(path):
            return False
        os.rename(path, aside)
    except FileNotFoundError:
        # The other server has removed it.
        return True
    if not _is_same_file(found, os.lstat(aside)):
        os.rename(aside, path)
        return False
    os.unlink(aside)
    return True


def _is_same_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether they are of one file, and not of a later one with the same number."""
    return os.path.samestat(one, other) and one.st_mtime_ns == other.st_mtime_ns


def _is_dead(path: bytes) -> bool:
    """Whether no program has the socket at PATH open.

    The kernel compares the kinds of sockets before anything else, so a stream socket refuses this probe,
    also one that does not listen yet, and its server does not see it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            return error.errno == errno.ECONNREFUSED
    return False


def spellings(name: bytes) -> frozenset[bytes]:
    """The names by which the kernel may tell us of the socket that we call NAME.

    They are NAME itself, its absolute path, and where that leads now.  A name that a peer has chosen must
    not be resolved: it could be a link to any file.
    """
    if name.startswith(b"\0"):
        return frozenset({name})
    try:
        return frozenset({name, os.path.abspath(name), os.path.realpath(name)})
    except OSError:
        # The working directory may have been removed.
        return frozenset({name})
