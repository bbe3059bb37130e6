"""Names for values that differ between runs: ports, paths, abstract names.

`runner.py` records the ports of processes and peers.  After the run, `normal` replaces the numbers by the names of
the ports.
"""

from __future__ import annotations

import re

from netproc.test.conformance.notation import SUMMARY, short

#: The range from which the system picks ports.
EPHEMERAL = range(32768, 61000)


class Ports:
    """The names of one run's ports."""

    def __init__(self, tmp, run_id):
        self.tmp = tmp
        self.run_id = run_id
        self.aliases = []  # (port, priority, alias): the lowest priority wins
        self.unknown = {}

    def name(self, port, priority, handle):
        """Record that PORT belongs to HANDLE."""
        if isinstance(port, int) and not isinstance(port, bool) and port > 1023:
            alias = (port, priority, f"<port:{handle}>")
            if alias not in self.aliases:
                self.aliases.append(alias)

    def alias(self, number):
        """Return the name of a port, or None for a number that is not a recorded port."""
        hits = sorted((priority, alias) for port, priority, alias in self.aliases if port == number)
        if hits:
            return hits[0][1]
        if number in EPHEMERAL:
            return self.unknown.setdefault(number, f"<port:?{len(self.unknown) + 1}>")
        return None

    def normal_string(self, text):
        """Return TEXT with names for ports, the run's directory and its abstract names."""
        if SUMMARY.match(text):
            return text
        whole = re.fullmatch("[0-9]{4,5}", text)
        text = re.sub("[0-9]{4,5}", lambda m: self.alias(int(m.group())) or m.group(), text)
        if whole:
            text = re.sub("^<port:", "<portstr:", text)
        return text.replace(self.tmp, "<tmp>").replace("\\x00" + self.run_id, "<abstract>")

    def normal(self, value):
        """Return VALUE with names in it."""
        if isinstance(value, str):
            return self.normal_string(value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            return self.alias(value) or value
        if isinstance(value, list):
            return [self.normal(x) for x in value]
        if isinstance(value, dict):
            return {key: self.normal(x) for key, x in value.items()}
        return value

    def normal_record(self, record):
        """Return a record of the trace with names in it; input of filters and buffers stays unchanged."""
        verbatim = (
            record.get("op") == "get" and record.get("what") in ("text", "mark")
        ) or record.get("op") == "buffer"
        out = {}
        for key, value in record.items():
            if key in ("step", "data") or (key == "value" and verbatim):
                out[key] = value
            elif key in ("text", "bytes"):
                out[key] = short(value)
            elif key == "packets":
                out[key] = [[data, self.normal(sender)] for data, sender in value]
            else:
                out[key] = self.normal(value)
        return out
