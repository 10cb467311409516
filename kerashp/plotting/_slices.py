"""The display of the score against each parameter, on the scale of the parameter."""

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
from kerashp.plotting._matplotlib import BEST, COLOURS, dot_style, grid_of, label_text, require, stage_colours
from kerashp.plotting._scales import CATEGORIES, LOG, MISSING, ONE_MINUS_LOG, Scale, scale_of

_GOLDEN = 0.6180339887498949


class Columns:
    """The values of parameters by candidate, with their scales.

    Parameters
    ----------
    candidates : Candidates
        The candidates of a search.
    parameters : list of str
        Names of parameters.
    spaces : dict of str to list
        The distributions or lists of each parameter.

    Attributes
    ----------
    scales : dict of str to Scale
        The scale of each parameter.
    numbers : dict of str to ndarray of shape (n_candidates,)
        Values, or indices of categories; NaN if a candidate does not have the parameter.
    """

    def __init__(self, candidates: Candidates, parameters: Sequence[str], spaces: Mapping[str, list[Any]]):
        self.scales: dict[str, Scale] = {}
        self.numbers: dict[str, np.ndarray] = {}
        for name in parameters:
            values = [params.get(name, MISSING) for params in candidates.params]
            self.scales[name] = scale_of(values, spaces.get(name, []))
            self.numbers[name] = self.scales[name].numbers(values)


class SliceDisplay:
    """The score of each candidate against each parameter, on the scale of the parameter.

    The axis of a log-uniform parameter is logarithmic, that of a parameter near 1 (`one_minus_loguniform`)
    logarithmic in 1 - value, and that of a choice has a place for each category. Candidates without a
    parameter are omitted from its plot; scores far below most are drawn at the lower edge, as triangles that
    point down.

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
    stages : sequence of str, default=None
        The round or iteration of each candidate, which determines its colour.
    best : int, default=None
        The index of the candidate that a star marks; if None, that of the greatest score.

    Attributes
    ----------
    scores, numbers, scales, score_name, stages, best
        The parameters.
    axes_ : list of matplotlib Axes
        The axes of each parameter.
    figure_ : matplotlib Figure
    scatters_ : list of matplotlib artists
        The dots of each parameter.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.model_selection import GridSearchCV
    >>> from kerashp.plotting import SliceDisplay
    >>> search = GridSearchCV(RidgeClassifier(), {"alpha": [0.01, 1.0, 100.0]}, cv=3)
    >>> display = SliceDisplay.from_search(search.fit(*load_iris(return_X_y=True)))
    >>> display.numbers["alpha"].tolist()
    [0.01, 1.0, 100.0]
    """

    def __init__(
        self,
        scores: Any,
        numbers: Mapping[str, np.ndarray],
        scales: Mapping[str, Scale],
        *,
        score_name: str = "score",
        stages: Sequence[str] | None = None,
        best: int | None = None,
    ):
        self.scores = without_infinite(scores)
        self.numbers = numbers
        self.scales = scales
        self.score_name = score_name
        self.best = best_of(self.scores) if best is None else best
        self.stages = stages

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
        ax : matplotlib Axes or array of them, default=None
            One for each parameter; if None, those of a new figure.
        **options
            Options of `plot`.

        Returns
        -------
        SliceDisplay

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
        >>> from kerashp.plotting import SliceDisplay
        >>> grid = {"alpha": [0.01, 1.0, 100.0], "class_weight": [None, "balanced"]}
        >>> search = GridSearchCV(RidgeClassifier(), grid, cv=3).fit(*load_iris(return_X_y=True))
        >>> display = SliceDisplay.from_search(search)
        >>> {name: scale.kind for name, scale in display.scales.items()}
        {'alpha': 'log', 'class_weight': 'categories'}
        """
        caller = "SliceDisplay.from_search"
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
        SliceDisplay
            A display without axes; `plot` draws it.
        """
        columns = Columns(candidates, parameters, spaces)
        return cls(
            candidates.scores,
            columns.numbers,
            columns.scales,
            score_name=candidates.score_name,
            stages=candidates.stages,
            best=candidates.best,
        )

    def plot(self, ax: Any = None, **options: Any) -> Self:
        """Draw the plots of all parameters.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One for each parameter; if None, those of a new figure.
        **options
            Options of matplotlib's `scatter`.

        Returns
        -------
        SliceDisplay
        """
        self.axes_ = grid_of("SliceDisplay.plot", ax, len(self.numbers))
        self.figure_ = self.axes_[0].figure
        self.scatters_ = [
            self._draw_parameter(ax, name, options) for ax, name in zip(self.axes_, self.numbers, strict=True)
        ]
        for ax in self.axes_:
            if ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():
                ax.set_ylabel(label_text(self.score_name))
        self._draw_legend()
        return self

    def _draw_parameter(self, ax: Any, name: str, options: dict[str, Any]) -> Any:
        scale, x = self.scales[name], _without_overlap(self.numbers[name], self.scales[name])
        edge = worst_shown(self.scores)
        heights, below = np.maximum(self.scores, edge), self.scores < edge
        size = dot_style(len(x))
        by_stage = stage_colours(self.stages)
        colours = np.array([by_stage[stage] for stage in self.stages]) if self.stages else None
        inside = np.isfinite(x) & np.isfinite(heights) & ~below
        style = {"c": COLOURS[0] if colours is None else colours[inside], "alpha": 0.75, "linewidths": 0}
        dots = ax.scatter(x[inside], heights[inside], **(size | style | options))
        ax.scatter(x[below], heights[below], marker="v", color=COLOURS[3], **size)
        if self.best is not None:
            star = {"marker": "*", "s": 130, "color": BEST, "edgecolors": "white", "zorder": 3}
            ax.scatter(x[self.best], heights[self.best], **star)
        set_scale(ax, scale, self.numbers[name])
        ax.set_xlabel(label_text(short_names([*self.numbers])[name], 36))
        return dots

    def _draw_legend(self) -> None:
        by_stage = stage_colours(self.stages)
        if not 1 < len(by_stage) <= 10:
            return
        for stage, colour in by_stage.items():
            self.axes_[-1].scatter([], [], color=[colour], s=18, label=label_text(stage))
        self.axes_[-1].legend(fontsize="x-small", framealpha=0.8)


def set_scale(ax: Any, scale: Scale, numbers: np.ndarray) -> None:
    """Set the scale, the limits and the labels of the x axis for a parameter."""
    present = numbers[np.isfinite(numbers)]
    low, high = (float(present.min()), float(present.max())) if present.size else (0.0, 0.0)
    places = scale.forward([low, high])
    margin = 0.5 if scale.kind == CATEGORIES else 0.06 * (places[1] - places[0]) or 0.5
    # Before the scale, which would otherwise choose limits beyond the range of floats.
    ax.set_xlim(*scale.backward([places[0] - margin, places[1] + margin]))
    if scale.kind == LOG:
        ax.set_xscale("log")
        ax.minorticks_off()
    elif scale.kind == ONE_MINUS_LOG:
        ax.set_xscale("function", functions=(scale.forward, scale.backward))
    ticks, labels = scale.ticks(low, high)
    is_crowded = sum(map(len, labels)) > 26
    style = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if is_crowded else {}
    ax.set_xticks(ticks, [label_text(label, 16) for label in labels], fontsize="small", **style)


def _without_overlap(numbers: np.ndarray, scale: Scale) -> np.ndarray:
    """The x values of the dots; those of a category are spread so that they do not hide each other."""
    if scale.kind != CATEGORIES:
        return numbers
    return numbers + 0.4 * (np.arange(len(numbers)) * _GOLDEN % 1 - 0.5)
