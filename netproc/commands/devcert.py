"""The command `dev-cert`: a key and a certificate for trying TLS.

`table.py` lists its options.  The command writes two files, which the options `--tls-key` and `--tls-cert` and
`TLSParameters` can name.  The certificate is self-signed and cannot sign others, so a program that trusts it
trusts this key only, for localhost only, and for a week.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shlex
import shutil
import sys
from contextlib import suppress
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.python import usage

from ..core.errors import os_error_text
from .exits import say, standard_output
from .options import CommandOptions

SUBJECT: Final = "netproc development certificate, do not trust"
DAYS: Final = 7
KEY_FILE, CERTIFICATE_FILE = "dev-key.pem", "dev-cert.pem"

_NAMES: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)
#: The certificate is valid at once, also where the clock is slow.
_EARLIER: Final = datetime.timedelta(hours=1)


class DevCertOptions(CommandOptions):
    """Options of the command `dev-cert`."""

    synopsis = "[DIRECTORY]"
    longdesc = (
        f"Make {KEY_FILE} and {CERTIFICATE_FILE} in DIRECTORY, or in the working directory: "
        f"a key and a certificate for localhost, valid for {DAYS} days."
    )

    def parseArgs(self, *place: str) -> None:
        """Read where to write the files."""
        if len(place) > 1:
            raise usage.UsageError("dev-cert takes at most one argument: DIRECTORY")
        self["directory"] = place[0] if place else "."

    def run(self) -> int:
        """Write the files and show how to try them; return the exit status."""
        directory = self["directory"]
        now = datetime.datetime.now(datetime.UTC)
        key, certificate = make_certificate(now)
        try:
            write_new(directory, {KEY_FILE: (0o600, key), CERTIFICATE_FILE: (0o644, certificate)})
        except OSError as error:
            say(f"{error.filename or directory}: {os_error_text(error)}; nothing was written")
            return os.EX_CANTCREAT
        key_path, certificate_path = (
            os.path.normpath(os.path.join(directory, n)) for n in (KEY_FILE, CERTIFICATE_FILE)
        )
        until = now + datetime.timedelta(days=DAYS)
        text = (
            f"{key_path} and {certificate_path} are for localhost until {until:%Y-%m-%d}."
            "  To try them:\n" + how_to_try(key_path, certificate_path, find_twistd(sys.executable))
        )
        with standard_output():
            print(text, end="")  # noqa: T201
        return os.EX_OK


def make_certificate(now: datetime.datetime) -> tuple[bytes, bytes]:
    """Return a new key and its certificate, valid from NOW on, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)])
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, certificate.public_bytes(Encoding.PEM)


def write_new(directory: str, files: dict[str, tuple[int, bytes]]) -> None:
    """Write FILES, mode and content by name, into DIRECTORY: all of them or none.

    :raises OSError: if a file exists already, or cannot be written.
    """
    written: list[str] = []
    try:
        for name, (mode, content) in files.items():
            path = os.path.join(directory, name)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            written.append(path)
            with open(descriptor, "wb") as file:
                file.write(content)
    except OSError:
        for path in written:
            with suppress(OSError):
                os.unlink(path)
        raise


def find_twistd(python: str) -> str:
    """Return the command for the twistd that is beside PYTHON, an executable.

    That is its path, or "twistd" if there is none or the shell finds the same one by name.
    """
    own = os.path.join(os.path.dirname(python), "twistd")
    if not os.path.exists(own) or shutil.which("twistd") == own:
        return "twistd"
    here = os.path.relpath(own)
    return own if here.startswith(os.pardir) else here


def how_to_try(key: str, certificate: str, twistd: str = "twistd") -> str:
    """Return two shell commands, one on each line: a server, and a client that talks to it."""
    key, certificate, twistd = map(shlex.quote, (key, certificate, twistd))
    return (
        f"{twistd} -n netproc make --name echo --server t --host local --service 7443"
        f" --filter netproc.filters.echo --tls-cert {certificate} --tls-key {key}\n"
        "openssl s_client -quiet -connect localhost:7443 -verify_hostname localhost"
        f" -verify_return_error -CAfile {certificate}\n"
    )
