"""The status of a certificate, which its server may staple to it (RFC 6066, section 8; RFC 6960).

`verify` hands over what came; a server's own staple is read by `credentials`.
"""

from __future__ import annotations

import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

#: How old a status may be that does not say when there will be a newer one.
LONGEST: Final = datetime.timedelta(days=15)
#: How much clocks may differ.
_SKEW: Final = datetime.timedelta(minutes=5)
_WEAK: Final = (hashes.MD5, hashes.SHA1)


def must_be_stapled(certificate: x509.Certificate) -> bool:
    """Does CERTIFICATE promise a status (RFC 7633)?"""
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in features


def warning(
    staple: bytes, certificate: x509.Certificate, issuer: x509.Certificate | None
) -> str | None:
    """What STAPLE says against CERTIFICATE, or its absence does, in Emacs's words; None if nothing."""
    # Whatever a peer made up so that it cannot be read is no valid status.
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
    staple: bytes, certificate: x509.Certificate, issuer: x509.Certificate | None
) -> ocsp.OCSPSingleResponse | None:
    """What is said about CERTIFICATE now, by one who may."""
    response = ocsp.load_der_ocsp_response(staple)
    if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL or issuer is None:
        return None
    if not any(_is_signed_by(response, signer) for signer in _signers(response, issuer)):
        return None
    for single in response.responses:
        if _is_about(single, certificate) and _is_of_now(single):
            return single
    return None


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate) -> bool:
    digest = hashes.Hash(single.hash_algorithm)
    digest.update(certificate.issuer.public_bytes())
    return (
        single.serial_number == certificate.serial_number
        and single.issuer_name_hash == digest.finalize()
    )


def _is_of_now(single: ocsp.OCSPSingleResponse) -> bool:
    now = datetime.datetime.now(datetime.UTC)
    end = single.next_update_utc or single.this_update_utc + LONGEST
    return single.this_update_utc - _SKEW <= now <= end + _SKEW


def _signers(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> list[x509.Certificate]:
    """Who may sign it: the authority itself, and whom it made for that."""
    return [issuer, *(made for made in response.certificates if _is_delegate(made, issuer))]


def _is_delegate(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    now = datetime.datetime.now(datetime.UTC)
    try:
        certificate.verify_directly_issued_by(issuer)
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        ExtendedKeyUsageOID.OCSP_SIGNING in purposes
        and certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    )


def _is_signed_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, hashed = signer.public_key(), response.signature_hash_algorithm
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, signed)
        elif hashed is None or isinstance(hashed, _WEAK):
            return False
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(hashed))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), hashed)
        else:
            return False
    except InvalidSignature:
        return False
    return True
