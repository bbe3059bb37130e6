"""Values that are made from files, and made again when the files are replaced.

`contexts.py` keeps its contexts here, `servernames.py` the context of each name and the list of names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from twisted.logger import Logger

from ...core.errors import ProcessArgumentError
from ...core.escape import escape
from .parameters import Pem

T = TypeVar("T")
log = Logger()


def _stamp(name: str) -> object:
    """Return a value that changes when the file, its rights or the entries of the directory NAME change."""
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


class Renewed(Generic[T]):
    """The result of MAKE, which reads FILES; it is made again when one of them has changed.

    MAKE raises ProcessArgumentError if the files cannot be used.
    """

    def __init__(self, files: Iterable[Pem | None], make: Callable[[], T]) -> None:
        self._files = list(dict.fromkeys(file for file in files if isinstance(file, str)))
        self._make = make
        self._stamps: object = None
        self._failed: object = None
        #: The last result, None before the first.
        self.value: T | None = None

    def read(self) -> None:
        """Make the value again if the files have changed.

        :raises ProcessArgumentError: if they have changed and cannot be used; `value` stays as it was.
        """
        self._read(self._current())

    def latest(self) -> T | None:
        """Return the value, made again if the files have changed; if they cannot be used, log that once."""
        stamps = self._current()
        if stamps == self._failed:
            return self.value
        self._failed = None
        try:
            self._read(stamps)
        except ProcessArgumentError as error:
            self._failed = stamps
            log.error("TLS continues with the old files: {problem}", problem=escape(str(error)))
        return self.value

    def _current(self) -> object:
        return [_stamp(file) for file in self._files]

    def _read(self, stamps: object) -> None:
        if stamps != self._stamps:
            self.value = self._make()
            self._stamps = stamps
