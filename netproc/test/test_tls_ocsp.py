"""Revocation statuses that servers staple to their certificates."""

from __future__ import annotations

import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessArgumentError
from netproc.net.tls.certificate import Certificate
from netproc.net.tls.contexts import security
from netproc.net.tls.interfaces import Engine
from netproc.net.tls.ocsp import warning
from netproc.test.support.certificates import DAY, NOW, Authority, Pair, handshake

ROOT = Authority("Root CA")
OTHER = Authority("Root CA")
GOOD = ROOT.issue("good.example")
PROMISE = x509.TLSFeature([x509.TLSFeatureType.status_request])
PROMISED = ROOT.issue("good.example", more=[PROMISE])


def response(
    pair: Pair = GOOD,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    signer: Authority = ROOT,
    delegate: Pair | None = None,
    days: tuple[int, int | None] = (-1, 1),
) -> bytes:
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=x509.load_pem_x509_certificate(pair[1]),
        issuer=ROOT.certificate,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=NOW + days[0] * DAY,
        next_update=None if days[1] is None else NOW + days[1] * DAY,
        revocation_time=NOW - DAY if revoked else None,
        revocation_reason=None,
    )
    key, certificate = signer.key, signer.certificate
    if delegate is not None:
        key = load_pem_private_key(delegate[0], None)  # type: ignore[assignment]
        certificate = x509.load_pem_x509_certificate(delegate[1])
        builder = builder.certificates([certificate])
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


class StapleTests(SynchronousTestCase):
    def file(self, data: bytes) -> str:
        name = os.path.abspath(self.mktemp())
        with open(name, "wb") as file:
            file.write(data)
        return name

    def client_of(self, staple: bytes | str | None, pair: Pair = GOOD, **fields: object) -> Engine:
        """Return a client after its handshake with a server that staples STAPLE."""
        parameters = {"trustfiles": [self.file(ROOT.pem)], "system_trust": False, **fields}
        client = security(parameters, is_server=False).engine("good.example")
        own = {"keylist": [pair], "ocsp_staple": staple}
        server = security(own, is_server=True).engine(None)
        self.assertEqual((None, None), handshake(client.connection, server.connection))
        self.assertIsNone(server.check())
        return client

    def refused(self, problem: str, staple: bytes | None, pair: Pair = GOOD) -> None:
        self.assertIn(problem, str(self.client_of(staple, pair).check()))

    def test_good_ones(self) -> None:
        self.assertIsNone(self.client_of(None).check())
        self.assertIsNone(self.client_of(response()).check())
        self.assertIsNone(self.client_of(self.file(response())).check())
        self.assertIsNone(self.client_of(response(PROMISED), PROMISED).check())
        self.assertIsNone(self.client_of(response(days=(-10, None))).check())

    def test_revoked(self) -> None:
        revoked = response(status=ocsp.OCSPCertStatus.REVOKED)
        self.refused("was revoked", revoked)
        client = self.client_of(revoked, verify_error=None)
        self.assertIsNone(client.check())
        self.assertEqual(["revoked", "invalid"], client.peer_status()["warnings"])

    def test_a_promise(self) -> None:
        self.refused("did not send the promised", None, PROMISED)
        client = self.client_of(None, PROMISED, verify_error=["hostname"])
        self.assertEqual(["missing-ocsp-status", "invalid"], client.peer_status()["warnings"])

    def test_what_is_no_status(self) -> None:
        invalid = "OCSP status of the certificate is not valid"
        self.refused(invalid, response(status=ocsp.OCSPCertStatus.UNKNOWN))
        self.refused(invalid, response(signer=OTHER))
        self.refused(invalid, response(days=(-9, -2)))
        self.refused(invalid, response(days=(2, 9)))
        self.refused(invalid, response(days=(-20, None)))
        busy = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
        self.refused(invalid, busy.public_bytes(Encoding.DER))

    def test_what_no_server_of_ours_sends(self) -> None:
        """OpenSSL does not staple a status to a certificate that the status is not about."""
        certificate, issuer = (
            Certificate(ssl.PEM_cert_to_DER_cert(pem.decode())) for pem in (GOOD[1], ROOT.pem)
        )
        for staple in (response(PROMISED), b"junk", response()[:-1]):
            self.assertEqual("invalid-ocsp-status", warning(staple, certificate, issuer))
        self.assertEqual("invalid-ocsp-status", warning(response(), certificate, None))
        self.assertIsNone(warning(response(), certificate, issuer))

    def test_who_may_sign(self) -> None:
        invalid = "OCSP status of the certificate is not valid"
        purpose = ExtendedKeyUsageOID.OCSP_SIGNING
        delegate = ROOT.issue(common="status", purpose=purpose)
        self.assertIsNone(self.client_of(response(delegate=delegate)).check())
        for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
            other = ROOT.issue(common="status", purpose=purpose, key=key)
            self.assertIsNone(self.client_of(response(delegate=other)).check())
        self.refused(invalid, response(delegate=ROOT.issue(common="status")))
        self.refused(invalid, response(delegate=OTHER.issue(common="status", purpose=purpose)))
        late = ROOT.issue(common="status", purpose=purpose, days=(-9, -1))
        self.refused(invalid, response(delegate=late))

    def test_a_servers_staple_is_read_at_once(self) -> None:
        for staple, problem in (
            ("/nowhere/staple", "/nowhere/staple: No such file"),
            (b"junk", "the given bytes: not an OCSP response"),
        ):
            fields = {"keylist": [GOOD], "ocsp_staple": staple}
            error = self.assertRaises(ProcessArgumentError, security, fields, is_server=True)
            self.assertIn(problem, error.problem)
