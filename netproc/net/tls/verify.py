"""The verdict on the peer of one connection.

OpenSSL calls `Verification.callback` for every certificate of the peer's chain; `engine` asks for
the verdict when the handshake is over, and `peerstatus` (at run time) for the warnings.  Whatever cannot
be decided is a problem: an exception, a callback that never came.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Protocol

from OpenSSL import SSL, crypto

from . import ocsp
from .certificate import Certificate, der_of
from .names import is_for
from .parameters import DISABLE_TIME_CHECKS, DISABLE_TRUSTED_TIME_CHECKS, TLSParameters

#: The warnings of gnutls-peer-status, in the order in which GnuTLS finds them, and what they say.
WARNINGS: Final = {
    "invalid": "certificate could not be verified",
    "revoked": "certificate was revoked",
    "unknown-ca": "certificate was signed by an unknown authority",
    "not-ca": "certificate was signed by one that is no authority",
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

#: OpenSSL's codes (X509_V_ERR_…) and the warnings they are.  3: there is no list of revocations of this
#: authority; 44: there are lists, but for other certificates of it.
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
#: The other codes in words: "different crl scope".
_REASONS: Final = {
    code: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, code in vars(SSL.X509VerificationCodes).items()
    if name.startswith("ERR_")
}


# -- verdicts -------------------------------------------------------------------------------------


def _another(name: str | None) -> str:
    return f"{WARNINGS['no-host-match']} than {name}"


class Verdict(Protocol):
    """What `Engine` asks when the handshake is over."""

    def problem(self, certificate: Certificate | None) -> str | None:
        """Why the peer with CERTIFICATE, or none, is not who it should be; None: it is."""

    def warnings(self, certificate: Certificate | None) -> list[str]:
        """What is wrong with CERTIFICATE, enforced or not, in Emacs's words and order."""


class Verification:
    """The state of verifying one peer: a client's, which should be NAME, or a server's.

    It knows no connection: that holds the callback.
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
        #: What the server stapled to its certificate.
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
        """OpenSSL's question about one certificate; False ends the handshake with an alert."""
        # What goes wrong in what a peer made up is a no, and the reason of the refusal.
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
            # The chain is OpenSSL's matter: without an issuer only a stapled answer cannot be judged, and so is not valid.
            with suppress(ValueError):
                self._issuer = Certificate(der_of(certificate))
        if depth == 0:
            leaf = Certificate(der_of(certificate))
            self._leaf_was_verified = True
            # Here, and not after the handshake only: the wrong server gets no certificate of ours.
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
        """Why the peer is refused, or None.  After a resumption nothing was verified: refused."""
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
        """The last of GnuTLS's first, as in Emacs."""
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
    """For a connection that somebody else's context verifies: the chain is its matter.

    A server's name is ours too: Twisted's own check lets a connection through when it cannot
    read the names of a certificate.  NAME is None for servers.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name

    def problem(self, certificate: Certificate | None) -> str | None:
        """Why the server is refused, or None."""
        if self._name is None:
            return None
        if certificate is None:
            return "no certificate"
        if not is_for(certificate, self._name):
            return _another(self._name)
        return None

    def warnings(self, certificate: Certificate | None) -> list[str]:
        """Of the chain nothing is known."""
        if certificate is None or self._name is None or is_for(certificate, self._name):
            return []
        return ["no-host-match"]
