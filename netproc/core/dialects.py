"""The table of protocols: how each one does greeting, capabilities and STARTTLS.

`core/streamspec.py` takes the row for the value of `protocol`.  The rows are made of the parts in `core/answers.py`.

Each answer ends with the end of a line, an element or a message.  So its end is the same however the bytes are
divided into pieces on their way.
"""

from __future__ import annotations

import dataclasses
import re

from . import ldap, xmpp
from .answers import (
    Afterwards,
    Always,
    Dialect,
    Has,
    LastLine,
    Offer,
    Polled,
    Scan,
    Since,
    UnexpectedAnswerError,
    Upgrade,
    line_end,
    pattern,
)
from .errors import ProcessArgumentError
from .escape import shown

# --- Replies of FTP (RFC 959, section 4.2). -------------------------------------------------------------

_CODE = re.compile(rb"\d{3}[- \r\n]")


def _ftp_reply(data: bytearray, start: int = 0) -> Scan[int]:
    """An `End`: the end of the first line that has the code of the first line and no hyphen after it."""
    end = yield from line_end(data, start)
    if not _CODE.match(data, start):
        raise UnexpectedAnswerError(bytes(data[start : end - 1]))
    last = re.compile(re.escape(bytes(data[start : start + 3])) + rb"[ \r\n]")
    line = start
    while not last.match(data, line):
        line, end = end, (yield from line_end(data, end))
    return end


def _ftp_greeting(data: bytearray) -> Scan[int]:
    """An `End`: after a reply that the server will be ready later, the reply that it is ready (section 5.4)."""
    start, end = 0, (yield from _ftp_reply(data))
    while data[start] == ord("1"):
        start, end = end, (yield from _ftp_reply(data, end))
    return end


# --- PostgreSQL (SSLRequest): one byte is the answer. ---------------------------------------------------


def _postgres_end(data: bytearray) -> int | None:
    """Return the end of the answer, which is "S" or "N".

    An error ("E") is not an answer: the server closes after it, and its text cannot be trusted before TLS.
    """
    if not data:
        return None
    if bytes(data[:1]) not in (b"S", b"N"):
        raise UnexpectedAnswerError(bytes(data[:1]))
    return 1


# --- Lists that end with a dot (POP3: RFC 1939, section 3; NNTP: RFC 3977, section 3.1.1). --------------


@dataclasses.dataclass(frozen=True, slots=True)
class _ListEnd:
    """An `End`: the end of the first line, or of the list that this line announces."""

    announcement: re.Pattern[str]
    first: LastLine

    def __call__(self, data: bytearray) -> Scan[int]:
        start, end = 0, (yield from self.first(data))
        if self.announcement.match(data[:end].decode("latin-1")):
            while bytes(data[start:end]) not in (b".\r\n", b".\n"):
                start, end = end, (yield from line_end(data, end))
        return end


# --- Lines with strings in them. ------------------------------------------------------------------------

#: The number of bytes that follow the line.  No limit allows a number with more digits.
_LITERAL = re.compile(rb"\{(\d{1,9})\+?\}\r?\n\Z")
_IMAP_STATUS = re.compile(rb"\S+ (?:OK|NO|BAD|BYE|PREAUTH)[ \r\n]", re.IGNORECASE)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)


def _imap_line(data: bytearray, start: int) -> Scan[int]:
    """Return the end of a line of IMAP (RFC 9051, section 4.3) with its literals.  The text of a status has no literals."""
    end = yield from line_end(data, start)
    if _IMAP_STATUS.match(bytes(data[start:end])):
        return end
    while literal := _LITERAL.search(bytes(data[start:end])):
        start = end + int(literal[1])
        end = yield from line_end(data, start)
    return end


def _sieve_line(data: bytearray, start: int) -> Scan[int]:
    """Return the end of a line of ManageSieve (RFC 5804, section 4) with its literals and quoted strings."""
    is_quoted = False
    while True:
        end = yield from line_end(data, start)
        line = _ESCAPED.sub(b"", data[start:end])
        is_quoted ^= line.count(b'"') % 2 == 1
        literal = None if is_quoted else _LITERAL.search(line)
        if literal is None and not is_quoted:
            return end
        start = end if literal is None else end + int(literal[1])


# --- The table. -----------------------------------------------------------------------------------------


def _line(expression: str, form: str) -> LastLine:
    return LastLine(pattern(expression), pattern(form))


def _has(expression: str) -> Has:
    return Has(pattern(expression))


def _offer(expression: str, command: bytes) -> Offer:
    return Offer(pattern(expression), command)


# Replies with three digits: in the last line no hyphen follows the digits.
_REPLY = _line(r"\d{3}(?=[ \r\n])", r"\d{3}[- \r\n]")
_IMAP_FORM = pattern(r"\* |np\d ")
_POP3_LINE = _line(r"\+OK|-ERR", r"\+OK|-ERR")
_NNTP_LINE = _line(r"\d{3}(?=[ \r\n])", r"\d{3}[ \r\n]")
_SIEVE_LINE = LastLine(
    pattern(r"(?:OK|NO|BYE)(?=[ \r\n])"), pattern(r'["{]|(?:OK|NO|BYE)[ \r\n]'), _sieve_line
)
# Empty lines are ignored (RFC 1459, section 2.3), also before the first.
_IRC_FORM = r"\r?\n|(?::\S+ +)?(?:[A-Z]+|\d{3}) "
_IRC = r"(?::\S+ +)?"

