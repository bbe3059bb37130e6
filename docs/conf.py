"""Sphinx settings: "make docs" builds the pages into docs/_build/html."""

import os
import sys

from netproc import __version__

project = "netproc"
author = "The netproc developers"
release = version = __version__
# What the foot of each page says.
copyright = f"the netproc developers. MIT licence. Documentation of netproc {version}"

sys.path.append(os.path.join(os.path.dirname(__file__), "_ext"))
extensions = ["lifecycle", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
autodoc_typehints = "none"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"netproc {__version__}"
html_copy_source = False

# The copy button takes the commands of a console block, without prompts and without what they print.
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
copybutton_selector = "div:not(.no-copy) > div.highlight > pre"

default_role = "code"
highlight_language = "python"
nitpicky = True
# Twisted's and Python's own names are not documented here.
nitpick_ignore_regex = [("py:.*", r"(twisted\..*|Deferred|OSError|ValueError|Exception)")]
