"""Keys, certificates, authorities and revocations in every form in which OpenSSL takes them."""

from __future__ import annotations

import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from netproc.core.errors import ProcessArgumentError
from netproc.net.tls.contexts import security
from netproc.net.tls.interfaces import Engine
from netproc.test.support.certificates import DAY, NOW, Authority, Pair, handshake
from netproc.test.support.contexts import ContextCase
from netproc.test.support.oddcertificates import SERIAL, Fields, changed, tlv, with_field
from netproc.test.support.programs import require

ROOT = Authority("Root CA")
OTHER = Authority("Other CA")
MIDDLE = Authority("Middle CA", ROOT)
GOOD = ROOT.issue("good.example")


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    program = require("openssl")
    done = subprocess.run([program, *arguments], input=data, capture_output=True, check=True)
    return done.stdout


class CredentialsCase(ContextCase):
    def client(self, name: str = "good.example", **fields: object) -> Engine:
        return super().client(name, **{"trustfiles": [self.file(ROOT.pem)], **fields})

    def refusal(self, client: Engine, pair: Pair) -> str | None:
        """Return why CLIENT refuses a server with PAIR, or None if it does not."""
        handshake(client.connection, self.server(keylist=[pair]).connection)
        problem = client.check()
        return None if problem is None else str(problem)


class PairTests(CredentialsCase):
    def test_each_pair_sends_its_own_chain(self) -> None:
        pairs, middles = {}, {}
        for kind, key in (("RSA", rsa.generate_private_key(65537, 2048)), ("ECDSA", None)):
            middles[kind] = Authority(f"{kind} CA", ROOT)
            made, leaf = middles[kind].issue("good.example", key=key)
            pairs[kind] = made, leaf + middles[kind].pem
        for order in (("RSA", "ECDSA"), ("ECDSA", "RSA")):
            parameters = {"keylist": [pairs[kind] for kind in order]}
            for kind in order:
                client = self.client(priority=f"NORMAL:-VERS-TLS1.3:-KX-ALL:+ECDHE-{kind}")
                self.agree(client, security(parameters, is_server=True).engine(None))
                chain = client.connection.get_peer_cert_chain(as_cryptography=True)
                assert chain is not None
                self.assertEqual([middles[kind].certificate], chain[1:])

    def test_a_key_for_rsa_pss_only(self) -> None:
        key = openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048")
        name, config = self.file(key), "subjectAltName=DNS:good.example"
        made = ["req", "-x509", "-new", "-key", name, "-subj", "/CN=x", "-addext", config]
        certificate = openssl(*made)
        locked = openssl("pkcs8", "-topk8", "-passout", "pass:open", data=key)
        for pair in ((key, certificate), (name, self.file(certificate)), (locked, certificate)):
            client = self.client(trustfiles=[self.file(certificate)])
            self.agree(client, self.server(keylist=[pair], password="open"))
            shown = client.peer_status()["certificate"]
            assert isinstance(shown, dict)
            self.assertEqual("RSA-PSS-SHA256", shown["signature_algorithm"])
            self.assertNotIn("problem", shown)
        error = self.assertRaises(
            ProcessArgumentError, self.server, keylist=[(GOOD[0], certificate)]
        )
        self.assertIn("do not belong together", error.problem)

    def test_forms_of_ones_own_certificate(self) -> None:
        key, leaf = MIDDLE.issue("good.example")
        for certificate in (
            leaf + MIDDLE.pem,
            key + leaf + b"Middle\r\n" + MIDDLE.pem,
            (leaf + MIDDLE.pem).replace(b"\n", b"\r\n"),
            (leaf + MIDDLE.pem).replace(b" CERTIFICATE", b" X509 CERTIFICATE"),
            b"\xef\xbb\xbf" + leaf + MIDDLE.pem,
        ):
            self.agree(self.client(), self.server(keylist=[(key, certificate)]))

    def test_a_chain_that_is_broken(self) -> None:
        broken = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
        for certificate in (broken, GOOD[1] + broken):
            error = self.assertRaises(
                ProcessArgumentError, self.server, keylist=[(GOOD[0], certificate)]
            )
            self.assertIn("the given bytes: a certificate is broken", error.problem)


