"""The network options: which keywords there are, what values they take, what the kernel is told.

`core/spec.py` checks the options among the keywords, `net/sockets.py` sets them on sockets.
"""

from __future__ import annotations

import enum
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from .errors import ProcessArgumentError

#: The value for the kernel: a number, or the bytes of a structure or a name.
Packed = int | bytes


class Unset(enum.Enum):
    """The value of an option that nobody gave; None is a value of its own (nil)."""

    UNSET = "not given"


UNSET: Final = Unset.UNSET


class Option(NamedTuple):
    """Where the kernel keeps an option, and how a value is packed for it."""

    level: int
    number: int
    pack: Callable[[str, object], Packed]


def _pack_flag(keyword: str, value: object) -> int:
    """Anything but nil is on (N211)."""
    return int(value is not None and value is not False)


def _pack_number(keyword: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProcessArgumentError(keyword, f"bad option value {value!r}, it takes a number")
    if not -(2**31) <= value < 2**31:
        raise ProcessArgumentError(keyword, f"{value} is too large")
    return value


def _pack_device(keyword: str, value: object) -> bytes:
    """The name of an interface; None unbinds."""
    if value is None:
        return b""
    if not isinstance(value, str):
        raise ProcessArgumentError(keyword, f"bad option value {value!r}, it takes a name or None")
    return value.encode() + b"\0"


def _constant(name: str) -> int:
    """A constant that this system may not have; setting it then fails with the system's error."""
    return int(getattr(socket, name, -1))


OPTIONS: dict[str, Option] = {
    "bindtodevice": Option(socket.SOL_SOCKET, _constant("SO_BINDTODEVICE"), _pack_device),
    "broadcast": Option(socket.SOL_SOCKET, socket.SO_BROADCAST, _pack_flag),
    "dontroute": Option(socket.SOL_SOCKET, socket.SO_DONTROUTE, _pack_flag),
    "keepalive": Option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, _pack_flag),
    "nodelay": Option(socket.IPPROTO_TCP, socket.TCP_NODELAY, _pack_flag),
    "oobinline": Option(socket.SOL_SOCKET, socket.SO_OOBINLINE, _pack_flag),
    "priority": Option(socket.SOL_SOCKET, _constant("SO_PRIORITY"), _pack_number),
    "reuseaddr": Option(socket.SOL_SOCKET, socket.SO_REUSEADDR, _pack_flag),
}

#: Not the kernel's: a positive SO_LINGER would make close() block, so the channel does it (D18).
LINGER = "linger"

#: Every option keyword.
KEYWORDS = frozenset(OPTIONS) | {LINGER}


def pack(keyword: str, value: object) -> Packed:
    """The kernel's form of VALUE for option KEYWORD (one of OPTIONS), or ProcessArgumentError."""
    return OPTIONS[keyword].pack(keyword, value)


def linger_seconds(value: object) -> int | None:
    """How long closing may flush: None is as long as the limits say, 0 aborts (D18)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return max(0, value)
    return None
