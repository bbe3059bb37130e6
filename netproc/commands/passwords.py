"""The password of a private key, for commands: from a file, from the environment, or from the terminal.

`tap.py` hands in what the option said, also for `open.py` (at run time).  The command line itself can be read by every user of the
machine, so a password in it is refused.
"""

from __future__ import annotations

import getpass
import os

from ..core.errors import os_error_text
from ..core.escape import shown

#: More than this is no password: somebody has named the wrong file.
LONGEST = 1024


def read_password(source: str, key: str) -> bytes:
    """The password of the private key in the file KEY, from SOURCE: file:PATH, env:NAME or prompt.

    :raises ValueError: saying what is wrong with SOURCE.
    """
    kind, _, place = source.partition(":")
    if source == "prompt":
        return _ask(key)
    if kind == "file" and place:
        return _first_line(place)
    if kind == "env" and place:
        return _variable(place)
    # It may be the password itself, which no message must show.
    raise ValueError("this takes file:PATH, env:NAME or prompt, and not the password itself")


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
        raise ValueError(f"the environment has no variable {shown(name)}")
    return value


def _ask(key: str) -> bytes:
    try:
        # Without a terminal getpass would read standard input, which belongs to the stream.
        with open(os.ctermid(), "rb"):
            return os.fsencode(getpass.getpass(f"Password of {key}: "))
    except (OSError, EOFError, KeyboardInterrupt):
        raise ValueError("there is no terminal to ask, or no answer; give file:PATH") from None
