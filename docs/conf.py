"""Sphinx settings: "make docs" builds the pages into docs/_build/html."""

import os
import sys

from netproc import __version__

project = "netproc"
author = "The netproc developers"
release = version = __version__

sys.path.append(os.path.join(os.path.dirname(__file__), "_ext"))
extensions = ["lifecycle"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"netproc {__version__}"
html_copy_source = False
default_role = "code"
highlight_language = "python"
nitpicky = True
# Twisted's and Python's own names are not documented here.
nitpick_ignore_regex = [("py:.*", r"(twisted\..*|Deferred|OSError|ValueError|Exception)")]
