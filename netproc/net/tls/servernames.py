"""Which certificate a server shows to those who ask for a name (RFC 6066, section 3).

`contexts` says how a context for one pair is made, and hands the names of `TLSParameters.sni`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from OpenSSL import SSL

from ...core.errors import os_error_text
from .parameters import KeyPair, TLSParameters, refuse

_SUFFIX = ".pem"


def pairs(parameters: TLSParameters) -> dict[str, KeyPair]:
    """The pairs by name: those that were given, or the NAME.pem of a directory, as they are now."""
    if not isinstance(parameters.sni, str):
        return dict(parameters.sni)
    try:
        names = sorted(os.listdir(parameters.sni))
    except OSError as error:
        raise refuse(f"sni: {parameters.sni}: {os_error_text(error)}") from None
    files = [os.path.join(parameters.sni, name) for name in names if name.endswith(_SUFFIX)]
    if not files:
        raise refuse(f"sni: {parameters.sni}: there is no NAME{_SUFFIX}")
    return {os.path.basename(file).removesuffix(_SUFFIX).lower(): (file, file) for file in files}


def _chosen(name: str, contexts: Mapping[str, SSL.Context]) -> SSL.Context | None:
    """The context for NAME itself, or for all of its domain."""
    return contexts.get(name) or contexts.get("*." + name.partition(".")[2])


def answer(
    context: SSL.Context,
    names: Mapping[str, KeyPair],
    make_context: Callable[[KeyPair], SSL.Context],
) -> None:
    """Make connections of CONTEXT show the pair for the name that is asked for.

    Who asks for no name or another one gets the certificate of CONTEXT itself.
    """
    contexts = {name: make_context(pair) for name, pair in names.items()}

    def choose(connection: SSL.Connection) -> None:
        name = connection.get_servername()
        chosen = _chosen(name.decode("ascii", "replace").lower(), contexts) if name else None
        if chosen is not None:
            connection.set_context(chosen)

    context.set_tlsext_servername_callback(choose)
