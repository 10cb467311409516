"""All parameters and the score side by side, a line for each candidate."""

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
from kerashp.plotting._matplotlib import BEST, axes_of, colour_map, lines, plain, require
from kerashp.plotting._scales import LINEAR, Scale
from kerashp.plotting._slices import Columns

_ABSENT = -0.12  # below the axes, where what has no value is


class ParallelCoordinatesDisplay:
    """One axis for each parameter, on its own scale, and one for the score; a line for each candidate.

    Lines are coloured by score, the best on top. A line passes below an axis where its candidate has no such
    parameter, or has failed. Scores far below most are drawn at the lower end.

    Parameters
    ----------
    scores, numbers, scales, score_name, best
        As `SliceDisplay` has them.

    Attributes
    ----------
    scores, numbers, scales, score_name, best
        As given.
    heights : ndarray of shape (n_candidates, n_parameters + 1)
        Where each line crosses the axes, 0 at the lower end and 1 at the upper; the score's is the last. NaN
        where there is no value.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : matplotlib LineCollection
        From the worst candidate to the best.
    colorbar_ : matplotlib Colorbar or None
        None if all failed.
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
        self._shown = np.maximum(self.scores, worst_shown(self.scores))
        columns = [_share(scales[name].forward(own)) for name, own in numbers.items()]
        self.heights = np.column_stack([*columns, _share(self._shown)])

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
        ParallelCoordinatesDisplay

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
        >>> from kerashp.plotting import ParallelCoordinatesDisplay
        >>> grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.01, 1.0, 100.0]}, cv=3)
        >>> display = ParallelCoordinatesDisplay.from_search(grid.fit(*load_iris(return_X_y=True)))
        >>> display.heights[:, 0].tolist()
        [0.0, 0.5, 1.0]
        """
        caller = "ParallelCoordinatesDisplay.from_search"
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
            best=candidates.best,
        )

    @property
    def size(self) -> tuple[float, float]:
        """Of a figure in which all axes have room, in inches."""
        return max(6.4, 1.5 * len(self.numbers) + 2.5), 4.2

    def plot(self, ax: Any = None, **options: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Of a new figure if None.
        **options
            For matplotlib's `LineCollection`.

        Returns
        -------
        ParallelCoordinatesDisplay
        """
        self.ax_ = axes_of("ParallelCoordinatesDisplay.plot", ax, self.size)
        self.figure_ = self.ax_.figure
        self._draw_lines(options)
        for place, name in enumerate(self.numbers):
            low, high = _ends(self.numbers[name])
            self._draw_axis(place, self.scales[name], low, high)
        self._draw_axis(len(self.numbers), Scale(LINEAR), *_ends(self._shown))
        names = [plain(name, 24) for name in [*short_names([*self.numbers]).values(), self.score_name]]
        turned = (
            {"rotation": 20, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, names)) > 50 else {}
        )
        self.ax_.set_xticks(range(len(names)), names, **turned)
        self.ax_.set(xlim=(-0.3, len(names) - 0.9), ylim=(_ABSENT - 0.06, 1.06), yticks=[])
        self.ax_.tick_params(axis="x", length=0)
        for spine in self.ax_.spines.values():
            spine.set_visible(False)
        return self

    def _draw_lines(self, options: dict[str, Any]) -> None:
        order = np.argsort(np.where(np.isfinite(self._shown), self._shown, -np.inf), kind="stable")
        heights = np.where(np.isfinite(self.heights), self.heights, _ABSENT)[order]
        places = np.arange(heights.shape[1])
        paths = [np.column_stack([places, own]) for own in heights]
        width = 1.2 if len(paths) <= 100 else 0.6
        given = {
            "linewidths": width,
            "alpha": 0.7 if len(paths) <= 100 else 0.4,
            "cmap": colour_map(),
        } | options
        self.lines_ = lines(self.ax_, paths, **given)
        self.lines_.set_array(np.ma.masked_invalid(self._shown[order]))
        self.colorbar_ = None
        if self.best is not None:
            own = np.where(np.isfinite(self.heights), self.heights, _ABSENT)[self.best]
            self.ax_.plot(places, own, color=BEST, linewidth=2.5, label="best", zorder=3)
            self.colorbar_ = self.figure_.colorbar(self.lines_, ax=self.ax_, pad=0.01, fraction=0.05)
            self.colorbar_.solids.set_alpha(1)
            self.colorbar_.set_label(plain(self.score_name))
            self.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize="small", frameon=False)

    def _draw_axis(self, place: int, scale: Scale, low: float, high: float) -> None:
        self.ax_.plot([place, place], [0, 1], color="black", linewidth=0.8, zorder=4)
        at, labels = scale.ticks(low, high)
        ends = scale.forward([low, high])
        for height, label in zip(_share(scale.forward(at), ends), labels, strict=True):
            self._write(place, float(height), plain(label, 16))
        if not np.isfinite(self.heights[:, place]).all():
            self._write(place, _ABSENT, "failed" if place == len(self.numbers) else "absent")

    def _write(self, place: int, height: float, label: str) -> None:
        self.ax_.plot([place - 0.015, place], [height, height], color="black", linewidth=0.8, zorder=4)
        box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}
        where = {"ha": "right", "va": "center", "fontsize": "x-small", "zorder": 5, "bbox": box}
        self.ax_.text(place - 0.03, height, label, **where)


def _ends(numbers: np.ndarray) -> tuple[float, float]:
    present = numbers[np.isfinite(numbers)]
    return (float(present.min()), float(present.max())) if present.size else (0.0, 0.0)


def _share(places: np.ndarray, ends: Any = None) -> np.ndarray:
    """Of the way from the least to the greatest; in the middle where they are one."""
    low, high = _ends(places) if ends is None else ends
    return (places - low) / (high - low) if low < high else np.where(np.isfinite(places), 0.5, np.nan)
