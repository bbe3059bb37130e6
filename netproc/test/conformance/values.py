"""Conversion of values: from the notation of scenarios to Python, and from netproc to the notation of traces.

`runner.py` inherits this, and has the processes, ports and callbacks.
"""

from __future__ import annotations

import os

from netproc.test.conformance.notation import ScenarioError, escape


class Values:
    """Both conversions; the runner provides the handles."""

    # -- to Python --------------------------------------------------------------
    def value(self, notation, kind=None):
        """Return the Python value of NOTATION; KIND is the keyword to which it is passed."""
        if isinstance(notation, list):
            return [self.value(x) for x in notation]
        if not isinstance(notation, dict):
            return notation
        for tag, decode in self._TAGS.items():
            if tag in notation:
                return decode(self, notation, notation[tag], kind)
        raise ScenarioError(f"bad value {notation!r}")

    def args(self, table):
        """Return keyword arguments."""
        return {k.replace("-", "_"): self.value(v, k) for k, v in (table or {}).items()}

    _TAGS = {
        "sym": lambda self, n, v, kind: v,
        "vec": lambda self, n, v, kind: tuple(self.value(x) for x in v),
        "cons": lambda self, n, v, kind: tuple(self.value(x) for x in v),
        "list": lambda self, n, v, kind: [self.value(x) for x in v],
        "plist": lambda self, n, v, kind: {k: self.value(x) for k, x in v},
        "cb": lambda self, n, v, kind: self.callback(n, kind),
        "portstr": lambda self, n, v, kind: str(self.port(v)),
        "port": lambda self, n, v, kind: self.port(v) + n.get("plus", 0),
        "local": lambda self, n, v, kind: self.proc(v).contact("local"),
        "remote": lambda self, n, v, kind: self.proc(v).contact("remote"),
        "path": lambda self, n, v, kind: os.path.join(self.tmp, v),
        "abstract": lambda self, n, v, kind: "\0" + self.run_id + v,
        "hex": lambda self, n, v, kind: bytes.fromhex(v),
        "rep": lambda self, n, v, kind: v[0] * v[1],
        "concat": lambda self, n, v, kind: "".join(self.value(x) for x in v),
        "proc": lambda self, n, v, kind: self.proc(v),
        "buffer": lambda self, n, v, kind: self.np.get_buffer(v),
    }

    # -- to the trace -----------------------------------------------------------
    def enc(self, value):
        """Return VALUE in the notation of traces."""
        if value is None or value is False:
            return None
        if value is True or isinstance(value, (int, float)):
            return value
        if isinstance(value, (str, bytes, bytearray)):
            return escape(value)
        if callable(value):
            return self.enc_callback(value)
        if self.known(value):
            return {"proc": self.known(value)}
        if hasattr(value, "insert") and hasattr(value, "name"):
            return self.enc_buffer(value)
        if isinstance(value, (tuple, list)):
            return [self.enc(x) for x in value]
        if isinstance(value, dict):
            return self.enc_plist(value)
        return f"<{type(value).__name__}>"

    def enc_buffer(self, buffer):
        """Return the notation of a buffer, or of none."""
        return None if buffer is None else {"buffer": buffer.name or "<killed>"}

    def enc_plist(self, plist):
        """Return the notation of a property list or a contact."""
        out = {}
        for key, value in sorted((plist or {}).items()):
            key = str(key).lstrip(":").replace("-", "_")
            if key == "plist":
                out[key] = self.enc_plist(value if isinstance(value, dict) else {})
            else:
                out[key] = self.enc(value)
        return out

    def enc_callback(self, value):
        """Return the notation of a filter, sentinel or log function."""
        if value is True or value is None:
            return value
        if id(value) in self.callbacks:
            return {"cb": self.callbacks[id(value)]}
        return "default" if self.np.is_default(value) else "<function>"
