"""Runs the real Emacs, which prints its results as JSON.

`test_emacs.py` and `test_peer_status.py` pass expressions to it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from typing import Any

from netproc.test.support.base import PATIENCE
from netproc.test.support.programs import environment, require

#: Emacs must not ask the user, and must accept only certificates that TRUST vouches for.
_PROGRAM = """
(progn
  (require 'gnutls) (require 'network-stream) (require 'nsm) (require 'json) (require 'cl-lib)
  (setq gnutls-trustfiles '({trust}) gnutls-verify-error {verify} network-security-level '{level}
        nsm-noninteractive t nsm-settings-file {memory})
  (princ (json-encode (condition-case problem {expression}
                        (error (list :error (error-message-string problem)))))))
"""


def emacs(expression: str, trust: str, verify: str = "t", level: str = "medium") -> Any:
    """Return the value of EXPRESSION, a property list, as a dictionary; after an error it has the key "error"."""
    with tempfile.TemporaryDirectory() as directory:
        program = _PROGRAM.format(
            expression=expression,
            trust=json.dumps(trust),
            verify=verify,
            level=level,
            memory=json.dumps(os.path.join(directory, "memory")),
        )
        done = subprocess.run(
            [require("emacs"), "-Q", "--batch", "--eval", program],
            capture_output=True,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=3 * PATIENCE,
            env=environment(),
        )
    return json.loads(done.stdout)
