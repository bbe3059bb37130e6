"""Filters that give whole messages to a function: lines, or messages that say their length.

Programs make one here and use it as a process's filter; `reading.py` calls it with what has come, the splitters of
`core/framing.py` cut it.  What a message's function leaves undone, because it stops the process, takes its time or sets
another filter, goes back to the process and comes again when it may, to whatever filter there is then.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Literal
from weakref import WeakKeyDictionary

from .core.decoders import Text
from .core.errors import ProcessArgumentError, ProcessError
from .core.framing import LengthSplitter, LineSplitter, Splitter, TooLongError
from .core.limits import KIB, MIB
from .process import NetworkProcess

#: Called with the process and a message; may be a coroutine function, as a filter may.
MessageFunction = Callable[[NetworkProcess, Any], object]


class _Framing:
    """A filter that gives messages to a function."""

    def __init__(
        self, function: MessageFunction, make_splitter: Callable[[Text], Splitter], too_long: str
    ) -> None:
        if not callable(function):
            raise ProcessArgumentError("function", f"{function!r} is not a function")
        self._function = function
        self._make_splitter = make_splitter
        self._too_long = too_long
        # One filter serves all connections of a server; none of them lives on because of it.
        self._splitters: WeakKeyDictionary[NetworkProcess, Splitter] = WeakKeyDictionary()

    def __call__(self, process: NetworkProcess, data: Text) -> object:
        """The filter."""
        splitter = self._splitters.get(process)
        if splitter is None:
            try:
                splitter = self._splitters[process] = self._make_splitter(data)
            except ProcessError as error:
                process.fail(error)
                return None
        splitter.feed(data)
        return self._give_messages(process, splitter)

    def give_back(self, process: NetworkProcess) -> Text | None:
        """What has come for PROCESS and is not with the function: it may be for TLS."""
        splitter = self._splitters.get(process)
        return splitter.give_back() if splitter is not None else None

    def _give_messages(self, process: NetworkProcess, splitter: Splitter) -> object:
        while self._is_wanted(process):
            try:
                message = splitter.take()
            except TooLongError:
                process.fail(ProcessError(errno.EMSGSIZE, self._too_long))
                return None
            if message is None:
                return None
            result = self._function(process, message)
            if result is not None:
                # It may take time: the rest comes again when it is over.
                self._give_back(process, splitter)
                return result
        self._give_back(process, splitter)
        return None

    def _is_wanted(self, process: NetworkProcess) -> bool:
        return process.live and not process.stopped and process.filter is self

    def _give_back(self, process: NetworkProcess, splitter: Splitter) -> None:
        rest = splitter.give_back()
        if rest and process.live:
            process.unread(rest)


def lines(
    function: MessageFunction, max_length: int = 64 * KIB, delimiter: str = "\n"
) -> Callable[[NetworkProcess, Any], object]:
    r"""A filter that calls FUNCTION(process, line) for each line, without its DELIMITER.

    Lines are str or bytes as what comes is.  A line longer than MAX_LENGTH (characters or bytes) ends the
    process with ProcessError(EMSGSIZE) as its `reason`.  An unfinished line at the end is dropped.
    """
    if not isinstance(delimiter, str) or not delimiter:
        raise ProcessArgumentError("delimiter", f"{delimiter!r} is no text to end a line")
    _check_length(max_length)

    def make_splitter(data: Text) -> Splitter:
        text = isinstance(data, str)
        return LineSplitter(delimiter if text else delimiter.encode(), max_length)

    return _Framing(function, make_splitter, f"a line is longer than {max_length}")


def length_prefixed(
    function: MessageFunction,
    size: int = 4,
    byteorder: Literal["big", "little"] = "big",
    max_length: int = MIB,
) -> Callable[[NetworkProcess, Any], object]:
    """A filter that calls FUNCTION(process, message) for each message of a binary process.

    In front of a message is its length as an unsigned number of SIZE bytes.  A message longer than
    MAX_LENGTH bytes ends the process with ProcessError(EMSGSIZE) as its `reason`, a process that is not
    binary with EINVAL.
    """
    if size not in (1, 2, 4, 8):
        raise ProcessArgumentError("size", f"{size!r} is none of 1, 2, 4 and 8")
    if byteorder not in ("big", "little"):
        raise ProcessArgumentError("byteorder", f"{byteorder!r} is neither 'big' nor 'little'")
    _check_length(max_length)

    def make_splitter(data: Text) -> Splitter:
        if isinstance(data, str):
            raise ProcessError(errno.EINVAL, "messages with a length need a binary coding system")
        return LengthSplitter(size, byteorder, max_length)

    return _Framing(function, make_splitter, f"a message is longer than {max_length} bytes")


def _check_length(max_length: object) -> None:
    if not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 0:
        raise ProcessArgumentError("max_length", f"{max_length!r} is not a number of bytes")
