"""The score against each parameter, on the parameter's own scale."""

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
from kerashp.plotting._matplotlib import BEST, COLOURS, dots, grid_of, plain, require, stage_colours
from kerashp.plotting._scales import CATEGORIES, LOG, MISSING, ONE_MINUS_LOG, Scale, scale_of

_GOLDEN = 0.6180339887498949


class Columns:
    """The values of parameters by candidate, each on its own scale.

    Parameters
    ----------
    candidates : Candidates
    parameters : list of str
    spaces : dict from str to list
        What each parameter was drawn from.

    Attributes
    ----------
    scales : dict from str to Scale
    numbers : dict from str to ndarray of shape (n_candidates,)
        Values, or places of categories; NaN where a candidate has no such parameter.
    """

    def __init__(self, candidates: Candidates, parameters: Sequence[str], spaces: Mapping[str, list[Any]]):
        self.scales: dict[str, Scale] = {}
        self.numbers: dict[str, np.ndarray] = {}
        for name in parameters:
            values = [params.get(name, MISSING) for params in candidates.params]
            self.scales[name] = scale_of(values, spaces.get(name, []))
            self.numbers[name] = self.scales[name].numbers(values)


class SliceDisplay:
    """The score of each candidate against each parameter, on the parameter's own scale.

    Log-uniform parameters have a log axis, those near 1 (`one_minus_loguniform`) one on which 1 - value is on
    a log scale, and choices one place each. Candidates without a parameter are left out of its picture;
    scores far below most are drawn at the lower edge, as triangles that point down.

    Parameters
    ----------
    scores : array of shape (n_candidates,)
        NaN where a candidate failed.
    numbers : dict from str to array of shape (n_candidates,)
        The values by parameter, or places of categories; NaN where there is none.
    scales : dict from str to Scale
        As `from_search` finds them.
    score_name : str, default="score"
    stages : sequence of str, default=None
        The round or iteration of each candidate, by which it is coloured.
    best : int, default=None
        The candidate that a star marks; that of the greatest score if None.

    Attributes
    ----------
    scores, numbers, scales, score_name, stages, best
        As given.
    axes_ : list of matplotlib Axes
        One for each parameter.
    figure_ : matplotlib Figure
    scatters_ : list of matplotlib artists
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
        """Draw a fitted search.

        Parameters
        ----------
        search : search of kerashp or scikit-learn
            Fitted.
        parameters : list of str, default=None
            Those that differ between candidates if None.
        metric : str, default=None
            Which score, where there are several; the one that `refit` names if None.
        ax, **options
            See `plot`.

        Returns
        -------
        SliceDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError, sklearn.exceptions.NotFittedError
            If it is no fitted search, or has no such score or parameter.

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
        found = candidates_of(caller, search, metric)
        return cls.from_candidates(
            found, parameters_to_draw(caller, found, parameters), spaces_of(search)
        ).plot(ax, **options)

    @classmethod
    def from_candidates(
        cls, candidates: Candidates, parameters: Sequence[str], spaces: Mapping[str, list[Any]]
    ) -> Self:
        """Of a table of candidates; nothing is drawn."""
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
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One for each parameter; those of a new figure if None.
        **options
            For matplotlib's `scatter`.

        Returns
        -------
        SliceDisplay
        """
        self.axes_ = grid_of("SliceDisplay.plot", ax, len(self.numbers))
        self.figure_ = self.axes_[0].figure
        self.scatters_ = [
            self._draw(one, name, options) for one, name in zip(self.axes_, self.numbers, strict=True)
        ]
        for first in self.axes_:
            if first.get_subplotspec() is None or first.get_subplotspec().is_first_col():
                first.set_ylabel(plain(self.score_name))
        self._draw_legend()
        return self

    def _draw(self, ax: Any, name: str, options: dict[str, Any]) -> Any:
        scale, x = self.scales[name], _spread(self.numbers[name], self.scales[name])
        edge = worst_shown(self.scores)
        heights, below = np.maximum(self.scores, edge), self.scores < edge
        size = dots(len(x))
        known = stage_colours(self.stages)
        colours = np.array([known[stage] for stage in self.stages]) if self.stages else None
        shown = np.isfinite(x) & np.isfinite(heights) & ~below
        given = {"c": COLOURS[0] if colours is None else colours[shown], "alpha": 0.75, "linewidths": 0}
        drawn = ax.scatter(x[shown], heights[shown], **(size | given | options))
        ax.scatter(x[below], heights[below], marker="v", color=COLOURS[3], **size)
        if self.best is not None:
            star = {"marker": "*", "s": 130, "color": BEST, "edgecolors": "white", "zorder": 3}
            ax.scatter(x[self.best], heights[self.best], **star)
        set_scale(ax, scale, self.numbers[name])
        ax.set_xlabel(plain(short_names([*self.numbers])[name], 36))
        return drawn

    def _draw_legend(self) -> None:
        known = stage_colours(self.stages)
        if not 1 < len(known) <= 10:
            return
        for stage, colour in known.items():
            self.axes_[-1].scatter([], [], color=[colour], s=18, label=plain(stage))
        self.axes_[-1].legend(fontsize="x-small", framealpha=0.8)


def set_scale(ax: Any, scale: Scale, numbers: np.ndarray) -> None:
    """Give an x axis a parameter's scale, and what is written at it."""
    present = numbers[np.isfinite(numbers)]
    low, high = (float(present.min()), float(present.max())) if present.size else (0.0, 0.0)
    places = scale.forward([low, high])
    margin = 0.5 if scale.kind == CATEGORIES else 0.06 * (places[1] - places[0]) or 0.5
    # Before the scale, which would look for limits itself, beyond what floats can be.
    ax.set_xlim(*scale.backward([places[0] - margin, places[1] + margin]))
    if scale.kind == LOG:
        ax.set_xscale("log")
        ax.minorticks_off()
    elif scale.kind == ONE_MINUS_LOG:
        ax.set_xscale("function", functions=(scale.forward, scale.backward))
    at, labels = scale.ticks(low, high)
    crowded = sum(map(len, labels)) > 26
    turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    ax.set_xticks(at, [plain(label, 16) for label in labels], fontsize="small", **turned)


def _spread(numbers: np.ndarray, scale: Scale) -> np.ndarray:
    """Places of points: those of one category are set apart, so that they do not hide each other."""
    if scale.kind != CATEGORIES:
        return numbers
    return numbers + 0.4 * (np.arange(len(numbers)) * _GOLDEN % 1 - 0.5)
