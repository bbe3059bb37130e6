"""The verification of the peer of one connection.

OpenSSL calls `Verification.callback` for each certificate of the peer's chain.  After the handshake, `engine.py` calls
`problem`, and `warnings` for the peer status.  Anything that cannot be decided is a problem: an exception, or a callback
that was never called.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Protocol

from OpenSSL import SSL, crypto

from . import ocsp
from .certificate import Certificate, der_of
from .names import is_for
from .parameters import DISABLE_TIME_CHECKS, DISABLE_TRUSTED_TIME_CHECKS, TLSParameters

#: The warnings of gnutls-peer-status, in the order in which GnuTLS finds them, with their texts.
WARNINGS: Final = {
    "invalid": "certificate could not be verified",
    "revoked": "certificate was revoked",
    "unknown-ca": "certificate was signed by an unknown authority",
    "not-ca": "certificate was signed by one that is not an authority",
    "insecure": "certificate has a weak key or a weak signature",
    "not-activated": "certificate is not valid yet",
    "expired": "certificate has expired",
    "signature-failure": "signature of the certificate is wrong",
    "revocation-data-superseded": "list of revocations is too old",
    "revocation-data-issued-in-future": "list of revocations is not valid yet",
    "signer-constraints-failure": "authority may not sign such a certificate",
    "purpose-mismatch": "certificate is not meant for this purpose",
    "missing-ocsp-status": "server did not send the promised OCSP status",
    "invalid-ocsp-status": "OCSP status of the certificate is not valid",
    "no-host-match": "certificate is for another host",
    "self-signed": "certificate signed itself",
}

#: OpenSSL's codes (X509_V_ERR_…) and their warnings.  3: there is no list of revocations of this authority; 44: there are
#: lists, but for other certificates of the authority.
_NO_CRL: Final = (3, 44)
_NOT_YET, _EXPIRED = 9, 10
_WARNING: Final = {
    2: "unknown-ca",
    7: "signature-failure",
    8: "signature-failure",
    _NOT_YET: "not-activated",
    _EXPIRED: "expired",
    11: "revocation-data-issued-in-future",
    12: "revocation-data-superseded",
    18: "unknown-ca",
    19: "unknown-ca",
    20: "unknown-ca",
    21: "unknown-ca",
    23: "revoked",
    24: "not-ca",
    25: "signer-constraints-failure",
    26: "purpose-mismatch",
    32: "not-ca",
    47: "signer-constraints-failure",
    48: "signer-constraints-failure",
    66: "insecure",
    67: "insecure",
    68: "insecure",
    79: "not-ca",
}
#: The texts of the other codes: "different crl scope".
_REASONS: Final = {
    code: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, code in vars(SSL.X509VerificationCodes).items()
    if name.startswith("ERR_")
}


# -- verdicts -------------------------------------------------------------------------------------


def _another(name: str | None) -> str:
    return f"{WARNINGS['no-host-match']} than {name}"


class Verdict(Protocol):
    """The checks of the peer after the handshake."""

    def problem(self, certificate: Certificate | None) -> str | None:
        """Return why the peer with CERTIFICATE, which may be None, is refused, or None if it is accepted."""

    def warnings(self, certificate: Certificate | None) -> list[str]:
        """Return what is wrong with CERTIFICATE, enforced or not, in Emacs's words and order."""


