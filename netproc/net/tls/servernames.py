"""The choice of a server's certificate by the name that a client asks for (SNI; RFC 6066, section 3).

`contexts.py` passes the function that makes the context for a pair.  However many names there are, a connection costs
one check of the files for its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from OpenSSL import SSL

from ...core.errors import os_error_text
from ...core.escape import escape
from .parameters import KeyPair, TLSParameters, parameter_error
from .renewal import Renewed

_SUFFIX = ".pem"


def _pairs(sni: str | tuple[tuple[str, KeyPair], ...]) -> dict[str, KeyPair]:
    """Return the pairs by name: the given ones, or the files NAME.pem that the directory has now."""
    if not isinstance(sni, str):
        return dict(sni)
    try:
        names = sorted(os.listdir(sni))
    except OSError as error:
        raise parameter_error(f"sni: {escape(sni)}: {os_error_text(error)}") from None
    files = [os.path.join(sni, name) for name in names if name.endswith(_SUFFIX)]
    if not files:
        raise parameter_error(f"sni: {escape(sni)}: there is no file NAME{_SUFFIX} in it")
    return {os.path.basename(file).removesuffix(_SUFFIX).lower(): (file, file) for file in files}


class ServerNames:
    """The contexts of one server by name; MAKE_CONTEXT makes the context for a pair."""

    def __init__(
        self, parameters: TLSParameters, make_context: Callable[[KeyPair], SSL.Context]
    ) -> None:
        self._parameters = parameters
        self._make_context = make_context
        sni = parameters.sni
        self._names = Renewed([sni if isinstance(sni, str) else None], self._list)

    def _list(self) -> Mapping[str, Renewed[SSL.Context]]:
        known = self._names.value or {}
        pairs = _pairs(self._parameters.sni)
        return {name: known.get(name) or self._renewed(pair) for name, pair in pairs.items()}

    def _renewed(self, pair: KeyPair) -> Renewed[SSL.Context]:
        files = [*pair, *self._parameters.trustfiles, *self._parameters.crlfiles]
        return Renewed(files, lambda: self._make_context(pair))

    def read(self) -> None:
        """Read the files of all names again if they have changed.

        :raises ProcessArgumentError: if one of them has changed and cannot be used.
        """
        self._names.read()
        for renewed in (self._names.value or {}).values():
            renewed.read()

    def choose(self, connection: SSL.Connection) -> None:
        """Make CONNECTION, which is a server's, use the pair for the name that its client asks for.

        Clients that ask for no name, or for an unknown one, get the certificate of the server itself.
        """
        name = connection.get_servername()
        context = self._context(name.decode("ascii", "replace").lower()) if name else None
        if context is not None:
            connection.set_context(context)

    def _context(self, name: str) -> SSL.Context | None:
        """Return the context for NAME, or the one for all names of its domain, or None."""
        names = self._names.latest() or {}
        renewed = names.get(name) or names.get("*." + name.partition(".")[2])
        return None if renewed is None else renewed.latest()
