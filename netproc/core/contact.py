"""The contact of a process: the keywords as given, and the addresses of its socket (N120–N132).

`making/make.py` makes the contact of a process.  `process/process.py` keeps it up to date and returns its values.

The contact of an accepted connection has the keywords of its server and its own addresses.  It shares the server's
dictionary, so that dictionary is never changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import address
from .address import SocketAddress

#: The keys whose values may differ from those given.
_COMPUTED = frozenset({"host", "local", "remote", "server", "service"})


class Contact:
    """The keywords and addresses of one process."""

    __slots__ = ("_accepted", "_given", "local", "remote")

    def __init__(
        self,
        given: Mapping[str, object],
        local: SocketAddress | None = None,
        remote: SocketAddress | None = None,
        accepted: bool = False,
    ) -> None:
        self._given = given
        self._accepted = accepted
        self.local = local
        self.remote = remote

    def set(self, key: str, value: object) -> None:
        """Set the value of KEY to VALUE."""
        self._given = {**self._given, key: value}

    def for_connection(self, local: SocketAddress | None, remote: SocketAddress | None) -> Contact:
        """Return the contact of a connection that the server with this contact has accepted (N130)."""
        return Contact(self._given, local, remote, accepted=True)

    def get(self, key: str) -> object:
        """Return the value of KEY, or None if it has none."""
        if key not in _COMPUTED:
            return self._given.get(key)
        computed = self._computed()
        return computed[key] if key in computed else self._given.get(key)

    def everything(self) -> dict[str, object]:
        """Return all keys and values as a new dictionary."""
        return {**self._given, **self._computed()}

    def host_and_service(self) -> tuple[object, object]:
        """Return the host and the service, as process-contact without a key does (N120)."""
        return self.get("host"), self.get("service")

    def _computed(self) -> dict[str, object]:
        shown: dict[str, object] = {}
        if self.local is not None:
            shown["local"] = address.address_form(self.local)
        if self.remote is not None:
            shown["remote"] = address.address_form(self.remote)
        if self._accepted:
            shown["server"] = None
            shown.update(self._peer())
        return shown

    def _peer(self) -> dict[str, object]:
        if self.remote is None:
            return {"host": None}
        if self.remote.family in address.LOOPBACK:
            return {"host": address.host_text(self.remote), "service": self.remote.raw[1]}
        return {"host": True}
