"""Addresses in the forms of Emacs: parsing, checking and formatting.

`core/spec.py` parses the values of `local` and `remote`.  `core/contact.py` shows the addresses of a process in these
forms, and `process/process.py` formats them for its repr.

An address has one of these forms (process-contact, N40):

* ``(a, b, c, d, port)``: IPv4;
* ``(g1, …, g8, port)``: IPv6, the groups as 16-bit numbers;
* ``(host, port)``: IPv4 or IPv6, the host as numeric text.  IPv6 addresses with a zone are shown in this form,
  since the other one has no place for the zone: ``("fe80::1%eth0", 80)``;
* a `str`: the path of a UNIX socket.  A leading NUL makes it an abstract name.  ``""`` is the address of a UNIX
  socket without a name;
* ``(family, (byte, …))``: any family, and the bytes of its socket address that follow the family.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from .checks import C_INT_MAX, C_INT_MIN, check_flag, check_number, is_integer, plain
from .errors import ProcessArgumentError, argument
from .escape import escape, shown

Address: TypeAlias = tuple[int, ...] | tuple[str, int] | tuple[int, tuple[int, ...]] | str

#: The room for the name of a UNIX socket in the kernel's structure, in bytes.  An abstract name may
#: fill it; a path needs one byte for the NUL that ends it.
UNIX_NAME_MAX = 108
UNIX_PATH_MAX = UNIX_NAME_MAX - 1

#: The longest name of a network interface, in bytes (IFNAMSIZ without the NUL that ends it).
INTERFACE_NAME_MAX = 15

PORT_MAX = 0xFFFF
_FLOW_MAX = 0xFFFFF
_ZONE_MAX = 0xFFFFFFFF

#: The first bytes of an IPv6 address that stands for an IPv4 address.
_MAPPED = bytes(10) + b"\xff\xff"

LOOPBACK: dict[int, str] = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

#: The hosts that stand for every interface, and where packets for them go.
WILDCARDS = {
    "0.0.0.0": LOOPBACK[socket.AF_INET],
    "::": LOOPBACK[socket.AF_INET6],
    "::ffff:0.0.0.0": "::ffff:127.0.0.1",
}


class SocketAddress(NamedTuple):
    """The address family and the address, as the functions of the `socket` module take and return it.

    An IPv4 or IPv6 host in `raw` is text in the form that the kernel uses, and the interface of an IPv6 address is a number.
    Therefore two values are equal if they are the same address.

    Attributes:
        family: The address family.
        raw: The address.
    """

    family: int
    raw: Any

    @property
    def is_wildcard(self) -> bool:
        """Whether a server that is bound to the address listens on all interfaces."""
        return self.family in LOOPBACK and self.raw[0] in WILDCARDS

    @property
    def destination(self) -> SocketAddress:
        """The address to which a client connects or sends packets.  For a wildcard it is the local host."""
        if not self.is_wildcard:
            return self
        return SocketAddress(self.family, (WILDCARDS[self.raw[0]], *self.raw[1:]))


def inet_address(host: str, port: int, flow: int = 0, scope: int = 0) -> SocketAddress:
    """Return the address of the numeric HOST, however it is spelled; raise ValueError for other text.

    SCOPE is the number of an interface.  An interface after a percent sign in HOST comes first.
    """
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{shown(host)} is not a numeric address") from None
    if found.version == 4:
        return SocketAddress(socket.AF_INET, (str(found), port))
    if found.scope_id is not None:
        scope = _zone_number(found.scope_id)
    host = socket.inet_ntop(socket.AF_INET6, found.packed)
    return SocketAddress(socket.AF_INET6, (host, port, flow, scope))


def _zone_number(zone: str) -> int:
    """Return the number of the interface ZONE, which is its name or its number; raise ValueError if there is none."""
    if zone.isdecimal() and len(zone) <= len(str(_ZONE_MAX)):
        return min(int(zone), _ZONE_MAX)
    try:
        return socket.if_nametoindex(zone)
    except (OSError, ValueError):
        raise ValueError(f"there is no network interface {shown(zone)}") from None


def _zone_name(number: int) -> str:
    """Return the name of the interface NUMBER, or the number as text if there is no such interface now."""
    try:
        return socket.if_indextoname(number)
    except OSError:
        return str(number)


def parse_address(value: object, keyword: str) -> SocketAddress:  # D5, N41
    """Check an address in one of netproc's forms, and convert it.

    Args:
        value: The address.
        keyword: The `keyword` of the error, if the address cannot be used.

    Returns:
        The address as endpoints take it.

    Raises:
        ProcessArgumentError: The address has another form, or a number is out of range.
    """
    with argument(keyword):
        return _parse(plain(value), keyword)


def _parse(value: object, keyword: str) -> SocketAddress:
    if isinstance(value, str):
        return SocketAddress(socket.AF_UNIX, unix_name(value, keyword))
    if isinstance(value, (tuple, list)):
        if len(value) in (5, 9):
            return _parse_numbers(value, keyword)
        if len(value) == 2 and isinstance(value[0], str) and is_integer(value[1]):
            return _parse_host(value[0], value[1], keyword)
        if len(value) == 2 and is_integer(value[0]) and isinstance(value[1], (tuple, list)):
            return _parse_raw(value[0], value[1], keyword)
    raise ProcessArgumentError(keyword, f"malformed address {shown(value)}")


def unix_name(name: str, keyword: str) -> bytes:
    """Return NAME, a path or an abstract name of a UNIX socket, in the encoding of file names (N43).

    Raises ProcessArgumentError if the kernel cannot take it.
    """
    encoded = _encode(name)
    if encoded is None:
        problem = f"the name {shown(name)} of a UNIX socket has characters that files cannot have"
        raise ProcessArgumentError(keyword, problem)
    if encoded in (b"", b"\0"):
        raise ProcessArgumentError(keyword, f"empty name {shown(name)} of a UNIX socket")
    is_abstract = encoded.startswith(b"\0")
    longest = UNIX_NAME_MAX if is_abstract else UNIX_PATH_MAX
    if len(encoded) > longest:
        problem = f"Service name too long: {len(encoded)} bytes, {longest} are possible"
        raise ProcessArgumentError(keyword, problem)
    if b"\0" in encoded and not is_abstract:
        problem = f"NUL inside the name {shown(name)} of a UNIX socket"
        raise ProcessArgumentError(keyword, problem)
    return encoded


def interface_name(name: object, keyword: str) -> bytes:
    """Check NAME, that of a network interface, and encode it.

    The kernel would cut a name that is too long, or has a NUL inside, and take another interface.
    """
    if not isinstance(name, str):
        raise ProcessArgumentError(keyword, f"{shown(name)} is not the name of an interface")
    encoded = _encode(name)
    if encoded is None or b"\0" in encoded:
        problem = f"{shown(name)} cannot be the name of an interface"
        raise ProcessArgumentError(keyword, problem)
    if len(encoded) > INTERFACE_NAME_MAX:
        problem = f"interface name too long: {shown(name)}, {INTERFACE_NAME_MAX} bytes are possible"
        raise ProcessArgumentError(keyword, problem)
    return encoded


def _encode(name: str) -> bytes | None:
    """Return NAME in the encoding of file names, or None if it has lone surrogates that stand for no byte."""
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        return None


def check_family(family: int, keyword: str) -> int:
    """Return FAMILY if it can be the number of an address family; otherwise raise ProcessArgumentError.

    Whether the system has that family is found out when a socket is made.
    """
    if not C_INT_MIN <= family <= C_INT_MAX:
        problem = f"{shown(family)} cannot be the number of an address family"
        raise ProcessArgumentError(keyword, problem)
    return family


def _parse_numbers(value: Sequence[object], keyword: str) -> SocketAddress:
    """Parse the form of five or nine numbers, of which the last one is the port."""
    port = check_number(value[-1], PORT_MAX, keyword, "port")
    if len(value) == 5:
        octets = [check_number(octet, 255, keyword, "octet") for octet in value[:-1]]
        return SocketAddress(socket.AF_INET, (socket.inet_ntoa(bytes(octets)), port))
    groups = [check_number(group, 0xFFFF, keyword, "group") for group in value[:-1]]
    packed = b"".join(group.to_bytes(2, "big") for group in groups)
    return SocketAddress(socket.AF_INET6, (socket.inet_ntop(socket.AF_INET6, packed), port, 0, 0))


def _parse_host(host: str, port: int, keyword: str) -> SocketAddress:
    """Parse the form (host, port)."""
    check_number(port, PORT_MAX, keyword, "port")
    try:
        return inet_address(host, port)
    except ValueError as error:
        raise ProcessArgumentError(keyword, str(error)) from None


def _parse_raw(family: int, values: Sequence[object], keyword: str) -> SocketAddress:
    """Parse the form (family, bytes); IPv4, IPv6 and UNIX addresses become the same as by their own forms."""
    check_family(family, keyword)
    data = bytes([check_number(value, 255, keyword, "byte") for value in values])
    if family == socket.AF_INET:
        data = data.ljust(6, b"\0")
        return SocketAddress(family, (socket.inet_ntoa(data[2:6]), int.from_bytes(data[:2], "big")))
    if family == socket.AF_INET6:
        data = data.ljust(26, b"\0")
        host = socket.inet_ntop(family, data[6:22])
        flow = check_number(int.from_bytes(data[2:6], "big"), _FLOW_MAX, keyword, "flow label")
        scope = int.from_bytes(data[22:26], sys.byteorder)
        return SocketAddress(family, (host, int.from_bytes(data[:2], "big"), flow, scope))
    if family == socket.AF_UNIX:
        # A path ends at the first NUL; NULs are part of an abstract name.
        name = data if data.startswith(b"\0") else data.rstrip(b"\0")
        return SocketAddress(family, unix_name(os.fsdecode(name), keyword))
    return SocketAddress(family, data)


def address_form(address: SocketAddress) -> Address:
    """Return ADDRESS in the form that Emacs shows.  Emacs drops the zone of an IPv6 address; here it makes the form (host, port)."""
    family, raw = address.family, address.raw
    if family == socket.AF_INET:
        return (*map(int, raw[0].split(".")), raw[1])
    if family == socket.AF_INET6:
        if raw[3]:
            return (numeric_host(address), raw[1])
        return (*_groups(raw[0]), raw[1])
    if family == socket.AF_UNIX:
        return raw if isinstance(raw, str) else os.fsdecode(raw)
    return (family, tuple(raw))


def _groups(host: str) -> list[int]:
    """Return the eight groups of the IPv6 address HOST."""
    packed = socket.inet_pton(socket.AF_INET6, host)
    return [int.from_bytes(packed[at : at + 2], "big") for at in range(0, 16, 2)]


def numeric_host(address: SocketAddress) -> str:
    """Return the host of an IP address in the usual spelling, with its zone."""
    host: str = address.raw[0]
    zone = address.raw[3] if address.family == socket.AF_INET6 else 0
    return f"{host}%{_zone_name(zone)}" if zone else host


def host_text(address: SocketAddress | None) -> str:
    """Return the host of ADDRESS as names of processes and messages show it, or "-" if it has none (N92).

    An IPv6 address is eight hexadecimal groups (D4), with its zone if it has one.  An IPv4 address of an IPv6 socket
    is shown as an IPv4 address.
    """
    if address is None or address.family not in LOOPBACK:
        return "-"
    host: str = address.raw[0]
    if address.family == socket.AF_INET:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host)
    if packed.startswith(_MAPPED):
        return socket.inet_ntoa(packed[len(_MAPPED) :])
    groups = ":".join(f"{group:x}" for group in _groups(host))
    return f"{groups}%{_zone_name(address.raw[3])}" if address.raw[3] else groups


def format_address(address: SocketAddress | None) -> str:
    """Return ADDRESS with its port for messages, on one line: "127.0.0.1:7", "[0:0:0:0:0:0:0:1]:7", a path, or "-".

    A peer chooses the names of its UNIX sockets, so they are escaped.
    """
    if address is None:
        return "-"
    if address.family in LOOPBACK:
        host = host_text(address)
        return f"[{host}]:{address.raw[1]}" if ":" in host else f"{host}:{address.raw[1]}"
    found = address_form(address)
    if not isinstance(found, str):
        return f"family {address.family}"
    return escape(f"@{found[1:]}" if found.startswith("\0") else found) or "-"


def format_network_address(address: object, omit_port: bool = False) -> str | None:  # N46
    """Return an address as text.

    For example "127.0.0.1:80", "[0:0:0:0:0:0:0:1]:80", or the path of a UNIX socket.

    Emacs: ``format-network-address``.

    Args:
        address: The address, with or without a port.
        omit_port: Whether to leave out the port, and the brackets around an IPv6 address.

    Returns:
        The text, or None if `address` is not an address.

    Raises:
        ProcessArgumentError: `omit_port` is an object that is neither true nor false.
    """
    omit_port = check_flag(omit_port, "omit_port")
    if isinstance(address, str):
        return address
    if not isinstance(address, (tuple, list)):
        return None
    if len(address) == 2 and isinstance(address[1], (tuple, list)):
        family = address[0]
        known = is_integer(family) and C_INT_MIN <= family <= C_INT_MAX
        return f"<Family {family}>" if known else None
    if len(address) == 2 and isinstance(address[0], str):
        return _format_host(address, omit_port)
    shapes = {4: ("{}.{}.{}.{}", 255), 8: (":".join(["{:x}"] * 8), 65535)}
    with_port = len(address) in (5, 9)
    numbers = address[:-1] if with_port else address
    shape, highest = shapes.get(len(numbers), ("", -1))
    checked = [*numbers] if omit_port or not with_port else [*numbers, address[-1]]
    if not shape or not all(is_integer(number) and 0 <= number <= 65535 for number in checked):
        return None
    if max(numbers) > highest:
        return None
    host = shape.format(*numbers)
    if omit_port or not with_port:
        return host
    return f"{host}:{address[-1]}" if highest == 255 else f"[{host}]:{address[-1]}"


def _format_host(address: Sequence[object], omit_port: bool) -> str | None:
    """Return the form (host, port) as text."""
    try:
        found = parse_address(address, "address")
    except ProcessArgumentError:
        return None
    return host_text(found) if omit_port else format_address(found)
