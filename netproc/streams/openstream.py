"""open_network_stream: keywords to a client that passes greeting, capabilities, TLS and the security manager.

The keywords become two specs, one of `core/streamspec.py` and one of `core/spec.py`, and the parameters of TLS, into which
`clientcert.py` puts the client's certificate.  `streammaker.py` makes the process of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from ..core.buffer import Buffer
from ..core.checks import plain_keywords
from ..core.errors import ProcessArgumentError
from ..core.escape import escape, shown
from ..core.limits import DEFAULT_LIMITS, check_seconds
from ..core.negotiate import NETWORK, PLAIN, SHELL, TLS
from ..core.spec import process_spec
from ..core.streamspec import StreamSpec, stream_spec
from ..making.make import KEYWORDS, new_process
from ..net.interfaces import INetprocReactor, default_reactor
from ..net.tls import contexts
from ..net.tls.parameters import TLSParameters, parse

# NetworkProcess has to be a name of this module, so that Sphinx can resolve the annotation Filter.
from ..process.process import DEFAULT_TABLE, NetworkProcess, Table
from ..process.settings import Filter, Sentinel
from .clientcert import client_certificate as find_client_certificate
from .security import SecurityManager
from .streammaker import StreamMaker, Vet


def open_network_stream(
    name: str,
    buffer: Buffer | str | None,
    host: str,
    service: str | int,
    *,
    type: str | None = None,
    nowait: bool = False,
    coding: object = None,
    return_list: bool = False,
    capability_command: object = None,
    end_of_command: object = None,
    end_of_capability: object = None,
    success: object = None,
    starttls_function: object = None,
    always_query_capabilities: bool = False,
    client_certificate: object = None,
    use_starttls_if_possible: bool = False,
    warn_unless_encrypted: bool = False,
    nogreeting: bool = False,
    shell_command: str | None = None,
    tls_parameters: object = None,
    security_manager: SecurityManager | None = None,
    protocol: str | None = None,
    client_name: str | None = None,
    filter: Filter | bool | None = None,
    sentinel: Sentinel | None = None,
    plist: Mapping[str, object] | None = None,
    noquery: bool = False,
    timeout: float = 30,
    table: Table | None = None,
    reactor: INetprocReactor | None = None,
) -> Deferred[Any]:
    r"""Open a stream to a server, with TLS or STARTTLS if you want it.

    Before the stream is open, netproc conducts a dialogue with the server: it reads the greeting, asks for the
    capabilities, and switches to TLS.

    Emacs: ``open-network-stream``.

    Args:
        name: The name of the process, as in `make_network_process`.
        buffer: The process buffer, or None.  A str is the name of a buffer.  If netproc conducts a dialogue, this buffer must
            exist.  Without a dialogue, netproc creates the buffer if there is none.
        host: The host, as in `make_network_process`, but not None.
        service: The port or the service, as in `make_network_process`, but not None.
        type: When TLS starts.

            * "plain": never.
            * "tls" or "ssl": before the first byte.
            * "starttls": during the dialogue.  If TLS does not start, the stream does not open.
            * None or "network": during the dialogue, if the server offers it.  If the server does not offer TLS or refuses
              it, the stream stays unencrypted.
            * "shell": netproc runs `shell_command` instead of connecting.
        nowait: Whether to return the process before the stream is open.  The sentinel is called with ``"open\n"``
            when the stream is open, or with ``"failed: …\n"``.
        coding: As in `make_network_process`.
        return_list: Whether the Deferred fires with a pair.  You cannot combine it with `nowait`.
        capability_command: The command that asks for the capabilities: str, bytes, or a function that is called with the
            greeting and returns one of these.  With `protocol`, it replaces the command of the protocol.
        end_of_command: Where an answer of the server ends: a regular expression, or a function that is called with the
            received bytes and returns the length of the answer, or None if the answer is not complete.  Regular expressions
            are for str.  Unless you compile them, they ignore case, and ``^`` and ``$`` match at each line.
        end_of_capability: Where the capabilities end, in the same form.  None is `end_of_command`.
        success: Whether the answer to STARTTLS is positive: a regular expression that matches it, or a function that is
            called with the answer.
        starttls_function: A function that is called with the capabilities as str and returns the STARTTLS command, or None if the
            server does not offer TLS.
        always_query_capabilities: Whether to ask for the capabilities with the type "plain" too, if there is a dialogue.
        client_certificate: A pair of file names (key, certificate), or True to look for a pair for this server in
            ``~/.authinfo`` and ``~/.netrc``.
        use_starttls_if_possible: Has no effect, because netproc always has TLS.
        warn_unless_encrypted: Whether the security manager objects to each unencrypted stream, even with the type "plain"
            and without a dialogue.  Without a `security_manager`, netproc uses one with the level "medium" that refuses
            everything to which it objects.  The type "shell" has no connection to check.
        nogreeting: Whether the server sends nothing before the first command.
        shell_command: The command of the type "shell".
        tls_parameters: How TLS is done, as in `make_network_process`.
        security_manager: A `SecurityManager` that must approve the connection before the stream is open.
        protocol: The dialect of the dialogue: "imap", "pop3", "smtp", "lmtp", "sieve", "nntp", "ftp", "xmpp", "irc", "ldap"
            or "postgres".  Then you cannot pass `end_of_command`, `end_of_capability`, `success` and `starttls_function`.
            An XMPP client asks for the domain that is the `hostname` of the `tls_parameters`, or else for `host`.
            Emacs does not have it.
        client_name: The name that a client of the protocols "smtp" and "lmtp" sends in EHLO or LHLO: a domain, or an address
            in brackets.  None is "[127.0.0.1]".
            Emacs does not have it.
        filter: As in `make_network_process`.
        sentinel: As in `make_network_process`.
        plist: As in `make_network_process`.
        noquery: As in `make_network_process`.
        timeout: The time limit in seconds for each of three steps: connecting, the dialogue with STARTTLS, and the decision of
            the security manager.  A handshake before the dialogue has a limit of 10 seconds, or of `timeout` if that is less.
            Emacs does not have it.
        table: As in `make_network_process`.
        reactor: As in `make_network_process`.

    Returns:
        A Deferred that fires with the process.  It fails with `ProcessArgumentError`, before there is a socket, or with
        `ProcessError`.

        With `return_list`, it fires with the pair (process, `StreamProperties`).  If the dialogue fails or the security
        manager refuses the connection, it fires with (None, `StreamProperties`), whose `error` says why.  If netproc cannot
        connect, or the handshake of the type "tls" fails, the Deferred fails even with `return_list`.
    """
    given: dict[str, Any] = plain_keywords(locals())  # before any other local variable is set
    table = DEFAULT_TABLE if given.pop("table") is None else table
    assert table is not None
    reactor = default_reactor() if given.pop("reactor") is None else reactor
    assert reactor is not None
    try:
        stream = _stream(given)
        _check(given, stream, table)
        parameters = _parameters(given, stream)
        first = parameters if stream.type is TLS else None
        spec = process_spec(_client_keywords(given, first))
        security = None if parameters is None else contexts.security(parameters, is_server=False)
    except ProcessArgumentError as error:
        return fail(error)
    if security_manager is None and warn_unless_encrypted:
        # There is no user to warn, so clear text is refused, as in a batch Emacs.
        security_manager = SecurityManager()
    process: NetworkProcess = new_process(spec, table, reactor)
    vet = None
    if security_manager is not None:
        vet = Vet(security_manager, given["host"], bool(warn_unless_encrypted))
    maker = StreamMaker(spec, stream, process, security, timeout, vet, _command(stream))
    if nowait:
        return succeed(maker.make_nowait())
    made = maker.make()
    return made.addCallbacks(maker.found, maker.not_found) if return_list else made


def _stream(given: Mapping[str, Any]) -> StreamSpec:
    """Return how the stream is opened.

    Without a dialogue, TLS parameters mean that the stream begins with TLS, as in Emacs (N261).
    """
    stream = stream_spec(given)
    if given["tls_parameters"] is None or not _has_no_tls(stream):
        return stream
    if stream.bare:
        return replace(stream, type=TLS)
    problem = "nothing begins TLS here: give a type or a protocol that does"
    if stream.type is not NETWORK:
        problem = f"the type {shown(given['type'])} has no TLS"
    raise ProcessArgumentError("tls_parameters", problem)


def _has_no_tls(stream: StreamSpec) -> bool:
    if stream.type is NETWORK:
        return stream.dialect.upgrade is None
    return stream.type in (PLAIN, SHELL)


def _check(given: Mapping[str, Any], stream: StreamSpec, table: Table) -> None:
    if given["return_list"] and given["nowait"]:
        raise ProcessArgumentError(
            "return_list", "cannot be combined with nowait, which returns before the stream is open"
        )
    if given["host"] is None or given["service"] is None:
        raise ProcessArgumentError(
            "host" if given["host"] is None else "service", "this keyword is required"
        )
    buffer = given["buffer"]
    if not stream.bare and isinstance(buffer, str) and table.get_buffer(buffer) is None:
        raise ProcessArgumentError("buffer", f"No buffer named {escape(buffer)}")


def _command(stream: StreamSpec) -> tuple[str, ...] | None:
    """Return the program of the type "shell" and its arguments, None for other types."""
    if stream.command is None:
        return None
    return os.environ.get("SHELL") or "/bin/sh", "-c", stream.command


def _parameters(given: Mapping[str, Any], stream: StreamSpec) -> object:
    """Return the TLS parameters with the client's certificate, None if the stream never has TLS."""
    if _has_no_tls(stream):
        return None
    certificate = find_client_certificate(
        given["client_certificate"], given["host"], given["service"]
    )
    parameters = given["tls_parameters"]
    if certificate is None:
        return TLSParameters() if parameters is None else parameters
    parameters = TLSParameters() if parameters is None else parse(parameters, is_server=False)
    if not isinstance(parameters, TLSParameters) or parameters.keylist:
        raise ProcessArgumentError(
            "client_certificate", "tls_parameters already has a certificate (keylist)"
        )
    return attrs.evolve(parameters, keylist=(certificate,))


def _client_keywords(given: Mapping[str, Any], tls_parameters: object) -> dict[str, object]:
    """Return the keywords of make_network_process."""
    shared = (
        "name",
        "buffer",
        "host",
        "service",
        "nowait",
        "coding",
        "filter",
        "sentinel",
        "plist",
        "noquery",
    )
    keywords = {**KEYWORDS, **{key: given[key] for key in shared}}
    timeout = check_seconds("timeout", given["timeout"])
    keywords["connect_timeout"] = timeout
    if tls_parameters is not None:
        # The handshake comes before the dialogue and has the deadline of other handshakes.
        keywords["tls_parameters"] = tls_parameters
        keywords["handshake_timeout"] = min(timeout, DEFAULT_LIMITS.handshake_timeout)
    return keywords
