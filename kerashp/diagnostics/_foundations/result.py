"""Results that print as text, and as HTML in notebooks."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """A heading for each column, and rows of as many cells.

    >>> print(Table(("layer", "scale"), [("hidden_1", "1.02"), ("output", "0.5")]))
    layer     scale
    hidden_1  1.02
    output    0.5
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in lines
        )

    def html(self) -> str:
        """The table as HTML, with its text escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>" for cells in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Result:
    """Base class of the results of the checks: frozen dataclasses that print with their evidence."""

    @abstractmethod
    def _parts(self) -> Sequence[str | Table]:
        """What is printed, in order: paragraphs of text, which may have line breaks, and tables."""

    def __str__(self) -> str:
        return "\n".join(map(str, self._parts()))

    def _repr_html_(self) -> str:
        parts = (
            part.html() if isinstance(part, Table) else f"<p>{escape(part).replace(chr(10), '<br>')}</p>"
            for part in self._parts()
        )
        return f"<div>{''.join(parts)}</div>"
