"""Sphinx extension: formulas of docstrings, which are written to be read as text, become reStructuredText.

$x$ and $$x$$ are formulas in TeX. A deeper paragraph with an equals sign is a formula in plain text, and is
shown as it is. Names such as `n_features_in_`, and stars of shapes, are escaped where they are no code.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_INLINE = re.compile(r"(`[^`]*`)|\$([^$`]+)\$")
_DISPLAY = re.compile(r"^( *)\$\$(.+?)\$\$(\.|,|;)?$", re.MULTILINE | re.DOTALL)
_SPECIAL = re.compile(r"(`[^`]*`)|\b(\w+)_(?=[\",)])|, \*(?=\w+\))")
_ENTRY = re.compile(r"\w+(?:, \w+)*(?: : |$)")  # of parameters and attributes: numpydoc escapes the names
_PLAIN = re.compile(r"(?P<end>[:.,])\n\n(?P<formula>(?P<indent> +)[^\s>-].* = .*(?:\n(?P=indent).*)*)")


def _plain(found: re.Match[str]) -> str:
    end = "::" if found["end"] == ":" else f"{found['end']}\n\n::"
    return f"{end}\n\n{found['formula']}"


def _display(found: re.Match[str]) -> str:
    indent, formula = found[1], found[2]
    lines = [f"{indent}   {line.strip()}" for line in formula.strip().splitlines()]
    return "\n".join([f"{indent}.. math::", "", *lines])


def _escaped(line: str) -> str:
    entry = _ENTRY.match(line)
    head = entry[0] if entry else ""

    def replacement(found: re.Match[str]) -> str:
        return found[1] or (f"{found[2]}\\_" if found[2] else ", \\*")

    return head + _SPECIAL.sub(replacement, line[len(head) :])


def as_restructured_text(docstring: str) -> str:
    """The docstring with its formulas as roles and directives; the code of its examples stays as it is."""
    text, *examples = re.split(r"(?=\nExamples\n-{8}\n)", docstring)
    text = _PLAIN.sub(_plain, text)
    text = _DISPLAY.sub(_display, text)
    text = "\n".join(map(_escaped, text.split("\n")))
    text = _INLINE.sub(lambda found: found[1] or f":math:`{' '.join(found[2].split())}`", text)
    return "".join([text, *examples])


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    lines[:] = as_restructured_text("\n".join(lines)).split("\n")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _process, priority=400)  # before numpydoc
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
