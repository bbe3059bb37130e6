"""The ledger: what happened to every process that a test made, and whether it broke a rule.

`base.py` lets it observe every table.  The rules are the promises P1, P2, P3 and P5.
"""

from __future__ import annotations

from netproc import NetworkProcess


def is_terminal(event: str) -> bool:
    return not event.startswith(("open", "run"))


class Ledger:
    """Records events, and the rules that they break."""

    def __init__(self) -> None:
        #: Process -> its sentinel events.
        self.events: dict[NetworkProcess, list[str]] = {}
        self.gone: set[NetworkProcess] = set()
        self.broken: list[str] = []

    def observe(self, process: NetworkProcess, what: str, value: object) -> None:
        events = self.events.setdefault(process, [])
        ended = any(map(is_terminal, events))
        if what == "sentinel":
            assert isinstance(value, str)
            self._sentinel(process, value, events, ended)
        elif what == "filter":
            if ended:
                self.break_rule(process, "a filter call after the terminal event")
            if process.stopped or process.filter is True:
                self.break_rule(process, "a filter call while held")
        elif what == "gone":
            if not ended:
                self.break_rule(process, "its descriptor is gone before its terminal event")
            if process in self.gone:
                self.break_rule(process, "gone twice")
            self.gone.add(process)

    def _sentinel(
        self, process: NetworkProcess, event: str, events: list[str], ended: bool
    ) -> None:
        if ended:
            self.break_rule(process, f"event {event!r} after the terminal one")
        if event.startswith("open"):
            if any(e.startswith("open") for e in events):
                self.break_rule(process, "opened twice")
            if process.status not in ("open", "stop"):
                self.break_rule(process, f"opened in status {process.status}")
        elif is_terminal(event) and process.live:
            self.break_rule(process, f"terminal event in status {process.status}")
        events.append(event)

    def break_rule(self, process: NetworkProcess, what: str) -> None:
        self.broken.append(f"{process.name}: {what} (events {self.events.get(process)})")

    def check(self) -> list[str]:
        """Return all broken rules; called when all processes should have closed."""
        wrong = list(self.broken)
        for process, events in self.events.items():
            if sum(map(is_terminal, events)) != 1:
                wrong.append(f"{process.name}: not one terminal event in {events}")
            if process not in self.gone:
                wrong.append(f"{process.name}: its descriptor is not gone")
        return wrong
