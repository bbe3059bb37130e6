"""What is made of files that may be replaced while a program runs.

`contexts` keeps its contexts here, `servernames` those of each name and the list of names.
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
    """What changes when a file, its rights or the entries of a directory do."""
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


class Renewed(Generic[T]):
    """What MAKE makes of FILES, made again when one of them has changed.

    MAKE raises ProcessArgumentError if the files cannot be used.
    """

    def __init__(self, files: Iterable[Pem | None], make: Callable[[], T]) -> None:
        self._files = list(dict.fromkeys(file for file in files if isinstance(file, str)))
        self._make = make
        self._stamps: object = None
        self._failed: object = None
        #: What was made of the files when they could last be used.
        self.value: T | None = None

    def read(self) -> None:
        """Look at the files.

        :raises ProcessArgumentError: if they have changed and cannot be used; `value` stays as it was.
        """
        self._read(self._current())

    def latest(self) -> T | None:
        """The value after a look at the files; a problem with them is logged once."""
        stamps = self._current()
        if stamps == self._failed:
            return self.value
        self._failed = None
        try:
            self._read(stamps)
        except ProcessArgumentError as error:
            self._failed = stamps
            log.error("TLS goes on with the old files: {problem}", problem=escape(str(error)))
        return self.value

    def _current(self) -> object:
        return [_stamp(file) for file in self._files]

    def _read(self, stamps: object) -> None:
        if stamps != self._stamps:
            self.value = self._make()
            self._stamps = stamps
