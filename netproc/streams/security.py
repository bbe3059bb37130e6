"""The security manager: may a connection be used?  (Emacs: the Network Security Manager, N250 to N255.)

`openstream.py` asks it after the handshake, or when a connection stays in clear text, before the program hears
of the stream.  `core/trust.py` finds what is wrong, `pinfile.py` remembers; here is who decides.

It is for programs that want more than the verification of certificates, or that let it only warn
(``verify_error=None`` in the TLS parameters): public keys trusted on first use, and connections that may not
fall back from TLS to clear text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread

from ..core.checks import plain
from ..core.errors import ProcessArgumentError, SecurityError
from ..core.escape import shown
from ..core.trust import (
    Level,
    Problem,
    Record,
    Status,
    accepted,
    host_key,
    plain_problems,
    tls_problems,
)
from .pinfile import PinFile, PinMemory, PinStore

Answer: TypeAlias = Literal["always", "session", "no"]
#: Asked of a host, its port and what is wrong; may be a coroutine function, or give a Deferred.
Ask: TypeAlias = Callable[
    [str, int, tuple[Problem, ...]], Answer | Deferred[Answer] | Coroutine[Any, Any, Answer]
]

LEVELS = {level.name.lower(): level for level in Level}


def refuse(host: str, port: int, problems: tuple[Problem, ...]) -> Answer:
    """Nobody is there to be asked (N252)."""
    return "no"


class SecurityManager:  # N251
    """Remembers the public keys of servers, and refuses connections that do not match.

    Use it if verified certificates are not enough, or if `verify_error` accepts certificates that are not valid.  The manager
    trusts the public key of a host on first use.  It also refuses unencrypted connections to a host that used TLS before.

    Pass a manager to `open_network_stream`, which consults it after the TLS handshake, and also for streams that are not
    encrypted.  Until the manager approves the connection, netproc sends nothing more and does not call your filter.

    Emacs: the Network Security Manager.

    Args:
        level: How strict the manager is: "low", "medium", "high" or "paranoid".
        pins: The path of the file in which the manager remembers hosts.  Without it, the manager keeps them in memory
            only.
        ask: A function that decides about problems, called as ``ask(host, port, problems)``.  Each problem has a `condition`
            and a `text`.  If the function returns "always", the manager accepts these problems for this public key, and
            remembers this.  If it returns "session", the manager accepts them too, but remembers this in memory only.  If it
            returns anything else, the manager refuses the connection.  The function may be a coroutine function or return a
            Deferred.  Without `ask`, the manager refuses the connection.

    Raises:
        ProcessArgumentError: The level is unknown.
    """

    def __init__(
        self,
        *,
        level: str = "medium",
        pins: str | os.PathLike[str] | None = None,
        ask: Ask = refuse,
    ) -> None:
        name = plain(level)
        if not isinstance(name, str) or name not in LEVELS:
            raise ProcessArgumentError("level", f"{shown(level)} is none of {', '.join(LEVELS)}")
        self._level = LEVELS[name]
        self._store: PinStore = PinMemory() if pins is None else PinFile(pins)
        # A file is read and written where it can hold up nothing else.
        self._run = maybeDeferred if pins is None else deferToThread
        self._ask = ask
        self._session: dict[str, Record] = {}

    def verify_connection(
        self,
        host: str,
        port: int,
        status: Status | None,
        *,
        save_fingerprint: bool = False,
        warn_unencrypted: bool = False,
    ) -> Deferred[None]:  # N254
        """Decide about a connection that was not opened by `open_network_stream`.

        Emacs: ``nsm-verify-connection``.

        Args:
            host: The host of the connection.
            port: Its port.
            status: What `peer_status` of the process returns; None for an unencrypted connection.
            save_fingerprint: Whether to remember the public key at the levels "low" and "medium" too.
            warn_unencrypted: Whether to object to an unencrypted connection to a host that never used TLS.

        Returns:
            A Deferred that fires with None if you may use the connection.  It fails with `SecurityError` if you may not, or if
            the manager cannot read or write its file.  It has no time limit.
        """
        saves = status is not None and (save_fingerprint or self._level >= Level.HIGH)

        def find(record: Record) -> tuple[Problem, ...]:
            if status is None:
                return plain_problems(self._level, record, warn_unencrypted)
            return tls_problems(self._level, status, record)

        return Deferred.fromCoroutine(self._verify(host, port, status, find, saves))

    def forget(self, host: str, port: int) -> Deferred[None]:
        """Forget the public keys of a host and port.  The manager then trusts the next public key that this host shows.

        Args:
            host: The host.
            port: Its port.

        Returns:
            A Deferred that fires with None.
        """
        return Deferred.fromCoroutine(self._forget(host_key(host, port)))

    async def _verify(
        self,
        host: str,
        port: int,
        status: Status | None,
        find: Callable[[Record], tuple[Problem, ...]],
        saves: bool,
    ) -> None:
        key = host_key(host, port)
        while True:
            saved = await self._run(self._store.read, key)
            known = saved | self._session.get(key, Record())
            problems = find(known)
            answer = await self._decide(host, port, problems)
            new = accepted(status, problems)
            if answer == "session":
                self._session[key] = self._session.get(key, Record()) | new
                return
            if answer is None and (not saves or known.keys):
                return
            # Not if it is another record by now: then it is decided again.
            if await self._run(self._store.swap, key, saved, saved | new):
                return

    async def _decide(self, host: str, port: int, problems: tuple[Problem, ...]) -> Answer | None:
        """How PROBLEMS are accepted, None if there are none."""
        if not problems:
            return None
        answer = await maybeDeferred(self._ask, host, port, problems)
        if answer in ("always", "session"):
            return answer
        raise SecurityError(
            f"{host}:{port}: {'; '.join(problem.text for problem in problems)}",
            tuple(problem.condition for problem in problems),
        )

    async def _forget(self, key: str) -> None:
        self._session.pop(key, None)
        while not await self._run(
            self._store.swap, key, await self._run(self._store.read, key), Record()
        ):
            pass
