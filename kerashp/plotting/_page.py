"""A self-contained HTML page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.plotting._text import printable

# Nothing is fetched and no script runs, whatever the text contains.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: auto;
  padding: 0 1rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.1rem, 5.5vw, 1.6rem); line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2.5rem;
  border-bottom: 1px solid #ccc; }
img { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
.wide { overflow-x: auto; overflow-wrap: normal; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { background: #f2f2f2; } tbody tr:nth-child(even) { background: #fafafa; }
pre { white-space: pre-wrap; background: #f2f2f2; padding: 0.7rem; font-size: 0.85rem; }
@media print { body { max-width: none; font-size: 11px; }
  .wide { overflow: visible; } td { overflow-wrap: anywhere; }
  table { font-size: 7.5px; } th, td { padding: 0.1rem 0.25rem; } pre { font-size: 8px; }
  tr, img { break-inside: avoid; } h2 { break-after: avoid; } }
"""


@dataclass(frozen=True)
class Picture:
    """An SVG image with a description in words."""

    svg: bytes
    description: str

    def html(self) -> str:
        """The image as HTML, with its data in the page."""
        data = base64.b64encode(self.svg).decode("ascii")
        return f'<img alt="{escape(self.description)}" src="data:image/svg+xml;base64,{data}">'


@dataclass(frozen=True)
class Code:
    """Text in which line breaks and spaces are significant."""

    text: str

    def html(self) -> str:
        """The text as HTML, escaped."""
        return f"<pre>{escape(self.text)}</pre>"


Part = str | Table | Picture | Code | Result


@dataclass(frozen=True)
class Section:
    """A heading with the parts below it."""

    heading: str
    parts: Sequence[Part]

    def html(self) -> str:
        """The section as HTML, with all text escaped."""
        return (
            f"<section><h2>{escape(self.heading)}</h2>\n" + "\n".join(map(_html, self.parts)) + "</section>"
        )


def _html(part: Part) -> str:
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if isinstance(part, Result):
        return f'<div class="wide">{part._repr_html_()}</div>'
    return f'<div class="wide">{part.html()}</div>' if isinstance(part, Table) else part.html()


def page(title: str, lead: Sequence[Part], sections: Sequence[Section]) -> str:
    """The whole page as HTML.

    >>> "&lt;script&gt;" in page("<script>", [], []), "<script>" in page("<script>", [], [])
    (True, False)
    """
    body = "\n".join([*map(_html, lead), *(section.html() for section in sections)])
    return printable(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )
