"""The files of the checkout that tests read: modules, examples, and the code of how-to pages."""

from __future__ import annotations

import functools
import os
import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from twisted.trial.unittest import SkipTest

import netproc
from netproc.test.support.programs import ROOT

PACKAGE = os.path.dirname(os.path.abspath(netproc.__file__))


@functools.cache
def modules() -> dict[str, str]:
    """All modules except the tests: their names below netproc, and their paths."""
    found = {}
    for directory, _, names in os.walk(PACKAGE):
        relative = os.path.relpath(directory, PACKAGE)
        if relative.split(os.sep)[0] == "test":
            continue
        for name in names:
            if name.endswith(".py"):
                parts = [] if relative == "." else relative.split(os.sep)
                found[".".join([*parts, name[:-3]])] = os.path.join(directory, name)
    return found


def checkout() -> str:
    """Return the checkout that is tested.  Without a checkout the test is skipped."""
    if not os.path.exists(os.path.join(ROOT, "setup.cfg")):
        raise SkipTest("this runs from a checkout only")
    return ROOT


def example(name: str) -> str:
    with open(os.path.join(checkout(), "examples", name), encoding="utf-8") as file:
        return file.read()


BLOCK = re.compile(r"\.\. code-block:: \w+\n   :caption: (.+)\n\n((?:   .*\n|\n)+)")
CONSOLE = re.compile(r"\.\. code-block:: console\n\n((?:   .*\n|\n)+)")
FIRST, SERVES, ASKS, SAYS = "first", "in one terminal", "in another", "and the first says"


class Example(NamedTuple):
    """One example on a page."""

    files: dict[str, str]
    first: str
    command: str
    request: str
    reply: str
    says: str


def page_text(page: str) -> str:
    """Return the text of the how-to page PAGE."""
    with open(os.path.join(checkout(), "docs", "howto", f"{page}.rst"), encoding="utf-8") as file:
        return file.read()


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the code blocks of PAGE that have captions, as pairs of caption and content.

    A command that continues on the next line becomes one line.
    """
    return [
        (caption, re.sub(r" \\\n +", " ", textwrap.dedent(body).strip("\n")))
        for caption, body in BLOCK.findall(page_text(page))
    ]


def examples(page: str) -> Iterator[Example]:
    found = blocks(page)
    files: dict[str, str] = {}
    first = ""
    starts = [number for number, (caption, _) in enumerate(found) if caption == SERVES]
    for number, (caption, body) in enumerate(found):
        if caption.endswith(".py"):
            files[caption] = body + "\n"
        if caption == FIRST:
            first = body
        if caption == SERVES:
            end = next((start for start in starts if start > number), len(found))
            parts = dict(found[number:end])
            request, _, reply = parts[ASKS].partition("\n")
            yield Example(
                dict(files),
                first,
                body,
                request,
                reply + "\n" if reply else "",
                parts.get(SAYS, ""),
            )
