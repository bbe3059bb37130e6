"""All limits and timeouts of a process, in one value.

`core/spec.py` makes it from the keywords; the process and its channel obey it.  Sizes and times that programs give
elsewhere are checked here too.  The limits of a process can be replaced at any time.  An accepted connection begins with
the limits of its server::

    process.limits = dataclasses.replace(process.limits, send_cap=1 << 20)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard

from .checks import is_integer
from .errors import ProcessArgumentError
from .escape import shown

KIB = 1024
MIB = 1024 * KIB

#: Text is decoded in pieces of at most this many bytes: a larger str is mapped and unmapped by
#: the allocator each time, which costs several times the decoding.
PIECE = 64 * KIB


def check_seconds(keyword: str, value: object) -> float:
    """Return VALUE if it is a positive number of seconds; otherwise raise ProcessArgumentError."""
    if not _is_number(value) or not value > 0:
        raise ProcessArgumentError(keyword, f"{shown(value)} is not a positive number of seconds")
    return _finite(keyword, value)


def check_seconds_or_zero(keyword: str, value: object) -> float:
    """Return VALUE if it is a number of seconds, 0 or more; otherwise raise ProcessArgumentError."""
    if not _is_number(value) or not value >= 0:
        raise ProcessArgumentError(
            keyword, f"{shown(value)} is neither 0 nor a positive number of seconds"
        )
    return _finite(keyword, value)


def check_patience(keyword: str, value: object) -> float | None:
    """Return VALUE if it is a number of seconds to wait, or None for no limit; 0 or less is not to wait.

    Raises ProcessArgumentError for anything else.
    """
    if value is None:
        return None
    if not _is_number(value) or value != value:
        raise ProcessArgumentError(
            keyword, f"{shown(value)} is neither None nor a number of seconds"
        )
    return _finite(keyword, value)


def check_size(keyword: str, value: object, unit: str = "bytes") -> int:
    """Return VALUE if it is an integer, 0 or more; otherwise raise ProcessArgumentError, which says UNIT."""
    if not is_integer(value) or value < 0:
        raise ProcessArgumentError(keyword, f"{shown(value)} is not a number of {unit}")
    return value


def _is_number(value: object) -> TypeGuard[int | float]:
    return is_integer(value) or isinstance(value, float)


def _finite(keyword: str, value: float) -> float:
    try:
        finite = math.isfinite(value)
    except OverflowError:
        # The int is too large for a float.
        finite = False
    if not finite:
        raise ProcessArgumentError(keyword, "the number of seconds must be finite")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The sizes, in bytes, and the time limits, in seconds, of one process.

    The value is frozen, so replace it as a whole::

        process.limits = dataclasses.replace(process.limits, send_cap=1 << 20)

    A connection of a server starts with the limits of its server.

    Sizes are integers of at least 0.  Times are finite numbers greater than 0.  `flush_timeout` and `linger_timeout` may
    also be 0; the process then does not wait.

    Raises:
        ProcessArgumentError: A field has another value.
    """

    #: More than this pending of what a filter sent pauses the input of its process.
    high_water: int = 64 * KIB
    #: Less than this pending fires `drain` and ends that pause.
    low_water: int = 16 * KIB
    #: More than this pending is refused by `send`.
    send_cap: int = 16 * MIB
    #: Look-up and connect together.
    connect_timeout: float = 30.0
    #: A TLS handshake, also one that the transport of a foreign endpoint does.
    handshake_timeout: float = 10.0
    #: After the end: until what was sent is written.
    flush_timeout: float = 10.0
    #: After that: until the peer ends too, while its input is thrown away.
    linger_timeout: float = 2.0
    #: One answer in the dialogue that opens a stream: the greeting, the capabilities, …
    answer_cap: int = 64 * KIB
    #: All answers of that dialogue together.
    dialogue_cap: int = 128 * KIB

    def __post_init__(self) -> None:
        """Raise ProcessArgumentError for a field that is no size or no time."""
        for name in ("high_water", "low_water", "send_cap", "answer_cap", "dialogue_cap"):
            check_size(name, getattr(self, name))
        for name in ("connect_timeout", "handshake_timeout"):
            check_seconds(name, getattr(self, name))
        for name in ("flush_timeout", "linger_timeout"):
            check_seconds_or_zero(name, getattr(self, name))

    @property
    def writable_below(self) -> int:
        """Less than this pending counts as written: with a `low_water` of 0, nothing may be pending."""
        return max(1, self.low_water)


DEFAULT_LIMITS = Limits()
