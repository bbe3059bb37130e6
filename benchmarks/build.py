"""What is made before a benchmark can run: two programs of C, and a certificate.

`run.py` asks for them; `programs.py` runs them.
"""

from __future__ import annotations

import datetime
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from programs import HERE, BenchmarkError, first_line

BUILD_LIMIT = 120.0

#: The programs and their sources.
SOURCES = {
    "load": sorted((HERE / "load").glob("*.c")),
    "echo": [HERE / "servers" / "echo.c"],
}


def build_programs(directory: Path) -> bool:
    """Compile the load generator and the C server into DIRECTORY.  With TLS?"""
    for tls in (True, False):
        try:
            for name, sources in SOURCES.items():
                _compile(directory / name, sources, tls)
        except BenchmarkError:
            if not tls:
                raise
        else:
            break
    return tls


def _compile(program: Path, sources: Sequence[Path], tls: bool) -> None:
    """Compile SOURCES; what is wrong with them without TLS too is told then."""
    options = ["-lssl", "-lcrypto"] if tls else ["-DWITHOUT_TLS"]
    compiler = shlex.split(os.environ.get("CC", "cc"))
    flags = ["-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"]
    command = [*compiler, *flags, "-o", str(program), *map(str, sources), *options]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"cannot build {program.name}: {error}") from None
    if done.returncode:
        reason = first_line(done.stderr) or f"{compiler[0]} ended with {done.returncode}"
        raise BenchmarkError(f"cannot build {program.name}: {reason}")


def make_certificate(directory: Path) -> None:
    """Write `key.pem` and `certificate.pem`, RSA-2048 and signed by itself, into DIRECTORY."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "key.pem").write_bytes(plain)
    (directory / "certificate.pem").write_bytes(certificate.public_bytes(pem))
