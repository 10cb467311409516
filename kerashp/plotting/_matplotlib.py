"""matplotlib, which is imported when something is drawn, and what all displays draw with."""

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerashp._arguments import Arguments
from kerashp.plotting._text import printable

# Okabe and Ito's colours, which those who are colour-blind tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BEST, OTHERS = "#D55E00", "#7f7f7f"
COLOUR_MAP = "viridis_r"  # the greatest dark, since light lines are lost on white
_MOST_POINTS = 20_000  # of lines that are drawn as lines in a vector image
_MOST_DOTS = 2_000
_MOST_LOOKED_THROUGH = 300
_MOST_COLUMNS = 3  # of a grid before it grows in width


def require(caller: str) -> Any:
    """matplotlib.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            f'{caller} draws with matplotlib; install it: pip install "kerashp[plot]"'
        ) from error
    return matplotlib


def axes_of(caller: str, ax: Any, size: tuple[float, float] = (6.4, 4.2)) -> Any:
    """The axes given, or those of a new figure of that size in inches."""
    require(caller)
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]
    _check_axes(caller, ax, "matplotlib Axes or None")
    return ax


def figure_with(size: tuple[float, float]) -> Any:
    """An empty figure of that size in inches, which pyplot does not know of."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def grid_of(caller: str, ax: Any, n_axes: int) -> list[Any]:
    """So many axes: those given, or those of a new figure."""
    require(caller)
    if ax is None:
        import matplotlib.pyplot as plt

        return grid_in(plt.figure(figsize=grid_size(n_axes), layout="constrained"), n_axes)
    given = list(np.ravel(np.asarray(ax, dtype=object)))
    expected = f"None or {n_axes} matplotlib Axes, one a parameter"
    for one in given:
        _check_axes(caller, one, expected)
    if len(given) != n_axes:
        raise ValueError(f"{caller}: ax must be {expected}; got {len(given)}")
    return given


def grid_size(n_axes: int) -> tuple[float, float]:
    """Of a figure with so many axes, in inches."""
    n_columns = min(n_axes, _MOST_COLUMNS)
    return max(3.1 * n_columns, 4.0), 2.8 * math.ceil(n_axes / n_columns)


def grid_in(figure: Any, n_axes: int) -> list[Any]:
    """So many axes in an empty figure, with one scale of heights."""
    n_columns = min(n_axes, _MOST_COLUMNS)
    all_axes = figure.subplots(math.ceil(n_axes / n_columns), n_columns, sharey=True, squeeze=False).ravel()
    for unused in all_axes[n_axes:]:
        unused.remove()
    return list(all_axes[:n_axes])


def _check_axes(caller: str, ax: Any, expected: str) -> None:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise Arguments(caller).wrong_type("ax", expected, ax)


def lines(ax: Any, paths: Sequence[np.ndarray], **options: Any) -> Any:
    """Many lines at once, each an array of shape `(n_points, 2)`; very many become pixels."""
    from matplotlib.collections import LineCollection

    drawn = LineCollection([*paths], rasterized=sum(map(len, paths)) > _MOST_POINTS, **options)
    return ax.add_collection(drawn, autolim=False)


def legend(ax: Any, n_drawn: int, otherwise: str) -> None:
    """Where it hides least; `otherwise` where that takes long to find, among many."""
    if ax.get_legend_handles_labels()[0]:
        where = "best" if n_drawn <= _MOST_LOOKED_THROUGH else otherwise
        ax.legend(loc=where, fontsize="small", framealpha=0.8)


def dots(n_candidates: int) -> dict[str, Any]:
    """How the dots of so many candidates are drawn: smaller where there are many, and as pixels if very."""
    return {"s": 20 if n_candidates <= 300 else 8, "rasterized": n_candidates > _MOST_DOTS}


def colour_map() -> Any:
    """From the least score to the greatest, with a grey for none."""
    return require("a display").colormaps[COLOUR_MAP].with_extremes(bad="#bbbbbb")


def stage_colours(stages: Sequence[str] | None) -> dict[str, Any]:
    """A colour for each stage of a search, from light to dark."""
    known = list(dict.fromkeys(stages or ()))
    if not known:
        return {}
    colours = colour_map()(np.linspace(0.15, 1.0, len(known)))
    return dict(zip(known, map(tuple, colours), strict=True))


def plain(text: str, most: int = 28) -> str:
    """Text that is shown as it is, not as a formula, and not longer than that."""
    text = printable(text)
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return short.replace("$", r"\$")


def as_svg(figure: Any) -> bytes:
    """A figure as an SVG image that is the same every time."""
    matplotlib = require("a report")
    written = io.BytesIO()
    settings = {"svg.hashsalt": "kerashp", "svg.fonttype": "path", "text.usetex": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the page's own text has it
        figure.savefig(written, format="svg", dpi=120, metadata={"Date": None})
    return written.getvalue()
