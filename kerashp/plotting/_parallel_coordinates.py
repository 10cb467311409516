"""The display of parallel coordinates: an axis for each parameter, a line for each candidate."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from kerashp.plotting._candidates import (
    Candidates,
    best_of,
    candidates_of,
    parameters_to_draw,
    short_names,
    spaces_of,
    without_infinite,
    worst_shown,
)
from kerashp.plotting._matplotlib import BEST, axes_of, colour_map, draw_lines, label_text, require
from kerashp.plotting._scales import LINEAR, Scale
from kerashp.plotting._slices import Columns

_ABSENT = -0.12  # the height, below the axes, of missing values


class ParallelCoordinatesDisplay:
    """An axis for each parameter, on its own scale, and one for the score; a line for each candidate.

    Lines are coloured by score, with the best on top. A line passes below an axis if the candidate does not
    have the parameter, or has failed. Scores far below most are drawn at the lower end.

    Parameters
    ----------
    scores : array of shape (n_candidates,)
        Mean test scores; NaN for a candidate that failed.
    numbers : dict of str to array of shape (n_candidates,)
        The values of each parameter, or indices of categories; NaN for a missing value.
    scales : dict of str to Scale
        The scale of each parameter, as determined by `from_search`.
    score_name : str, default="score"
        The name of the score.
    best : int, default=None
        The index of the candidate that is drawn on top; if None, that of the greatest score.

    Attributes
    ----------
    scores, numbers, scales, score_name, best
        The parameters.
    heights : ndarray of shape (n_candidates, n_parameters + 1)
        The heights at which each line crosses the axes, from 0 at the lower end to 1 at the upper end; the
        last one is that of the score. NaN for a missing value.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : matplotlib LineCollection
        The lines of all candidates, in ascending order of scores.
    colorbar_ : matplotlib Colorbar or None
        None if all failed.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.model_selection import GridSearchCV
    >>> from kerashp.plotting import ParallelCoordinatesDisplay
    >>> grid = {"alpha": [0.01, 1.0], "class_weight": [None, "balanced"]}
    >>> search = GridSearchCV(RidgeClassifier(), grid, cv=3).fit(*load_iris(return_X_y=True))
    >>> ParallelCoordinatesDisplay.from_search(search).heights.shape
    (4, 3)
    """

    def __init__(
        self,
        scores: Any,
        numbers: Mapping[str, np.ndarray],
        scales: Mapping[str, Scale],
        *,
        score_name: str = "score",
        best: int | None = None,
    ):
        self.scores = without_infinite(scores)
        self.numbers = numbers
        self.scales = scales
        self.score_name = score_name
        self.best = best_of(self.scores) if best is None else best
        self._drawn_scores = np.maximum(self.scores, worst_shown(self.scores))
        columns = [_relative(scales[name].forward(values)) for name, values in numbers.items()]
        self.heights = np.column_stack([*columns, _relative(self._drawn_scores)])

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        parameters: Sequence[str] | None = None,
        metric: str | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draw the candidates of a fitted search.

        Parameters
        ----------
        search : search of kerashp or scikit-learn
            A fitted search.
        parameters : list of str, default=None
            The parameters to draw; if None, those that differ between candidates.
        metric : str, default=None
            The score to draw, for a search with several; if None, the one in `refit`.
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        **options
            Options of `plot`.

        Returns
        -------
        ParallelCoordinatesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError, sklearn.exceptions.NotFittedError
            If `search` is not a fitted search, or does not have the score or a parameter.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import RidgeClassifier
        >>> from sklearn.model_selection import GridSearchCV
        >>> from kerashp.plotting import ParallelCoordinatesDisplay
        >>> grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.01, 1.0, 100.0]}, cv=3)
        >>> display = ParallelCoordinatesDisplay.from_search(grid.fit(*load_iris(return_X_y=True)))
        >>> display.heights[:, 0].tolist()
        [0.0, 0.5, 1.0]
        """
        caller = "ParallelCoordinatesDisplay.from_search"
        require(caller)
        candidates = candidates_of(caller, search, metric)
        names = parameters_to_draw(caller, candidates, parameters)
        return cls.from_candidates(candidates, names, spaces_of(search)).plot(ax, **options)

    @classmethod
    def from_candidates(
        cls, candidates: Candidates, parameters: Sequence[str], spaces: Mapping[str, list[Any]]
    ) -> Self:
        """Make a display from a table of candidates, without drawing it.

        Parameters
        ----------
        candidates : Candidates
            The scores, times and parameters of the candidates, as `from_search` reads them from a search.
        parameters : sequence of str
            The parameters to draw.
        spaces : dict of str to list
            The distributions and lists from which each parameter was drawn.

        Returns
        -------
        ParallelCoordinatesDisplay
            A display without axes; `plot` draws it.
        """
        columns = Columns(candidates, parameters, spaces)
        return cls(
            candidates.scores,
            columns.numbers,
            columns.scales,
            score_name=candidates.score_name,
            best=candidates.best,
        )

    @property
    def size(self) -> tuple[float, float]:
        """The size in inches of a figure with room for all axes."""
        return max(6.4, 1.5 * len(self.numbers) + 2.5), 4.2

    def plot(self, ax: Any = None, **options: Any) -> Self:
        """Draw the lines and axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        **options
            Options of matplotlib's `LineCollection`.

        Returns
        -------
        ParallelCoordinatesDisplay
        """
        self.ax_ = axes_of("ParallelCoordinatesDisplay.plot", ax, self.size)
        self.figure_ = self.ax_.figure
        self._draw_lines(options)
        for place, name in enumerate(self.numbers):
            low, high = _limits(self.numbers[name])
            self._draw_axis(place, self.scales[name], low, high)
        self._draw_axis(len(self.numbers), Scale(LINEAR), *_limits(self._drawn_scores))
        names = [label_text(name, 24) for name in [*short_names([*self.numbers]).values(), self.score_name]]
        is_crowded = sum(map(len, names)) > 50
        style = {"rotation": 20, "ha": "right", "rotation_mode": "anchor"} if is_crowded else {}
        self.ax_.set_xticks(range(len(names)), names, **style)
        self.ax_.set(xlim=(-0.3, len(names) - 0.9), ylim=(_ABSENT - 0.06, 1.06), yticks=[])
        self.ax_.tick_params(axis="x", length=0)
        for spine in self.ax_.spines.values():
            spine.set_visible(False)
        return self

    def _draw_lines(self, options: dict[str, Any]) -> None:
        order = np.argsort(
            np.where(np.isfinite(self._drawn_scores), self._drawn_scores, -np.inf), kind="stable"
        )
        heights = np.where(np.isfinite(self.heights), self.heights, _ABSENT)[order]
        places = np.arange(heights.shape[1])
        paths = [np.column_stack([places, line]) for line in heights]
        width, alpha = (1.2, 0.7) if len(paths) <= 100 else (0.6, 0.4)
        style = {"linewidths": width, "alpha": alpha, "cmap": colour_map()} | options
        self.lines_ = draw_lines(self.ax_, paths, **style)
        self.lines_.set_array(np.ma.masked_invalid(self._drawn_scores[order]))
        self.colorbar_ = None
        if self.best is not None:
            best = np.where(np.isfinite(self.heights), self.heights, _ABSENT)[self.best]
            self.ax_.plot(places, best, color=BEST, linewidth=2.5, label="best", zorder=3)
            self.colorbar_ = self.figure_.colorbar(self.lines_, ax=self.ax_, pad=0.01, fraction=0.05)
            self.colorbar_.solids.set_alpha(1)
            self.colorbar_.set_label(label_text(self.score_name))
            self.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize="small", frameon=False)

    def _draw_axis(self, place: int, scale: Scale, low: float, high: float) -> None:
        self.ax_.plot([place, place], [0, 1], color="black", linewidth=0.8, zorder=4)
        ticks, labels = scale.ticks(low, high)
        limits = scale.forward([low, high])
        for height, label in zip(_relative(scale.forward(ticks), limits), labels, strict=True):
            self._write_label(place, float(height), label_text(label, 16))
        if not np.isfinite(self.heights[:, place]).all():
            self._write_label(place, _ABSENT, "failed" if place == len(self.numbers) else "absent")

    def _write_label(self, place: int, height: float, label: str) -> None:
        self.ax_.plot([place - 0.015, place], [height, height], color="black", linewidth=0.8, zorder=4)
        box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}
        style = {"ha": "right", "va": "center", "fontsize": "x-small", "zorder": 5, "bbox": box}
        self.ax_.text(place - 0.03, height, label, **style)


def _limits(numbers: np.ndarray) -> tuple[float, float]:
    present = numbers[np.isfinite(numbers)]
    return (float(present.min()), float(present.max())) if present.size else (0.0, 0.0)


def _relative(places: np.ndarray, limits: Any = None) -> np.ndarray:
    """Places relative to their limits, from 0 to 1; 0.5 if the limits are equal."""
    low, high = _limits(places) if limits is None else limits
    return (places - low) / (high - low) if low < high else np.where(np.isfinite(places), 0.5, np.nan)
