"""The file of a UNIX server: who may connect, what is in the way, what is left behind.

`net/endpoints.py` listens through this module; `net/listener.py` removes the file in the end.

* The file has its mode from the first moment on: 0600 unless the program says otherwise (D10).
* A socket file that no program has open any more is replaced.  A live one, another user's, and whatever is
  no socket stay untouched, and the address is in use.  The directory is not locked: anybody who can read it
  could hold that lock.  Servers of one user that start at once take turns by a lock file of their own.
* It is removed in the end if it is still the one that was made.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from twisted.logger import Logger

from ..core.address import SocketAddress, format_address
from ..core.errors import from_os_error

log = Logger()

DEFAULT_MODE = 0o600


class SocketFile:
    """A socket file that we made, known by device and inode."""

    def __init__(self, path: bytes) -> None:
        # The program may go to another directory.
        self._path = os.path.abspath(path)
        try:
            self._identity: tuple[int, int] | None = _identity(path)
        except FileNotFoundError:
            # Another program has removed it, or has moved it aside for a moment: it cannot be known any more.
            self._identity = None

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
        raise from_os_error(error, "Cannot bind server socket", format_address(address)) from error


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
    """Remove the file at PATH if it is a socket of ours that no program has any more.

    The result tells whether the caller may bind now.
    """
    try:
        found = os.lstat(path)
        is_ours = stat.S_ISSOCK(found.st_mode) and os.geteuid() in (0, found.st_uid)
        if not is_ours or not _is_dead(path):
            return False
        with _turn(path, found) as is_our_turn:
            return is_our_turn and _remove_if_same(path, found)
    except FileNotFoundError:
        # Another server has removed it.
        return True


@contextmanager
def _turn(path: bytes, found: os.stat_result) -> Iterator[bool]:
    """Give one server at a time the right to remove FOUND, the stale file at PATH; whether we have it.

    Without this, a server could find the file stale, be slow, and then move away the file of a server that
    has replaced it meanwhile.  The lock is on a file that only our user can open.  Its name belongs to this
    one stale file, so nobody can hold an older lock for it.  A lock file that another user has put there is
    no reason to wait: then we go on without a lock.
    """
    name = path + b".%x-%x" % (found.st_ino, found.st_mtime_ns)
    with ExitStack() as cleanup:
        try:
            lock = os.open(name, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except OSError:
            yield True
            return
        cleanup.callback(os.close, lock)
        if os.fstat(lock).st_uid != os.geteuid():
            yield True
            return
        has_turn = _lock(lock)
        if has_turn:
            # Before the lock is released: who opens the name now makes a new file, and finds FOUND gone.
            cleanup.callback(_unlink_if_possible, name)
        yield has_turn


def _unlink_if_possible(name: bytes) -> None:
    with suppress(OSError):
        os.unlink(name)


def _lock(file: int) -> bool:
    """Lock FILE without waiting; False if another server has the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # This file system has no locks.
        return True
    return True


def _remove_if_same(path: bytes, found: os.stat_result) -> bool:
    """Remove the file at PATH if it still is FOUND; whether that is done.

    A program that does not use our lock may replace it at any moment.  So the file is moved aside first, and
    moved back if it is not FOUND.
    """
    if not _is_same_file(found, os.lstat(path)):
        return False
    aside = path + b"." + secrets.token_hex(8).encode()
    os.rename(path, aside)
    if not _is_same_file(found, os.lstat(aside)):
        _put_back(aside, path)
        return False
    os.unlink(aside)
    return True


def _put_back(aside: bytes, path: bytes) -> None:
    """Move the file ASIDE to PATH, where another program may have made a new file by now."""
    try:
        # Unlike rename, link never replaces a file.
        os.link(aside, path, follow_symlinks=False)
    except FileExistsError:
        log.warn("{path} was replaced twice; the first file is now {aside}", path=path, aside=aside)
    except OSError:
        # A directory, another user's file, or a file system without links.
        os.rename(aside, path)
    else:
        os.unlink(aside)


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
