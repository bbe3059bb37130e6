"""Look up the addresses of a host name, and list the network interfaces of this machine.

The program calls these functions.  Host names are looked up by `net/lookup.py`.  The interfaces come from psutil, because the
standard library knows only their names: `pip install netproc[interfaces]`.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple, TypeAlias

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.address import Address, SocketAddress, address_form, inet_address, interface_name
from ..core.checks import check_flag, plain
from ..core.errors import ProcessArgumentError, ProcessError
from ..core.escape import escape, shown
from ..core.limits import DEFAULT_LIMITS, check_seconds
from ..core.spec import Lookup
from .interfaces import INetprocReactor, default_reactor
from .lookup import resolve

log = Logger()

_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}

_NO_IPV4 = (0, 0, 0, 0, 0)

#: (name, address), or (name, address, broadcast address, netmask).
Interface: TypeAlias = tuple[str, Address] | tuple[str, Address, Address, Address]


def network_lookup_address_info(
    name: str,
    family: str | None = None,
    *,
    timeout: float = DEFAULT_LIMITS.connect_timeout,
    reactor: INetprocReactor | None = None,
) -> Deferred[list[Address]]:  # N47
    """Look up the addresses of a host.

    Emacs: ``network-lookup-address-info``.

    Args:
        name: The name of the host, in ASCII.  For other names use the IDNA (xn--) form.
        family: "ipv4", "ipv6", or None for both.
        timeout: The longest wait, in seconds, 30 by default.
        reactor: The reactor.  None is the installed reactor.

    Returns:
        A Deferred that fires with a list of addresses with the port 0, in the order of the resolver.  If nothing is found in
        time, the list is empty, and netproc logs one line.  The Deferred fails with `ProcessArgumentError` if an argument
        cannot be used.
    """
    try:
        name = _host(name)
        _check_family(family, "Unsupported lookup type")
        check_seconds("timeout", timeout)
    except ProcessArgumentError as error:
        return fail(error)
    if not name:
        return succeed([])
    reactor = default_reactor() if reactor is None else reactor

    def failed(failure: Failure) -> list[Address]:
        too_late = failure.trap(ProcessError, DeferredTimeoutError) is DeferredTimeoutError
        problem = f"{name}/0 timed out" if too_late else failure.getErrorMessage()
        log.info("{problem}", problem=escape(problem))
        return []

    def found(addresses: Sequence[SocketAddress]) -> list[Address]:
        return [address_form(address) for address in addresses]

    looking = resolve(Lookup(name, "0", family), reactor)
    if not looking.called:
        looking.addTimeout(timeout, reactor)
    return looking.addCallbacks(found, failed)


def _host(name: object) -> str:
    name = plain(name)
    if not isinstance(name, str) or not name.isascii() or "\0" in name:
        problem = f"{shown(name)} is not a host name in ASCII; use its IDNA (xn--) form"
        raise ProcessArgumentError("name", problem)
    return name


def _check_family(family: object, complaint: str) -> None:
    if family is not None and not (isinstance(family, str) and family in _FAMILIES):
        raise ProcessArgumentError("family", f"{complaint} {shown(family)}")


class InterfaceInfo(NamedTuple):  # N49
    """What `network_interface_info` returns.

    Attributes:
        address: The IPv4 address, with the port 0.
        broadcast: The IPv4 broadcast address, with the port 0.
        netmask: The IPv4 netmask, with the port 0.
        hardware: The type of the hardware and its address, as (type, (byte, …)).
        flags: The flags of the kernel, the highest bit first: ("running", "loopback", "up").
        ipv6: The IPv6 addresses, each with the port 0.  Emacs does not have them.
    """

    address: Address
    broadcast: Address
    netmask: Address
    hardware: tuple[int, tuple[int, ...]]
    flags: tuple[str, ...]
    ipv6: tuple[Address, ...]


def network_interface_list(full: bool = False, family: str | None = None) -> list[Interface]:  # N48
    """List the network interfaces with their addresses.

    Emacs: ``network-interface-list``.

    Args:
        full: Whether to include the broadcast address and the netmask.
        family: "ipv4", "ipv6", or None for both.

    Returns:
        A list with one tuple for each address, (name, address), or with `full` (name, address, broadcast address,
        netmask).  The port of the addresses is 0.

    Raises:
        ProcessArgumentError: The family is unknown.
        ProcessError: psutil is not installed.
    """
    _check_family(family, "Unsupported address family")
    full = check_flag(full, "full")
    wanted = _FAMILIES.values() if family is None else (_FAMILIES[family],)
    entries: list[Interface] = []
    for name, addresses in _psutil().net_if_addrs().items():
        for found in addresses:
            if found.family in wanted:
                address, mask = _numbers(found.address), _numbers(found.netmask, found.address)
                entry: Interface = (name, (*address, 0))
                if full:
                    entry = (*entry[:2], (*_broadcast(address, mask), 0), (*mask, 0))
                entries.append(entry)
    return entries


def network_interface_info(name: str) -> InterfaceInfo | None:  # N49
    """Describe a network interface.

    Emacs: ``network-interface-info``.

    Args:
        name: The name of the interface.

    Returns:
        The description, or None if there is no such interface.

    Raises:
        ProcessArgumentError: The name cannot be the name of an interface.
        ProcessError: psutil is not installed.
    """
    interface_name(name, "name")
    psutil = _psutil()
    addresses = psutil.net_if_addrs().get(name)
    if addresses is None:
        return None
    ipv4 = [a for a in addresses if a.family == socket.AF_INET]
    ipv6 = [a for a in addresses if a.family == socket.AF_INET6]
    hardware = [a.address for a in addresses if a.family == psutil.AF_LINK]
    first = ipv4[0] if ipv4 else None
    flags = getattr(psutil.net_if_stats().get(name), "flags", "")
    return InterfaceInfo(
        address=(*_numbers(first.address), 0) if first else _NO_IPV4,
        broadcast=(*_numbers(first.broadcast), 0) if first and first.broadcast else _NO_IPV4,
        netmask=(*_numbers(first.netmask), 0) if first and first.netmask else _NO_IPV4,
        hardware=(_hardware_type(name), _hardware_address(hardware[0] if hardware else "")),
        flags=tuple(flag for flag in reversed(flags.split(",")) if flag),
        ipv6=tuple((*_numbers(a.address), 0) for a in ipv6),
    )


def _psutil() -> ModuleType:
    try:
        import psutil
    except ImportError:
        raise ProcessError(
            None, "interfaces need psutil: pip install netproc[interfaces]"
        ) from None
    return psutil


def _numbers(text: str | None, like: str = "") -> tuple[int, ...]:
    """Return the octets or groups of the address TEXT; if that is None, a mask of ones for the address LIKE."""
    if text is None:
        return (255,) * 4 if "." in like else (65535,) * 8
    # The zone is the name of the interface, which the entry has already.
    numbers = address_form(inet_address(text.partition("%")[0], 0))
    return tuple(int(number) for number in numbers[:-1])


def _broadcast(address: tuple[int, ...], mask: tuple[int, ...]) -> tuple[int, ...]:
    """Return the broadcast address.  Emacs computes one for IPv6 too, which has no broadcast (N48)."""
    ones = 255 if len(address) == 4 else 65535
    return tuple((a & m) | (~m & ones) for a, m in zip(address, mask, strict=True))


def _hardware_type(name: str) -> int:
    """Return the ARPHRD number from Linux's sysfs; 0 if there is none."""
    try:
        with open(f"/sys/class/net/{name}/type", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 0


def _hardware_address(text: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text.replace(":", "").replace("-", ""))) or (0,) * 6
