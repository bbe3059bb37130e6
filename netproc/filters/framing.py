"""Filters that call a function with whole messages: lines, or messages that begin with their length.

A program makes such a filter here and sets it on a process.  The process calls the filter with received data, which the
splitters of `core/framing.py` cut.  Data that the function has not received yet belongs to the process
(`process/process.py`): the process takes it back when the program stops it, or sets another filter or coding system.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Literal

from twisted.internet.defer import Deferred

from ..core.checks import plain
from ..core.decoders import Text
from ..core.errors import ProcessArgumentError, ProcessError
from ..core.escape import shown
from ..core.framing import LengthSplitter, LineSplitter, Splitter, TooLongError
from ..core.limits import KIB, MIB, check_size
from ..process import callbacks
from ..process.process import NetworkProcess
from ..process.settings import Filter

#: Called with the process and a message; may be a coroutine function, as a filter may.
MessageFunction = Callable[[NetworkProcess, Any], object]


class _Stream:
    """The input of one process, on its way through one framing: the UnusedInput of its Input."""

    __slots__ = ("drain_unused", "framing", "splitter")

    def __init__(self, framing: _Framing, splitter: Splitter) -> None:
        self.framing = framing
        self.splitter = splitter
        self.drain_unused = splitter.drain_unused


class _Framing:
    """A filter that calls a function with messages.  Any number of processes can share one."""

    def __init__(
        self, function: MessageFunction, make_splitter: Callable[[Text], Splitter], too_long: str
    ) -> None:
        if not callable(function):
            raise ProcessArgumentError("function", f"{shown(function)} is not a function")
        self._function = function
        self._make_splitter = make_splitter
        self._too_long = too_long

    def __call__(self, process: NetworkProcess, data: Text) -> object:
        """The filter of PROCESS, or a function that its filter calls."""
        try:
            stream = self._feed(process, data)
        except ProcessError as error:
            process.fail(error)
            return None
        running = self._deliver(process, stream)
        return None if running is None else self._go_on(process, stream, running)

    def _feed(self, process: NetworkProcess, data: Any) -> _Stream:
        """Return the stream of PROCESS with DATA added.  Input that another framing has not used comes first."""
        unused = process._unused
        if not isinstance(unused, _Stream) or unused.framing is not self:
            if unused is not None:
                data = unused.drain_unused() + data
            unused = process._unused = _Stream(self, self._make_splitter(data))
        unused.splitter.feed(data)
        return unused

    def _deliver(self, process: NetworkProcess, stream: _Stream) -> Deferred[object] | None:
        """Call the function with one message after another.  If a call is not done when it returns, return its Deferred."""
        may_use = process._may_use(stream)
        while may_use and (message := self._next(process, stream)) is not None:
            running = self._call(process, message)
            if running is not None:
                return running
            may_use = process._may_go_on(stream)
        return None

    async def _go_on(
        self, process: NetworkProcess, stream: _Stream, running: Deferred[object] | None
    ) -> None:
        while running is not None:
            await running
            running = self._deliver(process, stream)

    def _next(self, process: NetworkProcess, stream: _Stream) -> Any:
        """Return the next message, or None if none is complete."""
        try:
            return stream.splitter.take()
        except TooLongError:
            process.fail(ProcessError(errno.EMSGSIZE, self._too_long))
            return None

    def _call(self, process: NetworkProcess, message: Any) -> Deferred[object] | None:
        """Call the function; log what it raises, as for any filter."""
        try:
            result = self._function(process, message)
        except BaseException as error:
            callbacks.raised(error, process, "filter")
            return None
        return callbacks.pending(result, process, "filter")


def lines(function: MessageFunction, max_length: int = 64 * KIB, delimiter: str = "\n") -> Filter:
    """Make a filter that calls a function for each line of the input.

    Use the result as the `filter` of one process or of many.  Lines are str or bytes, as the filter of the process
    receives them.  An unfinished line at the end of the input is dropped.

    Args:
        function: The function, called as ``function(process, line)``.  `line` does not include the delimiter.  It may be a
            coroutine function or return a Deferred; the next line waits until it is done.
        max_length: The longest line, in characters or bytes, 65,536 by default.  A longer line ends the process, whose
            `reason` is a `ProcessError` with the errno EMSGSIZE.
        delimiter: The text that ends a line.

    Raises:
        ProcessArgumentError: An argument cannot be used.
    """
    if not isinstance(delimiter, str) or not delimiter:
        raise ProcessArgumentError(
            "delimiter", f"{shown(delimiter)} is not a string of at least one character"
        )
    check_size("max_length", max_length)

    def make_splitter(data: Text) -> Splitter:
        text = isinstance(data, str)
        return LineSplitter(delimiter if text else delimiter.encode(), max_length)

    return _Framing(function, make_splitter, f"a line is longer than {shown(max_length)}")


def length_prefixed(
    function: MessageFunction,
    size: int = 4,
    byteorder: Literal["big", "little"] = "big",
    max_length: int = MIB,
) -> Filter:
    """Make a filter that calls a function for each message whose length is sent before it.

    Use the result as the `filter` of one process or of many.  The processes must receive bytes; otherwise they end with
    the errno EINVAL.

    Args:
        function: The function, called as ``function(process, message)``.  It may be a coroutine function or return a
            Deferred; the next message waits until it is done.
        size: The size of the length, in bytes: 1, 2, 4 or 8.  The length is an unsigned number.
        byteorder: "big" or "little", the order of the bytes of the length.
        max_length: The longest message, in bytes, 1,048,576 by default.  A longer message ends the process, whose `reason`
            is a `ProcessError` with the errno EMSGSIZE.

    Raises:
        ProcessArgumentError: An argument cannot be used.
    """
    if type(size) is not int or size not in (1, 2, 4, 8):
        raise ProcessArgumentError("size", f"{shown(size)} is not 1, 2, 4 or 8")
    if not isinstance(byteorder, str) or plain(byteorder) not in ("big", "little"):
        raise ProcessArgumentError("byteorder", f"{shown(byteorder)} is neither 'big' nor 'little'")
    check_size("max_length", max_length)

    def make_splitter(data: Text) -> Splitter:
        if isinstance(data, str):
            raise ProcessError(errno.EINVAL, "length_prefixed requires a binary coding system")
        return LengthSplitter(size, byteorder, max_length)

    return _Framing(function, make_splitter, f"a message is longer than {shown(max_length)} bytes")
