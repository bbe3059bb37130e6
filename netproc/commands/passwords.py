"""Read the password of a private key from a file, from the environment or from the terminal.

`values.py` calls this with the value of an option.  Every user of the machine can read command lines, so an option that
holds the password itself is refused.
"""

from __future__ import annotations

import getpass
import os

from ..core.errors import os_error_text
from ..core.escape import shown

#: Bytes.  A longer line is not a password: the option names the wrong file.
LONGEST = 1024


def read_password(source: str, key: str) -> bytes:
    """Return the password of the private key in the file KEY.

    SOURCE is file:PATH (the first line of the file), env:NAME (an environment variable) or prompt (the terminal).

    :raises ValueError: if the password cannot be read from SOURCE.
    """
    kind, _, place = source.partition(":")
    if source == "prompt":
        return _ask(key)
    if kind == "file" and place:
        return _first_line(place)
    if kind == "env" and place:
        return _variable(place)
    # SOURCE may be the password itself, so the message must not show it.
    raise ValueError("expected file:PATH, env:NAME or prompt, not the password itself")


def _first_line(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            line = file.readline(LONGEST + 1)
    except OSError as error:
        raise ValueError(f"{path}: {os_error_text(error)}") from None
    if len(line) > LONGEST:
        raise ValueError(f"{path}: the first line is longer than {LONGEST} bytes")
    return line.rstrip(b"\r\n")


def _variable(name: str) -> bytes:
    value = os.environb.get(os.fsencode(name))
    if value is None:
        raise ValueError(f"the environment variable {shown(name)} is not set")
    return value


def _ask(key: str) -> bytes:
    try:
        # Without a terminal getpass would read standard input, which belongs to the stream.
        with open(os.ctermid(), "rb"):
            return os.fsencode(getpass.getpass(f"Password of {key}: "))
    except (OSError, EOFError, KeyboardInterrupt):
        raise ValueError("the password cannot be read from a terminal; use file:PATH") from None
