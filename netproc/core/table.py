"""The table of processes and buffers: unique names, look-up by name, and observers.

A process reserves its name before it exists, is listed from when it is made until it ends, and leaves the table when its
descriptor is closed.  Every public function works on a table; `process/process.py` has the default one.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from .buffer import Buffer
from .checks import plain
from .errors import ProcessArgumentError
from .escape import shown


class Listed(Protocol):
    """What the table needs to know of a process."""

    @property
    def name(self) -> str:
        """The unique name of the process."""

    @property
    def buffer(self) -> Buffer | None:
        """The buffer of the process, or None."""

    def delete(self) -> None:
        """End the process."""

    def _observer_raised(self, error: BaseException) -> None:
        """Log ERROR, which an observer raised."""


P = TypeVar("P", bound=Listed)

#: A function that is called with a process, what happens to it, and a text, event or message, or None.
#: "made": the process is listed.  "log", "sentinel" and "filter": that function is about to be called.
#: "delivered": the filter has been called.  "gone": the process has ended, and its descriptor is closed.
Observer = Callable[[P, str, object], None]


#: A name that `reserve` has made from one that was in use, with that name and the number.
_NUMBERED = re.compile(r"(.*)<([1-9][0-9]{0,11})>", re.DOTALL)


class _Numbers:
    """The numbers that `reserve` appends to one name, and which of them may be free."""

    __slots__ = ("freed", "next")

    def __init__(self) -> None:
        #: The first number that was never used.
        self.next = 1
        #: A heap of the numbers before it that have become free.
        self.freed: list[int] = []

    def take(self) -> int:
        """Return the first number that may be free."""
        if self.freed:
            return heapq.heappop(self.freed)
        self.next += 1
        return self.next - 1


class ProcessTable(Generic[P]):
    """A set of processes and buffers.  Names are unique within a table.

    There is one default table.  A program may make more tables.  ``process in table`` tells whether a process is listed.
    """

    def __init__(self) -> None:
        # In the order in which names were reserved; None until the process is entered.
        self._processes: dict[str, P | None] = {}
        # For names that were given more than once, since trying all numbers for each would take quadratic time.
        self._numbers: dict[str, _Numbers] = {}
        self._buffers: dict[str, Buffer] = {}
        self._connections = 0
        #: Processes that have ended, until their descriptors are closed.
        self.closing: set[P] = set()
        #: The functions that are called with every event; nearly always empty.
        self.observers: dict[object, Observer[P]] = {}

    # -- names ------------------------------------------------------------------------------

    def reserve(self, name: str) -> str:
        """Make NAME unique by "<1>", "<2>", … (N2) and keep it until `enter` or `release`."""
        unique = name
        if name in self._processes:
            numbers = self._numbers.setdefault(name, _Numbers())
            while unique in self._processes:
                unique = f"{name}<{numbers.take()}>"
        self._processes[unique] = None
        return unique

    def release(self, name: str) -> None:
        """Give up the reservation of NAME, whose process was not made."""
        if self._processes.get(name, self) is None:
            self._free(name)

    def _free(self, name: str) -> None:
        """Make NAME free."""
        del self._processes[name]
        numbered = _NUMBERED.fullmatch(name)
        numbers = self._numbers.get(numbered[1]) if numbered else None
        if numbered is None or numbers is None or int(numbered[2]) >= numbers.next:
            return
        heapq.heappush(numbers.freed, int(numbered[2]))
        if len(numbers.freed) >= numbers.next - 1:
            # All numbers are free.
            del self._numbers[numbered[1]]

    def next_connection(self) -> int:
        """Return the number of the next accepted connection, for its name if it has no address (N92)."""
        return self._connections + 1

    def count_connection(self) -> None:
        """Count an accepted connection, of any family."""
        self._connections += 1

    # -- processes --------------------------------------------------------------------------

    def enter(self, process: P) -> None:
        """List PROCESS, whose name was reserved."""
        self._processes[process.name] = process
        if self.observers:
            self.notify(process, "made", None)

    def leave(self, process: P) -> None:
        """Remove PROCESS, which has ended; its descriptor may still be open."""
        if self._processes.get(process.name) is process:
            self._free(process.name)
        self.closing.add(process)

    def closed(self, process: P) -> None:
        """Forget PROCESS, which has ended, since its descriptor is closed."""
        self.closing.discard(process)
        if self.observers:
            self.notify(process, "gone", None)

    def processes(self) -> list[P]:  # N3
        """Return the processes that have not ended, the newest first."""
        return [p for p in reversed(self._processes.values()) if p is not None]

    def get(self, name: object) -> P | None:  # N3
        """Return the process with this name, or None.

        Args:
            name: The name of a process.  A process is returned as it is.

        Raises:
            ProcessArgumentError: `name` is neither a str nor a process.
        """
        name = plain(name)
        if isinstance(name, str):
            return self._processes.get(name)
        if name is not None and hasattr(name, "contact"):
            return name  # type: ignore[return-value]
        raise ProcessArgumentError("name", f"{shown(name)} is neither a name nor a process")

    def __contains__(self, process: object) -> bool:
        name = getattr(process, "name", None)
        return self._processes.get(name) is process if isinstance(name, str) else False

    # -- buffers ----------------------------------------------------------------------------

    def get_buffer(self, name: object) -> Buffer | None:
        """Return the buffer with this name, or None.

        Args:
            name: The name of a buffer.
        """
        name = plain(name)
        return self._buffers.get(name) if isinstance(name, str) else None

    def get_buffer_create(self, buffer: object) -> Buffer:
        """Return the buffer with this name, and create it if there is none.

        Args:
            buffer: The name of a buffer, not empty.  A buffer is returned as it is.

        Raises:
            ProcessArgumentError: `buffer` is empty, or neither a str nor a buffer.
        """
        if isinstance(buffer, Buffer):
            return buffer
        buffer = plain(buffer)
        if not isinstance(buffer, str):
            raise ProcessArgumentError("buffer", f"{shown(buffer)} is neither a buffer nor a name")
        if not buffer:
            raise ProcessArgumentError("buffer", "the name of a buffer must not be empty")
        found = self._buffers.get(buffer)
        if found is None:
            found = self._buffers[buffer] = Buffer(buffer, self._buffer_killed)
        return found

    def buffer_process(self, buffer: Buffer | str | None) -> P | None:  # N11
        """Return the newest process that uses this buffer, or None.

        Args:
            buffer: A buffer or the name of a buffer.
        """
        found = self.get_buffer(buffer) if isinstance(buffer, str) else buffer
        if found is None:
            return None
        return next((process for process in self.processes() if process.buffer is found), None)

    def forget_buffer(self, buffer: Buffer) -> None:
        """Remove BUFFER from the table; other references to it stay valid."""
        if buffer.name is not None and self._buffers.get(buffer.name) is buffer:
            del self._buffers[buffer.name]

    def _buffer_killed(self, buffer: Buffer) -> None:
        for process in self.processes():
            if process.buffer is buffer:
                process.delete()
        self.forget_buffer(buffer)

    # -- watching ---------------------------------------------------------------------------

    def observe(self, observer: Observer[P]) -> Callable[[], None]:
        """Call a function for everything that happens to the processes of the table.

        netproc calls the observer before it calls the process's own function.  If the observer raises an exception, netproc logs
        it, and the process goes on.  A function that is registered twice is called twice.

        Args:
            observer: The function, called as ``observer(process, what, value)``.  `what` is one of:

                * "made": the process is listed.  `value` is None.
                * "log": netproc is about to call the log function of a server, whether or not there is one.  `value` is the
                  message.
                * "sentinel": netproc is about to call the sentinel.  `value` is the event.
                * "filter": netproc is about to call the filter.  `value` is the input.
                * "delivered": netproc has called the filter.  `value` is the input.
                * "gone": the process has ended and its descriptor is closed.  `value` is None.

        Returns:
            A function without arguments that ends the observation.

        Raises:
            ProcessArgumentError: `observer` is not a function.
        """
        if not callable(observer):
            raise ProcessArgumentError("observer", f"{shown(observer)} is not a function")
        # An observer that is registered twice is called twice.
        key = object()
        self.observers[key] = observer

        def stop() -> None:
            self.observers.pop(key, None)

        return stop

    def notify(self, process: P, what: str, value: object) -> None:
        """Call the observers; an exception of one is logged and does not affect the others."""
        for observer in tuple(self.observers.values()):
            try:
                observer(process, what, value)
            except BaseException as error:
                process._observer_raised(error)