class Verification:
    """The verification of one peer by the parameters: a client's, whose server must be NAME, or a server's.

    It has no reference to the connection, since the connection refers to the callback.
    """

    def __init__(self, parameters: TLSParameters, name: str | None, is_server: bool) -> None:
        self._parameters = parameters
        self._is_server = is_server
        self._name = name
        self._codes: list[int] = []
        self._leaf_was_verified = False
        self._is_for_another = False
        self._unreadable: str | None = None
        self._issuer: Certificate | None = None
        #: The OCSP response that the server stapled to its certificate.
        self.staple = b""

    @property
    def _checks_chain(self) -> bool:
        return "trustfiles" in self._parameters.verify_error

    @property
    def _checks_name(self) -> bool:
        return self._name is not None and "hostname" in self._parameters.verify_error

    def callback(
        self, connection: SSL.Connection, certificate: crypto.X509, code: int, depth: int, ok: int
    ) -> bool:
        """Return whether to accept one certificate; False ends the handshake with an alert.  Called by OpenSSL."""
        # A peer can send anything: if its certificate causes an exception, that is the reason to refuse it.
        try:
            return self._accepts(certificate, code, depth, bool(ok))
        except Exception as error:
            self._unreadable = f"certificate cannot be read ({error})"
            return False

    def _accepts(self, certificate: crypto.X509, code: int, depth: int, ok: bool) -> bool:
        if not ok and not self._is_excused(code, certificate):
            if code not in self._codes:
                self._codes.append(code)
            if self._checks_chain:
                return False
        if depth == 1:
            # OpenSSL verifies the chain.  Without an issuer only a stapled answer cannot be checked, so it is not valid.
            with suppress(ValueError):
                self._issuer = Certificate(der_of(certificate))
        if depth == 0:
            leaf = Certificate(der_of(certificate))
            self._leaf_was_verified = True
            # Checked here too, and not only after the handshake, so that the wrong server does not get our certificate.
            self._is_for_another = self._checks_name and not self._has_name(leaf)
            return not self._is_for_another
        return True

    def _is_excused(self, code: int, certificate: crypto.X509) -> bool:
        flags = self._parameters.verify_flags
        if code in (_NOT_YET, _EXPIRED):
            return bool(
                flags & DISABLE_TIME_CHECKS
                or (
                    flags & DISABLE_TRUSTED_TIME_CHECKS
                    and Certificate(der_of(certificate)).is_self_issued
                )
            )
        return code in _NO_CRL and not self._parameters.crl_strict

    def _has_name(self, certificate: Certificate) -> bool:
        return self._name is None or is_for(certificate, self._name)

    def problem(self, certificate: Certificate | None) -> str | None:
        """Return why the peer is refused, or None.  After a resumption nothing was verified, so it is refused."""
        if self._parameters.type == "anon":
            return None
        if self._unreadable is not None:
            return self._unreadable
        if self._checks_chain and self._codes:
            return self._chain_problem()
        if self._is_for_another:
            return _another(self._name)
        if certificate is None:
            return "no certificate" if self._needs_certificate else None
        if not self._leaf_was_verified:
            return "certificate was not verified"
        if self._checks_name and not self._has_name(certificate):
            return _another(self._name)
        warning = self._staple_warning(certificate)
        return WARNINGS[warning] if warning and self._checks_chain else None

    def _staple_warning(self, certificate: Certificate) -> str | None:
        if self._is_server:
            return None
        return ocsp.warning(self.staple, certificate, self._issuer)

    @property
    def _needs_certificate(self) -> bool:
        return not self._is_server or self._parameters.request_client_certificate == "required"

    def _chain_problem(self) -> str:
        return ", ".join(dict.fromkeys(self._describe(code) for code in self._codes))

    def _describe(self, code: int) -> str:
        warning = _WARNING.get(code)
        if warning is not None:
            return f"{WARNINGS[warning]} (code {code})"
        return f"{WARNINGS['invalid']}: {_REASONS.get(code, 'unknown reason')} (code {code})"

    def warnings(self, certificate: Certificate | None) -> list[str]:
        """Return the warnings in Emacs's order, in which the last one that GnuTLS finds is first."""
        if certificate is None:
            return []
        found = {_WARNING.get(code, "invalid") for code in self._codes}
        staple_warning = self._staple_warning(certificate)
        if staple_warning:
            found.add(staple_warning)
        if found:
            found.add("invalid")
        if not self._has_name(certificate):
            found.add("no-host-match")
        if certificate.is_self_issued:
            found.add("self-signed")
        return [warning for warning in reversed(WARNINGS) if warning in found]


class ForeignContextVerdict:
    """The check for a connection with an SSL context of the program, which verifies the chain.

    This verifies the server's name once more, since Twisted's own check accepts a connection if it cannot read the names
    of the certificate.  NAME is None for servers.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name

    def problem(self, certificate: Certificate | None) -> str | None:
        """Return why the server is refused, or None."""
        if self._name is None:
            return None
        if certificate is None:
            return "no certificate"
        if not is_for(certificate, self._name):
            return _another(self._name)
        return None

    def warnings(self, certificate: Certificate | None) -> list[str]:
        """Return a warning if the name is wrong; nothing is known about the chain."""
        if certificate is None or self._name is None or is_for(certificate, self._name):
            return []
        return ["no-host-match"]
