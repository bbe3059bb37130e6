"""Sphinx extension: the transitions of a process, from the table in netproc/core/status.py.

It has two directives without arguments. `lifecycle-picture` draws the states and the events that
lead from one to the next. `lifecycle-table` lists every transition, with its cause.
"""

from __future__ import annotations

from signal import SIGTERM
from typing import Any, NamedTuple

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from netproc.core import status
from netproc.core.errors import ProcessError
from netproc.core.status import ENDED, TABLE, Cause, State, Step


class Filling(NamedTuple):
    """What stands for `{}` in an event, and the exit status that comes with it."""

    words: str
    exit_status: str = "0"


#: For each cause whose event has a `{}`: what can stand there.
FILLINGS = {
    Cause.ACCEPTED: [Filling("HOST")],
    Cause.FAILED: [
        Filling(status.failure_words(ProcessError(0, "")).replace("0", "ERRNO"), "ERRNO"),
        Filling(status.failure_words(ProcessError(None, "REASON")), "REASON"),
    ],
    Cause.EXITED: [Filling(status.exited_words(0).replace("0", "CODE"), "CODE")],
    Cause.SIGNALLED: [Filling(status.signal_words(SIGTERM), "the signal's number")],
}


def transitions() -> list[tuple[State, Cause, Step]]:
    """Every row of the table, ordered by the state before it, live ones first, and that after it."""
    rows = [(state, cause, step) for (state, cause), step in TABLE.items()]
    number = {state: (state in ENDED, i) for i, state in enumerate(State)}
    return sorted(rows, key=lambda row: (number[row[0]], number[row[2].state]))


def state_name(state: State) -> str:
    """What a page calls STATE."""
    return "(new)" if state is State.NEW else state.value


def fillings(cause: Cause, step: Step) -> list[Filling]:
    """What can stand for `{}` in the event of STEP."""
    if step.event is None or "{}" not in step.event:
        return [Filling("", str(int(step.exit_status)))]
    return FILLINGS[cause]


def events(cause: Cause, step: Step) -> list[str]:
    """The events that STEP can have, as Python would write them."""
    if step.event is None:
        return []
    every = [step.event.format(filling.words) for filling in fillings(cause, step)]
    return ['"' + event.replace("\n", "\\n") + '"' for event in every]


def table() -> str:
    """A list of all transitions, in reStructuredText."""
    rows = [["From", "What happens", "To", "Event", "`exit_status`"]]
    for state, cause, step in transitions():
        what = cause.value[0].upper() + cause.value[1:]
        said = " or ".join(f"``{event}``" for event in events(cause, step))
        exits = " or ".join(filling.exit_status for filling in fillings(cause, step))
        rows.append([state_name(state), what, state_name(step.state), said, exits])
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 10 30 10 36 14", ""]
    for row in rows:
        lines += [f"   {'  ' if i else '* '}- {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines)


def picture() -> str:
    """A text block with the states, and an arrow for each event that leads to another state."""
    arrows = [
        (state_name(state), event, state_name(step.state))
        for state, cause, step in transitions()
        if step.state is not state
        for event in events(cause, step) or [""]
    ]
    left = max(len(state) for state, _, _ in arrows)
    middle = max(len(event) for _, event, _ in arrows) + 2
    lines = [".. code-block:: text", ""]
    last = ""
    for state, event, to in dict.fromkeys(arrows):
        if last and state != last:
            lines.append("")
        name = "" if state == last else state
        shaft = f" {event} " if event else ""
        lines.append(f"   {name:{left}} ---{shaft:-<{middle}}---> {to}")
        last = state
    return "\n".join(lines)


class LifecyclePicture(SphinxDirective):
    """The directive `lifecycle-picture`."""

    text = staticmethod(picture)

    def run(self) -> list[Any]:
        """Return the nodes of the text."""
        self.env.note_dependency(status.__file__)
        self.env.note_dependency(__file__)
        return self.parse_text_to_nodes(self.text())


class LifecycleTable(LifecyclePicture):
    """The directive `lifecycle-table`."""

    text = staticmethod(table)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directives."""
    app.add_directive("lifecycle-picture", LifecyclePicture)
    app.add_directive("lifecycle-table", LifecycleTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
