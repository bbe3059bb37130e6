"""A certificate, read field by field from its DER.

`verify.py`, `ocsp.py` and `peerstatus.py` get certificates from OpenSSL, which has parsed and verified them, and read
here the fields that they compare.  `cryptography` refuses a whole certificate for one odd name or extension, even if that
one does not matter, so it must not decide which names a peer has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from OpenSSL import crypto

# Tags of DER.
SEQUENCE: Final = 0x30
_OCTET_STRING: Final = 0x04
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
#: Tags of the alternative names that netproc compares.
DNS_NAME: Final = 0x82
IP_ADDRESS: Final = 0x87

#: Object identifiers as they are encoded: RFC 5280, section 4.2.1.
_ALTERNATIVE_NAMES: Final = bytes.fromhex("551d11")
_RSA_PSS: Final = bytes.fromhex("2a864886f70d01010a")


class Element(NamedTuple):
    """One element of DER: `raw` is the whole element, `content` the part after tag and length."""

    tag: int
    content: bytes
    raw: bytes


def elements(data: bytes) -> Iterator[Element]:
    """Yield the elements of which DATA consists.

    :raises ValueError: if DATA is cut off, or is not DER.
    """
    for at, start, end in _places(data):
        yield Element(data[at], data[start:end], data[at:end])


def _places(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield where each element begins, where its content begins, and where both end."""
    at = 0
    while at < len(data):
        start, size = _measure(data, at)
        end = start + size
        if end > len(data):
            raise ValueError("an element of DER is cut off")
        yield at, start, end
        at = end


def _measure(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at AT begins, and how long it is."""
    if data[at] & 0x1F == 0x1F:
        raise ValueError("a tag of several bytes")
    size, start = int.from_bytes(data[at + 1 : at + 2]), at + 2
    if size < 0x80:
        return start, size
    if size == 0x80:
        raise ValueError("a length that DER does not have")
    start += size & 0x7F
    return start, int.from_bytes(data[at + 2 : start])


def inside(data: bytes) -> Iterator[Element]:
    """Return the elements of DATA, which is one sequence."""
    return elements(_content(data))


def _content(data: bytes) -> bytes:
    """Return the content of DATA, which is one sequence."""
    (sequence,) = elements(data)
    if sequence.tag != SEQUENCE:
        raise ValueError("not a sequence")
    return sequence.content


def der_of(certificate: crypto.X509) -> bytes:
    """Return the DER of CERTIFICATE, as the peer sent it."""
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)


class Certificate:
    """A certificate that OpenSSL has parsed; names and key are DER, as the peer sent them."""

    def __init__(self, der: bytes) -> None:
        """:raises ValueError: if DER is not a certificate in DER."""
        signed, algorithm, signature = inside(der)
        self.algorithm, self.signature = algorithm.raw, signature.raw
        self.version = 1
        first, *fields = elements(signed.content)
        if first.tag == _VERSION:
            (version,) = elements(first.content)
            self.version = int.from_bytes(version.content) + 1
            first, *fields = fields
        #: The serial number as it is encoded, with its sign.
        self.serial_number = first.content
        _, issuer, validity, subject, key, *optional = fields
        self.issuer, self.subject, self.public_key = issuer.raw, subject.raw, key.raw
        self.valid_from, self.valid_to = inside(validity.raw)
        self._extensions = [e.content for e in optional if e.tag == _EXTENSIONS]

    @property
    def is_self_issued(self) -> bool:
        """Whether the certificate names its own subject as its issuer."""
        return self.issuer == self.subject

    @property
    def has_pss_key(self) -> bool:
        """Whether the key of the subject is for RSA-PSS only (RFC 4055)."""
        algorithm, _ = inside(self.public_key)
        identifier, *_ = elements(algorithm.content)
        return identifier.content == _RSA_PSS

    def extensions(self, kind: bytes) -> list[bytes]:
        """Return the values of the extensions of that KIND, an object identifier as it is encoded."""
        found = []
        for extension in (e for data in self._extensions for e in inside(data)):
            identifier, *_, value = elements(extension.content)
            if identifier.content == kind and value.tag == _OCTET_STRING:
                found.append(value.content)
        return found

    def alternative_names(self, tag: int) -> list[bytes]:
        """Return the alternative names of the subject that have TAG.

        :raises ValueError: if they cannot be read.
        """
        values = self.extensions(_ALTERNATIVE_NAMES)
        if not values:
            return []
        (value,) = map(_content, values)
        # A certificate can have thousands of names.
        return [value[start:end] for at, start, end in _places(value) if value[at] == tag]


# -- a copy that others can read ------------------------------------------------------------------

#: The kinds of strings in names: those in UTF-8, or in Latin-1 if they are old, and those with several bytes per character.
_NARROW: Final = {0x0C, 0x12, 0x13, 0x14, 0x16}
_WIDE: Final = {0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_UTF8_STRING: Final = 0x0C
_SET: Final = 0x31

# A copy has version 3 and serial number 1, and is valid for one day.
_HEAD: Final = bytes.fromhex("a003020102020101")
_VALIDITY: Final = bytes.fromhex("301e170d3730303130313030303030305a170d3730303130323030303030305a")


def readable_copy(certificate: Certificate) -> bytes:
    """Return the DER of a certificate with the names, key and algorithms of CERTIFICATE, for strict parsers.

    All its strings are UTF-8, it has no extensions, and its signature is not valid.
    """
    signed = _encode(
        SEQUENCE,
        _HEAD,
        certificate.algorithm,
        _readable_name(certificate.issuer),
        _VALIDITY,
        _readable_name(certificate.subject),
        certificate.public_key,
    )
    return _encode(SEQUENCE, signed, certificate.algorithm, certificate.signature)


def _readable_name(name: bytes) -> bytes:
    return _encode(
        SEQUENCE,
        *(
            _encode(_SET, *map(_readable_attribute, elements(part.content)))
            for part in inside(name)
        ),
    )


def _readable_attribute(attribute: Element) -> bytes:
    kind, value = elements(attribute.content)
    return _encode(SEQUENCE, kind.raw, _encode(_UTF8_STRING, _text(value).encode()))


def _text(value: Element) -> str:
    """Return VALUE of a name as text, or in hexadecimal if it is not a string."""
    if value.tag in _WIDE:
        return value.content.decode(_WIDE[value.tag], "replace")
    if value.tag not in _NARROW:
        return value.raw.hex()
    try:
        return value.content.decode()
    except UnicodeDecodeError:
        return value.content.decode("latin-1")


def _encode(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + content
