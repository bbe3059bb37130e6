"""How much and how long: every bound and deadline of a process, in one value.

`core/spec.py` makes one from the keywords; the process and its channel obey it.  Single bounds that programs
give, also elsewhere, are checked here.  A process's limits can be replaced at any time, an accepted
connection begins with its server's::

    process.limits = dataclasses.replace(process.limits, send_cap=1 << 20)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import ProcessArgumentError

KIB = 1024
MIB = 1024 * KIB

#: Text is decoded in pieces of at most this many bytes: a larger str is mapped and unmapped by
#: the allocator each time, which costs several times the decoding.
PIECE = 64 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds."""

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


DEFAULT_LIMITS = Limits()


def check_seconds(keyword: str, value: object) -> float:
    """VALUE, if it can be the time that a wait may take; else ProcessArgumentError."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
        raise ProcessArgumentError(keyword, f"{value!r} is not a positive number of seconds")
    if not math.isfinite(value):
        raise ProcessArgumentError(keyword, "every wait has an end: not infinite")
    return value


def check_size(keyword: str, value: object) -> int:
    """VALUE, if it can be the size of something; else ProcessArgumentError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ProcessArgumentError(keyword, f"{value!r} is not a number of bytes")
    return value