_SMTP = Dialect(
    name="smtp",
    greeting_end=_REPLY,
    welcome=_has(r"\A220[- \r\n]"),
    capability_end=_REPLY,
    lists=_has(r"\A250[- \r\n]"),
    # A server that does not know EHLO (RFC 5321, section 3.2) knows HELO.
    dismissal=_has(r"\A(?!250|50[02])"),
    upgrade=Upgrade(
        # The first line has the name of the server, which could be STARTTLS too.
        command=_offer(r"\n250[- ]STARTTLS[ \t]*\r?$", b"STARTTLS\r\n"),
        answer_end=_REPLY,
        success=_has(r"\A220[- \r\n]"),
    ),
)

#: The presets by the names that `protocol=` takes.  `dialect` adds the commands that have a name in them.
DIALECTS = {
    "smtp": _SMTP,
    "lmtp": dataclasses.replace(_SMTP, name="lmtp"),
    # Each command has its own tag, so that a late answer to one is not taken for the answer to another.
    "imap": Dialect(
        name="imap",
        greeting_end=LastLine(pattern(r"\* (?:OK|PREAUTH|BYE)(?=[ \r\n])"), _IMAP_FORM, _imap_line),
        welcome=_has(r"\A\* (?:OK|PREAUTH)[ \r\n]"),
        capability_command=Always(b"np1 CAPABILITY\r\n"),
        capability_end=LastLine(
            pattern(r"(?:np1 (?:OK|NO|BAD)|\* BYE)(?=[ \r\n])"), _IMAP_FORM, _imap_line
        ),
        lists=_has(r"^np1 OK[ \r\n]"),
        dismissal=_has(r"^\* BYE[ \r\n]"),
        upgrade=Upgrade(
            # A client that is logged in cannot start TLS any more (RFC 9051, section 7.1.4).
            barred=_has(r"\A\* PREAUTH[ \r\n]"),
            command=_offer(r"^\* CAPABILITY .*(?<= )STARTTLS(?=[ \r\n])", b"np2 STARTTLS\r\n"),
            answer_end=LastLine(
                pattern(r"(?:np2 (?:OK|NO|BAD)|\* BYE)(?=[ \r\n])"), _IMAP_FORM, _imap_line
            ),
            success=_has(r"^np2 OK[ \r\n]"),
        ),
        words=Since(pattern(r"^(?:np\d (?:NO|BAD)|\* BYE)(?=[ \r\n])")),
        # Lines without a tag (RFC 9051, section 7).
        unsolicited=_has(r"\A\*"),
    ),
    "pop3": Dialect(
        name="pop3",
        greeting_end=_POP3_LINE,
        welcome=_has(r"\A\+OK"),
        capability_command=Always(b"CAPA\r\n"),
        capability_end=_ListEnd(pattern(r"\+OK"), _POP3_LINE),
        lists=_has(r"\A\+OK"),
        upgrade=Upgrade(
            command=_offer(r"^STLS[ \t]*\r?$", b"STLS\r\n"),
            answer_end=_POP3_LINE,
            success=_has(r"\A\+OK"),
        ),
    ),
    "sieve": Dialect(
        name="sieve",
        greeting_end=_SIEVE_LINE,
        welcome=_has(r"^OK[ \r\n]"),
        capability_command=Always(b"CAPABILITY\r\n"),
        capability_end=_SIEVE_LINE,
        lists=_has(r"^OK[ \r\n]"),
        dismissal=_has(r"^BYE[ \r\n]"),
        upgrade=Upgrade(
            command=_offer(r'^(?:"STARTTLS"|\{8\+?\}\r?\nSTARTTLS(?=[ \r\n]))', b"STARTTLS\r\n"),
            answer_end=_SIEVE_LINE,
            success=_has(r"\AOK[ \r\n]"),
            # The server sends its capabilities again, as after connecting (RFC 5804, section 2.2).
            afterwards=Afterwards.LISTEN,
        ),
        words=Since(pattern(r"^(?:NO|BYE)[ \r\n]")),
    ),
    "nntp": Dialect(
        name="nntp",
        greeting_end=_NNTP_LINE,
        welcome=_has(r"\A20[01][ \r\n]"),
        capability_command=Always(b"CAPABILITIES\r\n"),
        capability_end=_ListEnd(pattern("101"), _NNTP_LINE),
        lists=_has(r"\A101[ \r\n]"),
        dismissal=_has(r"\A400[ \r\n]"),
        upgrade=Upgrade(
            command=_offer(r"^STARTTLS[ \t]*\r?$", b"STARTTLS\r\n"),
            answer_end=_NNTP_LINE,
            success=_has(r"\A382[ \r\n]"),
        ),
    ),
    # The program has to send CAP END later.
    "irc": Dialect(
        name="irc",
        capability_command=Always(b"CAP LS 302\r\n"),
        capability_end=_line(
            rf"{_IRC}(?:CAP +\S+ +LS (?! *\* )|(?:421|451|410|ERROR) )", _IRC_FORM
        ),
        lists=_has(rf"^{_IRC}CAP "),
        dismissal=_has(rf"^{_IRC}ERROR "),
        upgrade=Upgrade(
            command=_offer(rf"^{_IRC}CAP +\S+ +LS .*(?<=[ :])tls(?=[ =\r\n])", b"STARTTLS\r\n"),
            answer_end=_line(rf"{_IRC}(?:670|691|421|451|ERROR) ", _IRC_FORM),
            success=_has(rf"^{_IRC}670 "),
        ),
        words=Since(pattern(rf"^{_IRC}(?:410|421|451|691|ERROR) ")),
        # The server may send notices while it looks up the client's name.
        unsolicited=_has(""),
    ),
    # The program has to send PBSZ 0 and PROT P later.
    "ftp": Dialect(
        name="ftp",
        greeting_end=_ftp_greeting,
        welcome=_has(r"\A(?:1\d\d(?:.*\n)+?)?220[- \r\n]"),
        capability_command=Always(b"FEAT\r\n"),
        capability_end=_ftp_reply,
        lists=_has(r"\A2"),
        dismissal=_has(r"\A421"),
        upgrade=Upgrade(
            # TLS may be tried without a list, and a list may have AUTH without TLS (RFC 4217, sections 4, 6).
            command=_offer(
                r"\A[45]|^(?:211-)?[ \t]*AUTH(?:[ \t]*\r?$|[ \t].*\bTLS\b)", b"AUTH TLS\r\n"
            ),
            answer_end=_ftp_reply,
            # RFC 2228 also has 334, a success with more to follow.
            success=_has(r"\A[23]34[- \r\n]"),
        ),
    ),
    "xmpp": Dialect(
        name="xmpp",
        capability_end=xmpp.ElementEnd(frozenset({b"features", b"error"}), is_inside=False),
        dismissal=xmpp.is_over,
        upgrade=Upgrade(
            command=xmpp.starttls,
            answer_end=xmpp.ElementEnd(
                frozenset({b"proceed", b"failure", b"error"}), is_inside=True
            ),
            success=xmpp.is_proceed,
        ),
        words=xmpp.words,
        # The server may send white space to keep the connection alive (RFC 6120, section 4.6.1).
        unsolicited=_has(r"\A\s*\Z"),
    ),
    "ldap": Dialect(
        name="ldap",
        upgrade=Upgrade(
            command=Always(ldap.STARTTLS),
            answer_end=Polled(ldap.message_end),
            success=ldap.is_success,
            afterwards=Afterwards.NOTHING,
        ),
        words=ldap.words,
    ),
    "postgres": Dialect(
        name="postgres",
        upgrade=Upgrade(
            command=Always(b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
            answer_end=Polled(_postgres_end),
            success=_has("S"),
            afterwards=Afterwards.NOTHING,
        ),
        words=lambda answer: "",
    ),
}

# --- Names. ---------------------------------------------------------------------------------------------

#: The commands with which a client sends its name.
_HELLO = {"smtp": "EHLO", "lmtp": "LHLO"}
#: A client without a name sends an address literal (RFC 5321, section 4.1.3).
_NO_NAME = "[127.0.0.1]"


def dialect(protocol: object, domain: str, client_name: object = None) -> Dialect:
    """Return the row of the table for PROTOCOL; raise ProcessArgumentError if there is none.

    DOMAIN is the domain that an XMPP client asks for, CLIENT_NAME the name that a client sends to a mail server.
    """
    if not isinstance(protocol, str) or protocol not in DIALECTS:
        raise ProcessArgumentError(
            "protocol", f"{shown(protocol)} is not one of {', '.join(DIALECTS)}"
        )
    row = DIALECTS[protocol]
    if protocol in _HELLO:
        command = f"{_HELLO[protocol]} {_checked(client_name)}\r\n".encode()
    elif client_name is not None:
        problem = f"the protocol {shown(protocol)} sends no name; only {' and '.join(_HELLO)} do"
        raise ProcessArgumentError("client_name", problem)
    elif protocol == "xmpp":
        command = _xmpp_header(domain)
    else:
        return row
    return dataclasses.replace(row, capability_command=Always(command))


def _checked(name: object) -> str:
    if name is None:
        return _NO_NAME
    if not isinstance(name, str) or not re.fullmatch("[!-~]{1,255}", name):
        problem = f"{shown(name)} is neither a domain like mail.example.org nor an address like [192.0.2.1]"
        raise ProcessArgumentError("client_name", problem)
    return name


def _xmpp_header(domain: str) -> bytes:
    try:
        return xmpp.header(domain)
    except UnicodeEncodeError:
        raise ProcessArgumentError("host", f"{shown(domain)} cannot be encoded in UTF-8") from None
