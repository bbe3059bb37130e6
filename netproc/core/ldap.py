"""LDAP's StartTLS (RFC 4511, section 4.14): a request and an answer of one BER element each.

`core/dialects.py` makes the dialect from these functions.
"""

from __future__ import annotations

from .answers import UnexpectedAnswerError, to_text

#: Message 1, an extended request with the object identifier of StartTLS.
STARTTLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED, _EXTENDED_RESPONSE = 0x30, 0x02, 0x04, 0x0A, 0x78
#: The length of an answer has no more octets than this, since the limits allow no longer answer.
_MOST_LENGTH_OCTETS = 4


def message_end(data: bytearray) -> int | None:
    """Return the end of the LDAPMessage at the beginning of DATA, or None if it is not complete."""
    if data and data[0] != _SEQUENCE:
        raise UnexpectedAnswerError(bytes(data[:1]))
    header = _header(data)
    return header[1] if header is not None and header[1] <= len(data) else None


def is_success(answer: bytes) -> bool:
    """A `Test`: whether ANSWER is the extended response to message 1, with the result code 0."""
    try:
        number, operation, _ = _result(answer)
        code, _ = _element(operation, _ENUMERATED)
    except UnexpectedAnswerError:
        return False
    return number == b"\x01" and code == b"\x00"


def words(answer: bytes) -> str:
    """`Words`: the result code and the diagnostic message of an extended response."""
    try:
        _, operation, _ = _result(answer)
        code, rest = _element(operation, _ENUMERATED)
        _, rest = _element(rest, _OCTETS)
        diagnosis, _ = _element(rest, _OCTETS)
    except UnexpectedAnswerError:
        return "no extended response"
    return f"result code {int.from_bytes(code, 'big')} {to_text(diagnosis)}"


def _result(answer: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the number of the message, the extended response in it, and the rest."""
    message, _ = _element(answer, _SEQUENCE)
    number, operation = _element(message, _INTEGER)
    return number, *_element(operation, _EXTENDED_RESPONSE)


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the contents of the element with TAG at the beginning of DATA, and the rest of DATA."""
    header = _header(data)
    if header is None or data[0] != tag or header[1] > len(data):
        raise UnexpectedAnswerError(data[:1])
    start, end = header
    return data[start:end], data[end:]


def _header(data: bytes | bytearray) -> tuple[int, int] | None:
    """Return where the contents of the first element of DATA start and end, or None if that is not known yet."""
    if len(data) < 2:
        return None
    length = data[1]
    if length < 0x80:
        return 2, 2 + length
    octets = length - 0x80
    if not 0 < octets <= _MOST_LENGTH_OCTETS:
        # The length is longer than that of any answer.
        raise UnexpectedAnswerError(bytes(data[:2]))
    start = 2 + octets
    if len(data) < start:
        return None
    return start, start + int.from_bytes(data[2:start], "big")
