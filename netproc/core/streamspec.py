"""Conversion of the keywords of `open_network_stream` to one checked value.

`streams/openstream.py` passes the keywords before there is a socket.  The result describes a dialogue for
`core/negotiate.py`.

A pattern of a program is a regular expression of Python.  It gets the flags of `core/answers.py` unless it is compiled.
A function may be given instead of a pattern, for binary protocols.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .answers import (
    FLAGS,
    Always,
    Command,
    Dialect,
    End,
    Has,
    Polled,
    Test,
    Until,
    Upgrade,
    to_bytes,
)
from .checks import check_flag, plain_keywords
from .dialects import dialect
from .errors import ProcessArgumentError
from .escape import escape, shown
from .negotiate import NETWORK, PLAIN, SHELL, STARTTLS, TLS, StreamType
from .search import compile_pattern
from .spec import name_to_verify

TYPES = {
    None: NETWORK,
    "network": NETWORK,
    "plain": PLAIN,
    "starttls": STARTTLS,
    "tls": TLS,
    "ssl": TLS,
    "shell": SHELL,
}

#: The keywords that `protocol` replaces.
_PRESET = ("end_of_command", "end_of_capability", "success", "starttls_function")


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How to open a stream."""

    type: StreamType
    dialect: Dialect
    always_query: bool
    #: Whether the stream is open when it is connected, without a dialogue (N261).
    bare: bool
    #: The shell command that replaces a connection, or None (N269).
    command: str | None


#: The keywords that are flags.
_FLAGS = (
    "return_list",
    "nowait",
    "always_query_capabilities",
    "use_starttls_if_possible",
    "warn_unless_encrypted",
    "nogreeting",
)


def stream_spec(keywords: Mapping[str, object]) -> StreamSpec:
    """Return what KEYWORDS describe, which are all keywords of `open_network_stream`.

    Raises ProcessArgumentError for the first wrong one.
    """
    flags = {flag: check_flag(keywords.get(flag), flag) for flag in _FLAGS}
    keywords = {**plain_keywords(keywords), **flags}
    stream_type = _type(keywords["type"])
    made = _dialect(keywords)
    if keywords["nogreeting"]:
        made = replace(made, greeting_end=None)
    if stream_type is STARTTLS and made.upgrade is None:
        problem = "starttls needs capability_command, starttls_function and success, or protocol"
        raise ProcessArgumentError("type", problem)
    return StreamSpec(
        stream_type,
        made,
        bool(keywords["always_query_capabilities"]),
        not keywords["return_list"] and not _has_dialogue(stream_type, made, keywords),
        _shell_command(stream_type, keywords),
    )


def _shell_command(stream_type: StreamType, keywords: Mapping[str, object]) -> str | None:
    """Return the shell command, in which %s stands for the host, %p for the service and %% for a percent sign."""
    keyword, template = "shell_command", keywords["shell_command"]
    if stream_type is not SHELL:
        if template is not None:
            raise ProcessArgumentError(keyword, "only the type 'shell' runs a command")
        return None
    if not isinstance(template, str):
        raise ProcessArgumentError(keyword, f"{shown(template)} is not a command")
    _check_argument(keyword, template)

    def value(match: re.Match[str]) -> str:
        letter = match.group(1)
        if letter == "%":
            return "%"
        if letter not in _PLACES:
            raise ProcessArgumentError(keyword, f"Invalid format character: %{escape(letter)}")
        word = _word(_PLACES[letter], keywords[_PLACES[letter]])
        if "'" in word and not _OUTSIDE_QUOTES.fullmatch(template, 0, match.start()):
            problem = (
                f"the value {escape(word)} of %{letter} would not be one word of the shell there; "
                f"write %{letter} without quotes around it, since netproc quotes the value"
            )
            raise ProcessArgumentError(keyword, problem)
        return word

    return re.sub("%(.?)", value, template, flags=re.DOTALL)


_PLACES = {"s": "host", "p": "service"}

#: The beginning of a shell command after which a word in single quotes is one word: all quotes in it are closed.  It has
#: no comment, here-document, or substitution of a command or a number.
_OUTSIDE_QUOTES = re.compile(
    r"""(?: [^'"\\`$\#<(]
          | '[^']*'
          | "(?: [^"\\`$] | \\. | \$\w | \$\{\w+\} )*"
          | \\.
          | \$\w | \$\{\w+\}
          | <(?!<) | \((?!\()
        )*""",
    re.DOTALL | re.VERBOSE,
)


def _word(keyword: str, value: object) -> str:
    """Return VALUE quoted as one word of a command; raise ProcessArgumentError if it looks like an option."""
    text = str(value)
    if text.startswith("-"):
        raise ProcessArgumentError(keyword, f"{shown(text)} could be an option of the command")
    _check_argument(keyword, text)
    return shlex.quote(text)


def _check_argument(keyword: str, text: str) -> None:
    """Raise ProcessArgumentError if the argument of a program cannot contain TEXT."""
    if "\0" in text:
        raise ProcessArgumentError(keyword, f"{shown(text)} has a NUL character in it")
    _encoded(keyword, text)


