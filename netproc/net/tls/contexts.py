"""Contexts of pyOpenSSL, made of parameters when a process is made.

`make.py` and `NetworkProcess.start_tls` hand in the parameters; the engines go to `net/tls/channel.py`.
"""

from __future__ import annotations

from ...core.errors import not_yet
from .channel import Security


def security(parameters: object, *, is_server: bool) -> Security:
    """How a client or a server does TLS by PARAMETERS.

    Raises ProcessArgumentError for what cannot work.
    """
    raise not_yet("tls_parameters", "TLS")
