"""Drawing functions that several displays share; matplotlib is imported when something is drawn."""

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerashp._arguments import Arguments
from kerashp.plotting._text import printable

# The colours of Okabe and Ito, which colour-blind people can distinguish.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BEST, OTHERS = "#D55E00", "#7f7f7f"
COLOUR_MAP = "viridis_r"  # dark for the greatest values, since light lines are hard to see on white
_MOST_POINTS = 20_000  # of lines in a vector image; more are rasterized
_MOST_DOTS = 2_000
_MOST_FOR_BEST_PLACE = 300
_MOST_COLUMNS = 3  # of a grid


def require(caller: str) -> Any:
    """Import matplotlib.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            f'{caller} requires matplotlib; install it with: pip install "kerashp[plot]"'
        ) from error
    return matplotlib


def axes_of(caller: str, ax: Any, size: tuple[float, float] = (6.4, 4.2)) -> Any:
    """The axes `ax`; if None, those of a new figure of this size in inches."""
    require(caller)
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]
    _check_axes(caller, ax, "matplotlib Axes or None")
    return ax


def figure_with(size: tuple[float, float]) -> Any:
    """An empty figure of this size in inches that pyplot does not manage."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def grid_of(caller: str, ax: Any, n_axes: int) -> list[Any]:
    """The `n_axes` axes in `ax`; if None, those of a new figure."""
    require(caller)
    if ax is None:
        import matplotlib.pyplot as plt

        return grid_in(plt.figure(figsize=grid_size(n_axes), layout="constrained"), n_axes)
    all_axes = list(np.ravel(np.asarray(ax, dtype=object)))
    expected = f"None or {n_axes} matplotlib Axes, one for each parameter"
    for axes in all_axes:
        _check_axes(caller, axes, expected)
    if len(all_axes) != n_axes:
        raise ValueError(f"{caller}: ax must be {expected}; got {len(all_axes)}")
    return all_axes


def grid_size(n_axes: int) -> tuple[float, float]:
    """The size in inches of a figure with `n_axes` axes."""
    n_columns = min(n_axes, _MOST_COLUMNS)
    return max(3.1 * n_columns, 4.0), 2.8 * math.ceil(n_axes / n_columns)


def grid_in(figure: Any, n_axes: int) -> list[Any]:
    """Add `n_axes` axes with a shared y axis to an empty figure."""
    n_columns = min(n_axes, _MOST_COLUMNS)
    all_axes = figure.subplots(math.ceil(n_axes / n_columns), n_columns, sharey=True, squeeze=False).ravel()
    for unused in all_axes[n_axes:]:
        unused.remove()
    return list(all_axes[:n_axes])


def _check_axes(caller: str, ax: Any, expected: str) -> None:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise Arguments(caller).wrong_type("ax", expected, ax)


def draw_lines(ax: Any, paths: Sequence[np.ndarray], **options: Any) -> Any:
    """Draw many lines, each an array of shape `(n_points, 2)`; very many are rasterized."""
    from matplotlib.collections import LineCollection

    collection = LineCollection([*paths], rasterized=sum(map(len, paths)) > _MOST_POINTS, **options)
    return ax.add_collection(collection, autolim=False)


def add_legend(ax: Any, n_items: int, default_place: str) -> None:
    """Add a legend where it hides least, or at `default_place` if there are too many items to find out."""
    if ax.get_legend_handles_labels()[0]:
        place = "best" if n_items <= _MOST_FOR_BEST_PLACE else default_place
        ax.legend(loc=place, fontsize="small", framealpha=0.8)


def dot_style(n_candidates: int) -> dict[str, Any]:
    """The style of the dots of candidates: smaller if there are many, rasterized if there are very many."""
    return {"s": 20 if n_candidates <= 300 else 8, "rasterized": n_candidates > _MOST_DOTS}


def colour_map() -> Any:
    """The colours from the lowest score to the greatest, with grey for missing scores."""
    return require("a display").colormaps[COLOUR_MAP].with_extremes(bad="#bbbbbb")


def stage_colours(stages: Sequence[str] | None) -> dict[str, Any]:
    """A colour for each stage of a search, from light to dark."""
    names = list(dict.fromkeys(stages or ()))
    if not names:
        return {}
    colours = colour_map()(np.linspace(0.15, 1.0, len(names)))
    return dict(zip(names, map(tuple, colours), strict=True))


def label_text(text: str, max_length: int = 28) -> str:
    """The text of a label, at most `max_length` characters and not interpreted as a formula."""
    text = printable(text)
    short = text if len(text) <= max_length else f"{text[: max_length - 1]}…"
    return short.replace("$", r"\$")


def as_svg(figure: Any) -> bytes:
    """The figure as an SVG image; equal figures give equal bytes."""
    matplotlib = require("a report")
    buffer = io.BytesIO()
    settings = {"svg.hashsalt": "kerashp", "svg.fonttype": "path", "text.usetex": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the text of the page contains it
        figure.savefig(buffer, format="svg", dpi=120, metadata={"Date": None})
    return buffer.getvalue()