def _type(value: object) -> StreamType:
    if (value is not None and not isinstance(value, str)) or value not in TYPES:
        raise ProcessArgumentError("type", f"Invalid connection type {shown(value)}")
    return TYPES[value]


def _has_dialogue(stream_type: StreamType, made: Dialect, keywords: Mapping[str, object]) -> bool:
    if stream_type is NETWORK:
        asks = made.capability_command is not None and keywords["success"] is not None
        return made.upgrade is not None or asks
    return stream_type is not PLAIN


def _dialect(keywords: Mapping[str, object]) -> Dialect:
    """Return the dialect of `protocol`, or the one that the other keywords describe."""
    ask = _command("capability_command", keywords["capability_command"])
    if keywords["protocol"] is None:
        if keywords["client_name"] is not None:
            problem = "only a protocol can send it: give protocol='smtp' or 'lmtp'"
            raise ProcessArgumentError("client_name", problem)
        return _described(keywords, ask)
    if ask is not None and keywords["client_name"] is not None:
        raise ProcessArgumentError(
            "client_name", "not possible with capability_command, which has the name already"
        )
    for keyword in _PRESET:
        if keywords[keyword] is not None:
            raise ProcessArgumentError(keyword, "not possible with protocol, which has its own")
    preset = dialect(keywords["protocol"], _domain(keywords), keywords["client_name"])
    return preset if ask is None else replace(preset, capability_command=ask)


def _domain(keywords: Mapping[str, object]) -> str:
    """Return the domain to ask the server for: the name that its certificate must have."""
    host = keywords["host"]
    is_name = isinstance(host, str) and host != "local"
    return name_to_verify(keywords["tls_parameters"], str(host) if is_name else "localhost")


def _described(keywords: Mapping[str, object], ask: Command | None) -> Dialect:
    end = _end("end_of_command", keywords["end_of_command"])
    return Dialect(
        name="the server",
        greeting_end=end,
        capability_command=ask,
        capability_end=_end("end_of_capability", keywords["end_of_capability"]) or end,
        upgrade=_upgrade(keywords, ask, end),
    )


def _upgrade(
    keywords: Mapping[str, object], ask: Command | None, end: End | None
) -> Upgrade | None:
    """Return how to change to TLS, or None if the keywords do not describe it (N266, step 4)."""
    success = _test("success", keywords["success"])
    function = keywords["starttls_function"]
    if function is None:
        return None
    if not callable(function):
        raise ProcessArgumentError("starttls_function", f"{shown(function)} is not a function")
    if ask is None or success is None:
        return None
    if end is None:
        raise ProcessArgumentError(
            "end_of_command", "starttls_function needs it, to find the end of the answer"
        )
    return Upgrade(command=_starttls_command(function), answer_end=end, success=success)


def _starttls_command(function: Callable[..., object]) -> Command:
    keyword = "starttls_function"

    def command(capabilities: str | None) -> bytes | None:
        if capabilities is None:
            return None
        return _said(keyword, _call(keyword, function, capabilities))

    return command


# --- Values of the keywords. ----------------------------------------------------------------------------


def _end(keyword: str, value: object) -> End | None:
    if value is None:
        return None
    return _end_by(keyword, value) if callable(value) else Until(_pattern(keyword, value))


def _end_by(keyword: str, function: Callable[..., object]) -> End:
    def end(data: bytearray) -> int | None:
        found = _call(keyword, function, bytes(data))
        if found is None or (type(found) is int and 0 <= found <= len(data)):
            return found
        raise ProcessArgumentError(
            keyword, f"the function returned {shown(found)}, which is not a place in its bytes"
        )

    return Polled(end)


def _test(keyword: str, value: object) -> Test | None:
    if value is None:
        return None
    if callable(value):
        return lambda answer: bool(_call(keyword, value, answer))
    return Has(_pattern(keyword, value))


def _pattern(keyword: str, value: object) -> re.Pattern[str]:
    expression = value.pattern if isinstance(value, re.Pattern) else value
    if not isinstance(expression, str):
        raise ProcessArgumentError(keyword, f"{shown(value)} is neither a pattern nor a function")
    return compile_pattern(keyword, value, FLAGS)


def _command(keyword: str, value: object) -> Command | None:
    if callable(value):
        return lambda said: _said(keyword, _call(keyword, value, said))
    said = _said(keyword, value)
    return None if said is None else Always(said)


def _said(keyword: str, value: object) -> bytes | None:
    """Return the bytes of a command."""
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ProcessArgumentError(keyword, f"{shown(value)} is not a command")
    return _encoded(keyword, value)


def _encoded(keyword: str, text: str) -> bytes:
    try:
        return to_bytes(text)
    except UnicodeEncodeError:
        raise ProcessArgumentError(keyword, f"{shown(text)} cannot be encoded in UTF-8") from None


def _call(keyword: str, function: Callable[..., object], given: object) -> object:
    """Return what FUNCTION, the program's value of KEYWORD, returns; an exception of it is an error of the keyword."""
    try:
        return function(given)
    except Exception as error:
        raise ProcessArgumentError(keyword, f"the function failed: {shown(error)}") from error
