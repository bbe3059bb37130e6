"""Certificates for tests, good and bad, and handshakes between two TLS engines in memory."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Pair = tuple[bytes, bytes]


def distinguished(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "netproc tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def pem_of_key(key: Key, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """An authority that signs certificates; SIGNER signs the authority's own certificate."""

    def __init__(self, name: str, signer: Authority | None = None, is_ca: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = distinguished(name)
        self.certificate = (signer or self).sign(
            self.name,
            self.key,
            [(x509.BasicConstraints(ca=is_ca, path_length=None), True)],
            days=(-1000, 1000),
        )
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def sign(
        self,
        subject: x509.Name,
        key: Key,
        extensions: Sequence[tuple[x509.ExtensionType, bool]],
        days: tuple[int, int],
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def issue(
        self,
        *names: str | x509.GeneralName,
        common: str = "leaf",
        days: tuple[int, int] = (-10, 10),
        purpose: x509.ObjectIdentifier | None = None,
        key: Key | None = None,
        more: Sequence[x509.ExtensionType] = (),
    ) -> Pair:
        """Return key and certificate, in PEM, for NAMES; without names there is no extension for them."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        extensions: list[tuple[x509.ExtensionType, bool]] = [(e, False) for e in more]
        general = [general_name(n) if isinstance(n, str) else n for n in names]
        if general:
            extensions.append((x509.SubjectAlternativeName(general), False))
        if purpose is not None:
            extensions.append((x509.ExtendedKeyUsage([purpose]), False))
        made = self.sign(distinguished(common), key, extensions, days)
        return pem_of_key(key), made.public_bytes(Encoding.PEM)

    def revocations(self, *pairs: Pair, days: tuple[int, int] = (-5, 5)) -> bytes:
        """Return a list, in PEM, that revokes the certificates of PAIRS."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(NOW + days[0] * DAY)
            .next_update(NOW + days[1] * DAY)
        )
        for _, pem in pairs:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(x509.load_pem_x509_certificate(pem).serial_number)
                .revocation_date(NOW - DAY)
                .build()
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


SERVER_PURPOSE = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_PURPOSE = ExtendedKeyUsageOID.CLIENT_AUTH


# -- two connections without sockets --------------------------------------------------------------


def move(source: SSL.Connection, target: SSL.Connection) -> bool:
    """Move all bytes that SOURCE has for TARGET, and return whether there were any."""
    moved = False
    while True:
        try:
            target.bio_write(source.bio_read(65536))
        except SSL.WantReadError:
            return moved
        moved = True


def step(connection: SSL.Connection) -> SSL.Error | None:
    """Continue the handshake; return the error that ends it, if any."""
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return None
    except SSL.Error as error:
        return error
    return None


def handshake(
    client: SSL.Connection, server: SSL.Connection
) -> tuple[SSL.Error | None, SSL.Error | None]:
    """Run the handshake until both sides are done or blocked; return the errors of client and server."""
    errors: list[SSL.Error | None] = [None, None]
    pair = (client, server)
    for _ in range(20):
        moved = False
        for index, connection in enumerate(pair):
            if errors[index] is None:
                errors[index] = step(connection)
            moved |= move(connection, pair[1 - index])
        if not moved:
            return errors[0], errors[1]
    raise AssertionError("the handshake has no end")


def receive(source: SSL.Connection, target: SSL.Connection) -> bytes:
    """Return the data from SOURCE that TARGET can read."""
    move(source, target)
    try:
        return target.recv(65536)
    except SSL.WantReadError:
        return b""


def told(error: object) -> str:
    """Return the text of ERROR.  If the peer sent clear text instead of TLS, OpenSSL before 4.0 checks the
    length of the record first, and newer releases check its version first.
    """
    return str(error).replace(
        "packet length too long; record layer failure", "wrong version number"
    )
