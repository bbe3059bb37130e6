"""What is remembered of hosts, in a file or only in memory.

`security.py` reads and replaces records here, in a thread if there is a file; their form is that of
`core/trust.py`.

The file is for its owner alone and replaced as a whole, by one process at a time.  One that cannot be read
is an error, never a file without records: whoever could damage it could make every host a new one.
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

#: A larger file is not one of ours.
LARGEST = 16 * MIB


class PinStore(Protocol):
    """Where records are."""

    def read(self, host: str) -> Record:
        """The record of HOST, empty if there is none."""

    def swap(self, host: str, old: Record, new: Record) -> bool:
        """Replace the record of HOST, if it is OLD still."""


class PinMemory:
    """Records that are forgotten with the program."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def read(self, host: str) -> Record:
        """As a `PinStore`."""
        return self._records.get(host, Record())

    def swap(self, host: str, old: Record, new: Record) -> bool:
        """As a `PinStore`."""
        return _swap(self._records, host, old, new)


class PinFile:
    """Records in the file PATH, which its first record makes; every failure is a SecurityError."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # Not the link is replaced, but the file.
        self.path = os.path.realpath(path)

    def read(self, host: str) -> Record:
        """As a `PinStore`."""
        with self._errors("read"):
            return self._load().get(host, Record())

    def swap(self, host: str, old: Record, new: Record) -> bool:
        """As a `PinStore`."""
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
            raise SecurityError(f"others can write {self.path}")

    def _corrupt(self, problem: str) -> SecurityError:
        return SecurityError(f"{self.path} is corrupt: {problem}")

    def _replace(self, data: bytes) -> None:
        directory = os.path.dirname(self.path)
        # Its mode is 0600.
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
