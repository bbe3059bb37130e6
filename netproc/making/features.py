"""What make_network_process can do here: featurep's answer for programs that want to know before.

The program asks; the answers are those of Emacs (N45), and what netproc has besides.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from ..core import options
from ..core.errors import ProcessArgumentError, argument
from ..core.escape import shown

_VALUES: Mapping[str, Sequence[object]] = {
    "family": ("local", "ipv4", "ipv6") if socket.has_ipv6 else ("local", "ipv4"),
    "nowait": (True,),
    "server": (True,),
    "service": (True,),
    "tls": (True,),
    "type": ("datagram", "seqpacket"),
}


def supports(*keywords: str, **values: object) -> bool:
    """Can all of this be given to make_network_process?

    KEYWORDS are names of network options, with a colon or without, VALUES are keywords with a value:
    supports(":keepalive"), supports(type="datagram", family="ipv6").  What every system has is not asked
    for: Emacs too says no to (:nowait nil), and to :server without a value.  Emacs: (featurep 'make-network-process …), and gnutls-available-p for tls=True.
    """
    exist = [options.exists(_name(keyword)) for keyword in keywords]
    return all(exist) and all(_has(keyword, value) for keyword, value in values.items())


def _name(keyword: object) -> str:
    if not isinstance(keyword, str):
        raise ProcessArgumentError("keywords", f"{shown(keyword)} is not the name of an option")
    return keyword.removeprefix(":")


def _has(keyword: str, value: object) -> bool:
    with argument(keyword):
        return value in _VALUES.get(keyword, ())
