"""The display of learning curves."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from kerashp.plotting._candidates import worst_shown
from kerashp.plotting._curves import Curve, curves_of_estimator, curves_of_history, curves_of_search
from kerashp.plotting._matplotlib import (
    BEST,
    COLOURS,
    OTHERS,
    add_legend,
    axes_of,
    draw_lines,
    label_text,
    require,
)

_MAX_OTHERS = 500  # fits drawn in grey
_LEAST_RATIO = 20.0  # of the greatest value to the lowest, for a log scale


class LearningCurvesDisplay:
    """The learning curves of one training, or of all fits of a search with the best candidate on top.

    For the best candidate, or a single training, the curves of training rows (dashed) and validation rows
    are drawn, with a ring at each best epoch; for the other candidates the curve of validation rows, or of
    training rows if there are none, in grey. A bar marks the end of a curve by early stopping, and a cross
    that the next value is not finite.

    Parameters
    ----------
    curves : list of Curve
        The curves, as returned by `from_search`, `from_estimator` and `from_history`.
    best : int, default=0
        The candidate that is drawn on top.
    curve : str, default="loss"
        The name of the loss or metric.

    Attributes
    ----------
    curves, best, curve
        The parameters. Each of `curves` has `values`, `candidate`, `split`, `validation`, `end` ("ran",
        "stopped" or "diverged") and `best_epoch`.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib artists
        The best candidate's curves.
    others_ : matplotlib LineCollection or None
        The curves of the other candidates if there are any; a selection if there are very many.

    Examples
    --------
    >>> from kerashp.plotting import LearningCurvesDisplay
    >>> history = {"loss": [1.0, 0.6, 0.5], "val_loss": [1.1, 0.8, 0.9]}
    >>> display = LearningCurvesDisplay.from_history(history)
    >>> [curve.validation for curve in display.curves]
    [False, True]
    """

    def __init__(self, curves: Sequence[Curve], *, best: int = 0, curve: str = "loss"):
        self.curves = list(curves)
        self.best = best
        self.curve = curve

    @classmethod
    def from_search(
        cls, search: Any, *, curve: str = "loss", metric: str | None = None, ax: Any = None, **options: Any
    ) -> Self:
        """Draw the curves of all fits of a search.

        Parameters
        ----------
        search : search of kerashp.model_selection
            Fitted, over an estimator of kerashp.
        curve : str, default="loss"
            The name of a loss or a compiled metric.
        metric : str, default=None
            The score that determines the best candidate; if None, the one that the search used.
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        **options
            Options of `plot`.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError, sklearn.exceptions.NotFittedError
            If `search` is not a fitted search, or does not have the curves or the score.

        Examples
        --------
        >>> import numpy as np
        >>> from kerashp import KerasMLPRegressor
        >>> from kerashp.model_selection import GridSearchCV
        >>> from kerashp.plotting import LearningCurvesDisplay
        >>> X = np.random.default_rng(0).normal(size=(60, 3))
        >>> mlp = KerasMLPRegressor(0, epochs=3, random_state=0)
        >>> search = GridSearchCV(mlp, {"learning_rate": [0.001, 0.01]}, cv=2, refit=False)
        >>> display = LearningCurvesDisplay.from_search(search.fit(X, X[:, 0]))
        >>> len(display.curves), display.best == int(search.best_index_)
        (4, True)
        """
        caller = "LearningCurvesDisplay.from_search"
        require(caller)
        curves, best = curves_of_search(caller, search, curve, metric)
        return cls(curves, best=best, curve=curve).plot(ax, **options)

    @classmethod
    def from_estimator(cls, estimator: Any, *, curve: str = "loss", ax: Any = None, **options: Any) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator of kerashp
            A fitted estimator, alone, as the last step of pipelines or in a `TransformedTargetRegressor`.
        curve : str, default="loss"
            The name of a loss or a compiled metric.
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        **options
            Options of `plot`.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError, sklearn.exceptions.NotFittedError
            If it is not such an estimator, or does not have the curve.
        """
        caller = "LearningCurvesDisplay.from_estimator"
        require(caller)
        return cls(curves_of_estimator(caller, estimator, curve), curve=curve).plot(ax, **options)

    @classmethod
    def from_history(cls, history: Any, *, curve: str = "loss", ax: Any = None, **options: Any) -> Self:
        """Draw the curves of a history.

        Parameters
        ----------
        history : keras History or dict from str to list of float
            The result of `Model.fit`, or the curves by name.
        curve : str, default="loss"
            The name of a curve; the one with the prefix "val_" is drawn as well.
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        **options
            Options of `plot`.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If `history` is not a history, does not have the curve, or the curve contains other values than
            numbers.

        Examples
        --------
        >>> from kerashp.plotting import LearningCurvesDisplay
        >>> display = LearningCurvesDisplay.from_history({"loss": [1.0, 0.5, float("nan"), 0.4]})
        >>> display.curves[0].values.tolist(), display.curves[0].end
        ([1.0, 0.5], 'diverged')
        """
        caller = "LearningCurvesDisplay.from_history"
        require(caller)
        return cls(curves_of_history(caller, history, curve), curve=curve).plot(ax, **options)

    def plot(self, ax: Any = None, **options: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        **options
            Options of matplotlib's `plot` for the lines on top.

        Returns
        -------
        LearningCurvesDisplay
        """
        self.ax_ = axes_of("LearningCurvesDisplay.plot", ax)
        self.figure_ = self.ax_.figure
        self._draw_others()
        self._draw_best(options)
        self._set_scale()
        self.ax_.set(xlabel="epoch", ylabel=label_text(self.curve))
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        add_legend(self.ax_, len(self.curves), "upper right")
        return self

    def _draw_others(self) -> None:
        others = _curve_by_fit(
            [curve for curve in self.curves if curve.candidate != self.best and len(curve.values)]
        )
        drawn = others[:: -(-len(others) // _MAX_OTHERS) or 1]
        self.others_ = None
        if drawn:
            paths = [_path(curve) for curve in drawn]
            alpha = min(0.5, max(0.08, 30 / len(paths)))
            n_candidates = len({curve.candidate for curve in drawn})
            label = f"{n_candidates} other{'s' * (n_candidates > 1)}"
            if len(drawn) < len(others):
                label = f"{len(drawn):,} of {len(others):,} other fits"
            style = {"colors": OTHERS, "linewidths": 0.8, "alpha": alpha}
            self.others_ = draw_lines(self.ax_, paths, label=label, **style)
            self._mark_ends(drawn, OTHERS, alpha)

    def _draw_best(self, options: dict[str, Any]) -> None:
        best_curves = [curve for curve in self.curves if curve.candidate == self.best]
        has_others = len({curve.candidate for curve in self.curves}) > 1
        self.lines_ = []
        with_label: set[bool] = set()
        for curve in best_curves:
            rows = "validation" if curve.validation else "training"
            label = None if curve.validation in with_label else f"best, {rows}" if has_others else rows
            with_label.add(curve.validation)
            style = {"color": BEST, "ls": "-"} if curve.validation else {"color": COLOURS[0], "ls": "--"}
            style |= {"label": label, "linewidth": 1.5} | options
            self.lines_ += self.ax_.plot(*_path(curve).T, **style)
        for validation, colour in ((False, COLOURS[0]), (True, BEST)):
            self._mark_ends([curve for curve in best_curves if curve.validation == validation], colour, 1.0)
        self._mark_best_epochs(_curve_by_fit(best_curves))

    def _mark_best_epochs(self, curves: Sequence[Curve]) -> None:
        points = np.array(
            [
                (curve.best_epoch + 1, curve.values[curve.best_epoch])
                for curve in curves
                if curve.best_epoch is not None and curve.best_epoch < len(curve.values)
            ]
        ).reshape(-1, 2)
        if points.size:
            ring = {"facecolors": "none", "edgecolors": "black", "s": 40, "zorder": 4}
            self.ax_.scatter(*points.T, label="best epoch", **ring)

    def _mark_ends(self, curves: Sequence[Curve], colour: str, alpha: float) -> None:
        for end, marker in (("stopped", "|"), ("diverged", "x")):
            points = np.array(
                [_path(curve)[-1] for curve in curves if curve.end == end and len(curve.values)]
            ).reshape(-1, 2)
            if points.size:
                has_label = end in self.ax_.get_legend_handles_labels()[1]
                style = {"color": colour, "alpha": max(alpha, 0.4), "s": 28, "zorder": 3}
                self.ax_.scatter(*points.T, marker=marker, label=None if has_label else end, **style)

    def _set_scale(self) -> None:
        """Choose a log scale for wide ranges; values far above most are outside the axes."""
        values = np.concatenate([curve.values for curve in self.curves] or [np.zeros(0)])
        if not values.size:
            return
        log = values.min() > 0 and values.max() / values.min() >= _LEAST_RATIO
        levels = np.log10(values) if log else values
        best_curves = [curve for curve in self.curves if curve.candidate == self.best and len(curve.values)]
        starts = [curve.values[0] for curve in best_curves]
        start = float(np.max(np.log10(starts) if log else starts, initial=levels.min()))
        low, high = float(levels.min()), max(-worst_shown(-levels), start)
        margin = 0.05 * (high - low) or 0.5
        ends = np.array([low - margin, high + margin])
        if log:
            self.ax_.set_yscale("log")
        self.ax_.set_ylim(*(10**ends if log else ends))
        self.ax_.set_xlim(0.5, max(len(curve.values) for curve in self.curves) + 0.5)


def _curve_by_fit(curves: Sequence[Curve]) -> list[Curve]:
    """For each fit the curve of validation rows, or that of training rows if there is none."""
    by_fit = {(curve.candidate, curve.split): curve for curve in curves if not curve.validation}
    return [
        *(by_fit | {(curve.candidate, curve.split): curve for curve in curves if curve.validation}).values()
    ]


def _path(curve: Curve) -> np.ndarray:
    return np.column_stack([np.arange(1, len(curve.values) + 1), curve.values])
