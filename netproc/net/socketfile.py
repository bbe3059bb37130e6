"""The file of a UNIX server socket: its mode, old files at its path, and its removal.

`net/endpoints.py` and `making/datagrams.py` bind sockets with this module.  `net/listener.py` removes the file of a listening
socket when it closes.  The channel of a datagram socket does so too, since `making/datagrams.py` hands it the function.

* The file has its mode from the beginning: 0600 unless the program asks for another one (D10).
* A socket file that no program has open any more is replaced.  A socket file that is in use or belongs to another user,
  and any other kind of file, stays untouched; then the address is in use.  The directory is not locked, because any user
  who can read it could hold that lock.  Servers of one user that start at the same time take turns with a separate lock
  file.
* When the server ends, the file is removed, unless another file has replaced it.
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
    """A socket file that this process has made, identified by device and inode.

    That is enough while the socket is open, because no other file has its inode then.  So remove the file first, and then
    close the socket.
    """

    def __init__(self, path: bytes) -> None:
        # The program may change its working directory.
        self._path = os.path.abspath(path)
        try:
            self._identity: tuple[int, int] | None = _identity(path)
        except FileNotFoundError:
            # Another program has removed it, or has moved it aside for a moment: we cannot identify it any more.
            self._identity = None

    def remove(self) -> None:
        """Remove the file, unless another file has replaced it."""
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
    """Bind SOCK to ADDRESS, a path or an abstract name.  Listen with BACKLOG, unless that is None.

    MODE is the mode of the file, 0600 if None.  Returns the file, which has to be removed when the server ends, or None
    for an abstract name.  Raises ProcessError with the path if the address is in use or the file cannot be made; then no
    file is left.
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
    """Bind SOCK to PATH, with a umask that gives the file exactly MODE.

    Changing the mode afterwards would be too late, and could change another file that has replaced this one.
    """
    before = os.umask(0o777 & ~mode)
    try:
        sock.bind(path)
    finally:
        os.umask(before)


def _remove_stale(path: bytes) -> bool:
    """Remove the file at PATH if it is a socket of our user that no program has open.

    Return whether the caller may bind now.
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
    """Let one server at a time remove FOUND, the stale file at PATH.  Yield whether it is our turn.

    Without this, a slow server could find the file stale and then move away the file of another server, which has
    replaced the stale file in the meantime.  The lock is on a file that only our user can open.  Its name is derived from
    this one stale file, so no older lock can exist for it.  If another user has made a file of that name, we go on without
    a lock.
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
            # Done before the lock is released.  A server that opens the name afterwards makes a new lock file, and finds
            # that FOUND is gone.
            cleanup.callback(_unlink_if_possible, name)
        yield has_turn


def _unlink_if_possible(name: bytes) -> None:
    with suppress(OSError):
        os.unlink(name)


def _lock(file: int) -> bool:
    """Lock FILE without waiting.  Return False if another server has the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # This file system has no locks.
        return True
    return True


def _remove_if_same(path: bytes, found: os.stat_result) -> bool:
    """Remove the file at PATH if it is still FOUND.  Return whether it was removed.

    A program that does not use our lock may replace the file at any moment.  So the file is moved aside first, and moved
    back if it is not FOUND.
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
    """Move the file ASIDE back to PATH, where another program may have made a new file by now."""
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
    """Whether ONE and OTHER are about the same file, and not about a later file with the same inode number."""
    return os.path.samestat(one, other) and one.st_mtime_ns == other.st_mtime_ns


def _is_dead(path: bytes) -> bool:
    """Whether no program has the socket at PATH open.

    The kernel compares the socket types first.  So a stream socket refuses this datagram probe even if it does not listen
    yet, and its server does not notice the probe.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            return error.errno == errno.ECONNREFUSED
    return False


def spellings(name: bytes) -> frozenset[bytes]:
    """Return the names by which the kernel may refer to the socket NAME.

    These are NAME itself, its absolute path, and the path after all symbolic links are followed.  Never call this with a
    name that a peer has chosen, because it could be a link to any file.
    """
    if name.startswith(b"\0"):
        return frozenset({name})
    try:
        return frozenset({name, os.path.abspath(name), os.path.realpath(name)})
    except OSError:
        # The working directory may have been removed.
        return frozenset({name})
