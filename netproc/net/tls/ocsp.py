"""The OCSP status of a certificate, which its server may staple to it (RFC 6066, section 8; RFC 6960).

`verify.py` passes the staple that the server sent.
"""

from __future__ import annotations

import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509 import ocsp

from .certificate import Certificate, inside

#: How old a status may be if it does not say when there will be a newer one.
LONGEST: Final = datetime.timedelta(days=15)
#: How much the clocks of two machines may differ.
_SKEW: Final = datetime.timedelta(minutes=5)
_WEAK: Final = (hashes.MD5, hashes.SHA1)

# Kinds of extensions, and items in them, as they are encoded.
_FEATURES: Final = bytes.fromhex("2b06010505070118")
_STATUS_REQUEST: Final = b"\5"
_PURPOSES: Final = bytes.fromhex("551d25")
_STATUS_SIGNING: Final = bytes.fromhex("2b06010505070309")


def must_be_stapled(certificate: Certificate) -> bool:
    """Whether CERTIFICATE promises a status (RFC 7633)."""
    return _lists(certificate, _FEATURES, _STATUS_REQUEST)


def _lists(certificate: Certificate, kind: bytes, wanted: bytes) -> bool:
    """Whether an extension of that KIND, a list, has the WANTED item."""
    values = certificate.extensions(kind)
    return any(item.content == wanted for value in values for item in inside(value))


def warning(staple: bytes, certificate: Certificate, issuer: Certificate | None) -> str | None:
    """Return the warning for STAPLE, or for its absence, in Emacs's words; None if CERTIFICATE is good."""
    # A peer can send anything; a status that cannot be read is not valid.
    try:
        if not staple:
            return "missing-ocsp-status" if must_be_stapled(certificate) else None
        single = _single(staple, certificate, issuer)
    except Exception:
        return "invalid-ocsp-status"
    if single is None:
        return "invalid-ocsp-status"
    if single.certificate_status == ocsp.OCSPCertStatus.REVOKED:
        return "revoked"
    is_good = single.certificate_status == ocsp.OCSPCertStatus.GOOD
    return None if is_good else "invalid-ocsp-status"


def _single(
    staple: bytes, certificate: Certificate, issuer: Certificate | None
) -> ocsp.OCSPSingleResponse | None:
    """Return the current status of CERTIFICATE if it is signed by an authorized signer, else None."""
    response = ocsp.load_der_ocsp_response(staple)
    if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL or issuer is None:
        return None
    if not any(_has_signed(signer, response) for signer in _signers(response, issuer)):
        return None
    for single in response.responses:
        if _is_about(single, certificate) and _is_of_now(single):
            return single
    return None


def _is_about(single: ocsp.OCSPSingleResponse, certificate: Certificate) -> bool:
    digest = hashes.Hash(single.hash_algorithm)
    digest.update(certificate.issuer)
    serial_number = int.from_bytes(certificate.serial_number, signed=True)
    return single.serial_number == serial_number and single.issuer_name_hash == digest.finalize()


def _is_of_now(single: ocsp.OCSPSingleResponse) -> bool:
    now = datetime.datetime.now(datetime.UTC)
    end = single.next_update_utc or single.this_update_utc + LONGEST
    return single.this_update_utc - _SKEW <= now <= end + _SKEW


def _signers(response: ocsp.OCSPResponse, issuer: Certificate) -> list[Certificate]:
    """Return the certificates that may sign the response: that of the authority, and those it made for this purpose."""
    return [issuer, *(_read(made) for made in response.certificates if _is_delegate(made, issuer))]


def _read(certificate: x509.Certificate) -> Certificate:
    return Certificate(certificate.public_bytes(Encoding.DER))


def _is_delegate(certificate: x509.Certificate, issuer: Certificate) -> bool:
    """Whether CERTIFICATE is valid now, and ISSUER made it for signing statuses."""
    now, made = datetime.datetime.now(datetime.UTC), _read(certificate)
    return (
        made.issuer == issuer.subject
        and _lists(made, _PURPOSES, _STATUS_SIGNING)
        and certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        and _has_made(issuer, certificate)
    )


def _has_made(issuer: Certificate, certificate: x509.Certificate) -> bool:
    parameters = certificate.signature_algorithm_parameters
    return _is_signature(
        issuer,
        certificate.signature_hash_algorithm,
        certificate.signature,
        certificate.tbs_certificate_bytes,
        parameters if isinstance(parameters, padding.PSS) else padding.PKCS1v15(),
    )


def _has_signed(signer: Certificate, response: ocsp.OCSPResponse) -> bool:
    return _is_signature(
        signer,
        response.signature_hash_algorithm,
        response.signature,
        response.tbs_response_bytes,
        padding.PKCS1v15(),
    )


def _is_signature(
    signer: Certificate,
    hashed: hashes.HashAlgorithm | None,
    signature: bytes,
    signed: bytes,
    scheme: padding.PSS | padding.PKCS1v15,
) -> bool:
    """Whether SIGNATURE over the bytes SIGNED was made with the key of SIGNER; SCHEME is for RSA keys."""
    key = load_der_public_key(signer.public_key)
    try:
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, signed)
        elif hashed is None or isinstance(hashed, _WEAK):
            return False
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(hashed))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, scheme, hashed)
        else:
            return False
    except InvalidSignature:
        return False
    return True
