"""The display of a search's scores in the order of candidates."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from kerashp._arguments import Arguments
from kerashp.plotting._candidates import Candidates, best_of, candidates_of, without_infinite, worst_shown
from kerashp.plotting._matplotlib import (
    BEST,
    COLOURS,
    add_legend,
    axes_of,
    dot_style,
    label_text,
    require,
    stage_colours,
)

_BY = ("candidates", "time")


class SearchHistoryDisplay:
    r"""The score of each candidate of a search, and the best score so far.

    With scores $s_i$, where greater is better, the best so far is $b_i = \max_{j \le i} s_j$. Scores far
    below most are drawn at the lower edge, as triangles that point down.

    Parameters
    ----------
    scores : array of shape (n_candidates,)
        Mean test scores in the order of the search; NaN for a candidate that failed.
    seconds : array of shape (n_candidates,), default=None
        The time of each candidate over all splits.
    score_name : str, default="score"
        The name of the score.
    stages : sequence of str, default=None
        The round or iteration of each candidate, which determines its colour.

    Attributes
    ----------
    scores, seconds, stages
        The parameters; `seconds` is zeros if None.
    best_scores : ndarray of shape (n_candidates,)
        The best score so far; NaN as long as all candidates have failed.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib artist
        The line of the best score so far.
    scatters_ : list of matplotlib artists
        The dots of the candidates of each stage.

    Examples
    --------
    >>> from kerashp.plotting import SearchHistoryDisplay
    >>> display = SearchHistoryDisplay([0.2, float("nan"), 0.1, 0.6], [2.0, 1.0, 1.0, 2.0])
    >>> display.best_scores.tolist(), display.elapsed.tolist()
    ([0.2, 0.2, 0.2, 0.6], [2.0, 3.0, 4.0, 6.0])
    """

    def __init__(
        self,
        scores: Any,
        seconds: Any = None,
        *,
        score_name: str = "score",
        stages: Sequence[str] | None = None,
    ):
        self.scores = without_infinite(scores)
        self.seconds = np.zeros(len(self.scores)) if seconds is None else np.asarray(seconds, float)
        self.score_name = score_name
        self.stages = stages
        for name, column in (
            ("seconds", self.seconds),
            ("stages", self.scores if stages is None else stages),
        ):
            if len(column) != len(self.scores):
                raise ValueError(
                    f"SearchHistoryDisplay: {name} must have one entry per candidate, {len(self.scores)}; "
                    f"got {len(column)}"
                )
        self.best_scores = np.fmax.accumulate(self.scores)

    @property
    def elapsed(self) -> np.ndarray:
        """The cumulative time of the candidates."""
        return np.cumsum(self.seconds)

    @classmethod
    def from_search(
        cls, search: Any, *, metric: str | None = None, by: str = "candidates", ax: Any = None, **options: Any
    ) -> Self:
        """Draw the candidates of a fitted search.

        Parameters
        ----------
        search : search of kerashp or scikit-learn
            A fitted search.
        metric : str, default=None
            The score to draw, for a search with several; if None, the one in `refit`.
        by : {"candidates", "time"}, default="candidates"
            The x axis; see `plot`.
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        **options
            Options of `plot`.

        Returns
        -------
        SearchHistoryDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError, sklearn.exceptions.NotFittedError
            If `search` is not a fitted search, or does not have the score.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import RidgeClassifier
        >>> from sklearn.model_selection import GridSearchCV
        >>> from kerashp.plotting import SearchHistoryDisplay
        >>> grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.01, 1.0, 100.0]}, cv=3)
        >>> display = SearchHistoryDisplay.from_search(grid.fit(*load_iris(return_X_y=True)))
        >>> len(display.best_scores)
        3
        """
        caller = "SearchHistoryDisplay.from_search"
        require(caller)
        return cls.from_candidates(candidates_of(caller, search, metric)).plot(ax, by=by, **options)

    @classmethod
    def from_candidates(cls, candidates: Candidates) -> Self:
        """Make a display from a table of candidates, without drawing it.

        Parameters
        ----------
        candidates : Candidates
            The scores, times and parameters of the candidates, as `from_search` reads them from a search.

        Returns
        -------
        SearchHistoryDisplay
            A display without axes; `plot` draws it.
        """
        return cls(
            candidates.scores,
            candidates.seconds,
            score_name=candidates.score_name,
            stages=candidates.stages,
        )

    def plot(self, ax: Any = None, *, by: str = "candidates", **options: Any) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        by : {"candidates", "time"}, default="candidates"
            The x axis: the number of candidates, or their cumulative seconds of fitting and scoring over all
            splits and processes.
        **options
            Options of matplotlib's `scatter`.

        Returns
        -------
        SearchHistoryDisplay
        """
        check = Arguments("SearchHistoryDisplay.plot")
        check.choice("by", by, _BY)
        if by == "time" and not self.seconds.any():
            raise ValueError("SearchHistoryDisplay.plot: by='time' requires seconds, but there are none")
        self.ax_ = axes_of(check.caller, ax)
        self.figure_ = self.ax_.figure
        x = self.elapsed if by == "time" else np.arange(1, len(self.scores) + 1)
        (self.line_,) = self.ax_.step(
            x, self.best_scores, where="post", color=BEST, label="best so far", zorder=1
        )
        edge = worst_shown(self.scores)
        self._draw_candidates(x, edge, options)
        self._draw_failed(x)
        self.ax_.set_xlabel("seconds of fitting and scoring" if by == "time" else "candidates")
        self.ax_.set_ylabel(label_text(self.score_name))
        if by == "candidates":
            self.ax_.xaxis.get_major_locator().set_params(integer=True)
        top = edge if self.best is None else self.scores[self.best]
        margin = 0.05 * (top - edge) or 0.5
        self.ax_.set_ylim(edge - 1.5 * margin, top + margin)
        add_legend(self.ax_, len(self.scores), "lower right")
        return self

    def _draw_candidates(self, x: np.ndarray, edge: float, options: dict[str, Any]) -> None:
        heights = np.maximum(self.scores, edge)
        below, size = self.scores < edge, dot_style(len(x))
        colours = stage_colours(self.stages) or {"candidates": COLOURS[0]}
        stages = np.array(self.stages if self.stages is not None else ["candidates"] * len(x), dtype=object)
        self.scatters_ = []
        for stage, colour in colours.items():
            inside = (stages == stage) & ~below & np.isfinite(self.scores)
            label = label_text(stage) if len(colours) <= 10 else None
            style = size | {"color": [colour], "label": label, "alpha": 0.8, "linewidths": 0} | options
            self.scatters_.append(self.ax_.scatter(x[inside], heights[inside], **style))
        if below.any():
            label = f"{int(below.sum())} lower"
            self.ax_.scatter(x[below], heights[below], marker="v", color=COLOURS[3], label=label, **size)

    def _draw_failed(self, x: np.ndarray) -> None:
        failed = ~np.isfinite(self.scores)
        if failed.any():
            edge_style = {"transform": self.ax_.get_xaxis_transform(), "clip_on": False}
            label = f"{int(failed.sum())} failed"
            zeros = np.zeros(int(failed.sum()))
            self.ax_.scatter(x[failed], zeros, marker="x", color="black", s=22, label=label, **edge_style)

    @property
    def best(self) -> int | None:
        """The index of the best candidate; None if all failed."""
        return best_of(self.scores)
