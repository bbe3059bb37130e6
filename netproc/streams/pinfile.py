"""The records that the security manager keeps of hosts, in a file or only in memory.

`security.py` reads and replaces records here, in a thread if there is a file.  `core/trust.py` defines their form.

Only the owner of the file can write to it, and it is replaced as a whole by one program at a time.  A file that cannot be
read is an error, and not treated as empty: otherwise an attacker who damages it could make every host a new one.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ..core.errors import SecurityError, os_error_text
from ..core.limits import MIB
from ..core.trust import Record, decode, encode

#: A larger file is refused.
LARGEST = 16 * MIB


class PinStore(Protocol):
    """A store of records."""

    def read(self, host: str) -> Record:
        """Return the record of HOST, an empty one if there is none."""

    def swap(self, host: str, old: Record, new: Record) -> bool:
        """Replace the record of HOST by NEW if it is still OLD; return whether it was."""


class PinMemory:
    """Records that are lost when the program ends."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def read(self, host: str) -> Record:
        return self._records.get(host, Record())

    def swap(self, host: str, old: Record, new: Record) -> bool:
        return _swap(self._records, host, old, new)


class PinFile:
    """Records in the file PATH, which is created with the first record.  Every failure is a SecurityError."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # If PATH is a symbolic link, the file is replaced, and not the link.
        self.path = os.path.realpath(path)

    def read(self, host: str) -> Record:
        with self._errors("read"):
            return self._load().get(host, Record())

    def swap(self, host: str, old: Record, new: Record) -> bool:
        with self._errors("write"), self._locked():
            records = self._load()
            swapped = _swap(records, host, old, new)
            if swapped:
                self._replace(encode(records))
            return swapped

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except SecurityError:
            raise
        except OSError as error:
            raise SecurityError(f"cannot {what} {self.path}: {os_error_text(error)}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(f"{self.path}.lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _load(self) -> dict[str, Record]:
        try:
            with open(self.path, "rb") as file:
                self._check(os.fstat(file.fileno()))
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return {}
        if len(data) > LARGEST:
            raise self._corrupt("it is too large")
        try:
            return decode(data)
        except (ValueError, RecursionError) as error:
            raise self._corrupt(str(error)) from None

    def _check(self, status: os.stat_result) -> None:
        others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if others or status.st_uid not in (os.geteuid(), 0):
            raise SecurityError(f"others can write to {self.path}")

    def _corrupt(self, problem: str) -> SecurityError:
        return SecurityError(f"{self.path} is corrupt: {problem}")

    def _replace(self, data: bytes) -> None:
        directory = os.path.dirname(self.path)
        # mkstemp makes a file of mode 0600.
        descriptor, temporary = tempfile.mkstemp(prefix=".netproc-", dir=directory)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise


def _swap(records: dict[str, Record], host: str, old: Record, new: Record) -> bool:
    if records.get(host, Record()) != old:
        return False
    records[host] = new
    if new == Record():
        del records[host]
    return True
