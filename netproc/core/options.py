"""The network options: which keywords there are, what values they take, what the kernel is told.

`core/spec.py` checks the options among the keywords, `net/sockets.py` sets them on sockets.
"""

from __future__ import annotations

import enum
import ipaddress
import socket
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from .address import interface_name
from .errors import ProcessArgumentError
from .escape import shown

#: The kernel keeps numbers as a C int.
_NUMBER_MIN, _NUMBER_MAX = -(2**31), 2**31 - 1


class Group(NamedTuple):
    """A multicast group, and the name of the interface to hear it on; None is the system's choice."""

    address: bytes
    interface: bytes | None


#: The value for the kernel: a number, the bytes of a name, or what a structure is made of.
Packed: TypeAlias = int | bytes | Group


class Unset(enum.Enum):
    """The type of `UNSET`, the value of an option that was not given.  It differs from None."""

    UNSET = "not given"


UNSET: Final = Unset.UNSET


class Option(NamedTuple):
    """Where the kernel keeps an option, and how a value is packed for it; a Group has two places."""

    level: int
    number: int
    pack: Callable[[str, object], Packed]


def is_on(value: object) -> bool:
    """Whether VALUE turns a flag on: anything but nil does (N211)."""
    return value is not None and value is not False


def _pack_flag(keyword: str, value: object) -> int:
    return int(is_on(value))


def _pack_number(keyword: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProcessArgumentError(keyword, f"bad option value {shown(value)}, it takes a number")
    if not _NUMBER_MIN <= value <= _NUMBER_MAX:
        problem = f"{shown(value)} is not in {_NUMBER_MIN}…{_NUMBER_MAX}"
        raise ProcessArgumentError(keyword, problem)
    return value


def _pack_device(keyword: str, value: object) -> bytes:
    """The name of an interface; None unbinds."""
    if value is None:
        return b""
    if not isinstance(value, str):
        problem = f"bad option value {shown(value)}, it takes a name or None"
        raise ProcessArgumentError(keyword, problem)
    return interface_name(value, keyword) + b"\0"


def _pack_group(keyword: str, value: object) -> Group:
    """A multicast address, with the interface behind it if it is to be a certain one."""
    if not isinstance(value, str):
        raise ProcessArgumentError(keyword, f"bad option value {shown(value)}, it takes an address")
    host, _, interface = value.partition("%")
    try:
        group = ipaddress.ip_address(host)
    except ValueError:
        raise ProcessArgumentError(keyword, f"{shown(host)} is not a numeric address") from None
    if not group.is_multicast:
        raise ProcessArgumentError(keyword, f"{host} is not the address of a multicast group")
    return Group(group.packed, interface_name(interface, keyword) if interface else None)


def _constant(name: str) -> int:
    """A constant that this system may not have; setting it then fails with the system's error."""
    return int(getattr(socket, name, -1))


_SOCKET = socket.SOL_SOCKET
_TCP = socket.IPPROTO_TCP
_IP = socket.IPPROTO_IP
_IPV6 = socket.IPPROTO_IPV6

#: The first ten are Emacs's, but for linger.
OPTIONS: dict[str, Option] = {
    "bindtodevice": Option(_SOCKET, _constant("SO_BINDTODEVICE"), _pack_device),
    "broadcast": Option(_SOCKET, socket.SO_BROADCAST, _pack_flag),
    "dontroute": Option(_SOCKET, socket.SO_DONTROUTE, _pack_flag),
    "keepalive": Option(_SOCKET, socket.SO_KEEPALIVE, _pack_flag),
    "nodelay": Option(_TCP, socket.TCP_NODELAY, _pack_flag),
    "oobinline": Option(_SOCKET, socket.SO_OOBINLINE, _pack_flag),
    "priority": Option(_SOCKET, _constant("SO_PRIORITY"), _pack_number),
    "reuseaddr": Option(_SOCKET, socket.SO_REUSEADDR, _pack_flag),
    "join": Option(_IP, socket.IP_ADD_MEMBERSHIP, _pack_group),
    "keepcnt": Option(_TCP, _constant("TCP_KEEPCNT"), _pack_number),
    "keepidle": Option(_TCP, _constant("TCP_KEEPIDLE"), _pack_number),
    "keepintvl": Option(_TCP, _constant("TCP_KEEPINTVL"), _pack_number),
    "multicast_loop": Option(_IP, socket.IP_MULTICAST_LOOP, _pack_flag),
    "multicast_ttl": Option(_IP, socket.IP_MULTICAST_TTL, _pack_number),
    "rcvbuf": Option(_SOCKET, socket.SO_RCVBUF, _pack_number),
    "reuseport": Option(_SOCKET, _constant("SO_REUSEPORT"), _pack_flag),
    "sndbuf": Option(_SOCKET, socket.SO_SNDBUF, _pack_number),
    "v6only": Option(_IPV6, socket.IPV6_V6ONLY, _pack_flag),
}

#: The same options have other numbers on IPv6 sockets.
_OPTIONS_V6: dict[str, Option] = {
    "multicast_loop": Option(_IPV6, socket.IPV6_MULTICAST_LOOP, _pack_flag),
    "multicast_ttl": Option(_IPV6, socket.IPV6_MULTICAST_HOPS, _pack_number),
}

#: Not the kernel's: a positive SO_LINGER would make close() block, so the channel does it (D18).
LINGER = "linger"

#: The keywords of all network options.
NAMES = frozenset(OPTIONS) | {LINGER}


def answers_come_from_all(keyword: str, value: object) -> bool:
    """Whether a datagram client with option KEYWORD set to VALUE is answered by others than its remote."""
    return keyword == "join" or (keyword == "broadcast" and is_on(value))


def exists(keyword: str) -> bool:
    """Does this system have the option KEYWORD?"""
    return keyword == LINGER or (keyword in OPTIONS and OPTIONS[keyword].number >= 0)


def option(keyword: str, family: int) -> Option:
    """Where sockets of FAMILY keep option KEYWORD, one of OPTIONS."""
    if family == socket.AF_INET6 and keyword in _OPTIONS_V6:
        return _OPTIONS_V6[keyword]
    return OPTIONS[keyword]


def pack(keyword: str, value: object) -> Packed:
    """The kernel's form of VALUE for option KEYWORD (one of OPTIONS), or ProcessArgumentError."""
    return OPTIONS[keyword].pack(keyword, value)


def check(keyword: str, value: object) -> None:
    """Raise ProcessArgumentError if VALUE cannot be that of option KEYWORD (one of NAMES)."""
    if keyword != LINGER:
        pack(keyword, value)
    elif isinstance(value, int):
        _pack_number(keyword, int(value))


def linger_seconds(value: object) -> int | None:
    """How long closing may flush: None is as long as the limits say, 0 aborts (D18)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(0, value), _NUMBER_MAX)
    return None