class TrustTests(CredentialsCase):
    def test_odd_files_of_authorities(self) -> None:
        odd = with_field(OTHER, (b"", OTHER.pem), SERIAL, tlv(2, b"\xee"))[1]
        trusted = openssl("x509", "-trustout", "-setalias", "mine", data=ROOT.pem)
        for data in (odd + ROOT.pem, trusted, odd + trusted, ROOT.revocations() + ROOT.pem):
            self.agree(self.client(trustfiles=[self.file(data)]), self.server(keylist=[GOOD]))

    def test_an_authority_that_is_trusted_for_something_else(self) -> None:
        rejected = openssl("x509", "-trustout", "-addreject", "serverAuth", data=ROOT.pem)
        client = self.client(trustfiles=[self.file(rejected)])
        self.assertIn("could not be verified: cert rejected", str(self.refusal(client, GOOD)))

    def test_an_authority_without_its_root(self) -> None:
        key, leaf = MIDDLE.issue("good.example")
        trust = [self.file(MIDDLE.pem)]
        other = Authority("Another CA", ROOT)
        strange_key, strange = other.issue("good.example")
        for chain in (leaf, leaf + MIDDLE.pem, leaf + MIDDLE.pem + ROOT.pem):
            told = self.refusal(self.client(trustfiles=trust), (key, chain))
            self.assertIn("unknown authority", str(told))
            client = self.client(trustfiles=trust, partial_chain=True)
            self.agree(client, self.server(keylist=[(key, chain)]))
        client = self.client(trustfiles=trust, partial_chain=True)
        told = self.refusal(client, (strange_key, strange + other.pem))
        self.assertIn("unknown authority", str(told))

    def test_a_servers_own_certificate_as_its_authority(self) -> None:
        trust = [self.file(GOOD[1])]
        told = self.refusal(self.client(trustfiles=trust), GOOD)
        self.assertIn("unknown authority", str(told))
        self.assertIsNone(self.refusal(self.client(trustfiles=trust, partial_chain=True), GOOD))
        client = self.client("other.example", trustfiles=trust, partial_chain=True)
        self.assertIn("another host", str(self.refusal(client, GOOD)))

    def test_clients_of_an_authority_without_its_root(self) -> None:
        fields = {"request_client_certificate": "required", "trustfiles": [self.file(MIDDLE.pem)]}
        client = self.client(keylist=[MIDDLE.issue("user")])
        self.agree(client, self.server(keylist=[GOOD], partial_chain=True, **fields))


class RevocationTests(CredentialsCase):
    def part(self, place: str, *revoked: Pair) -> bytes:
        """Return ROOT's list of revocations for certificates with PLACE as their distribution point."""
        names = [x509.UniformResourceIdentifier(place)]
        point = x509.IssuingDistributionPoint(names, None, True, False, None, False, False)
        builder = x509.CertificateRevocationListBuilder(ROOT.name, NOW - DAY, NOW + DAY)
        builder = builder.add_extension(point, True)
        for _, pem in revoked:
            serial = x509.load_pem_x509_certificate(pem).serial_number
            entry = x509.RevokedCertificateBuilder(serial, NOW - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(ROOT.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def at(self, place: str) -> Pair:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(place)], None, None, None)
        return ROOT.issue("good.example", more=[x509.CRLDistributionPoints([point])])

    def problem(self, pair: Pair, *lists: bytes, **fields: object) -> str | None:
        client = self.client(crlfiles=[self.file(b"".join(lists))], **fields)
        return self.refusal(client, pair)

    def test_lists_for_other_certificates(self) -> None:
        one, two = "http://ca.example/1", "http://ca.example/2"
        pair = self.at(one)
        revoked = "was revoked"
        self.assertIsNone(self.problem(pair, self.part(one)))
        self.assertIsNone(self.problem(pair, self.part(two)))
        self.assertIsNone(self.problem(GOOD, self.part(one)))
        self.assertIn(revoked, str(self.problem(pair, self.part(one, pair))))
        self.assertIn(revoked, str(self.problem(pair, self.part(two), self.part(one, pair))))
        strict = self.problem(pair, self.part(two), crl_strict=True)
        self.assertIn("could not be verified: different crl scope (code 44)", str(strict))

    def test_an_odd_list(self) -> None:
        """Its version does not exist, and one of its extensions states the default value."""
        pem = ROOT.revocations(GOOD)
        number = tlv(0x30, bytes.fromhex("0603551d14"), tlv(1, b"\0"), tlv(4, tlv(2, b"\1")))

        def change(fields: Fields) -> None:
            fields[0] = tlv(2, b"\2")
            fields.append(tlv(0xA0, tlv(0x30, number)))

        self.assertIn("was revoked", str(self.problem(GOOD, changed(ROOT, pem, change))))

    def test_certificates_among_the_lists_are_not_trusted(self) -> None:
        client = self.client(trustfiles=(), crlfiles=[self.file(ROOT.revocations() + ROOT.pem)])
        self.assertIn("unknown authority", str(self.refusal(client, GOOD)))
