"""How trainings went, epoch by epoch."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from kerashp.plotting._candidates import worst_shown
from kerashp.plotting._curves import Curve, curves_of_estimator, curves_of_history, curves_of_search
from kerashp.plotting._matplotlib import BEST, COLOURS, OTHERS, axes_of, legend, lines, plain, require

_MOST_OTHERS = 500  # fits that are drawn in grey
_LEAST_RATIO = 20.0  # of the greatest value to the least, on a log scale


class LearningCurvesDisplay:
    """The learning curves of one training, or of all that a search trained, the best on top.

    Of the best candidate, or of the only training, the curves of training rows (dashed) and of validation
    rows are drawn, with a ring at each best epoch; of the others those of validation rows, where there are
    any, in grey. A bar ends a curve that early stopping ended, a cross one whose next value is not finite.

    Parameters
    ----------
    curves : list of Curve
        As `from_search`, `from_estimator` and `from_history` find them.
    best : int, default=0
        The candidate to be drawn on top.
    curve : str, default="loss"
        What the curves are of.

    Attributes
    ----------
    curves, best, curve
        As given. Each of `curves` has `values`, `candidate`, `split`, `validation`, `end` ("ran", "stopped"
        or "diverged") and `best_epoch`.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib artists
        The best candidate's curves.
    others_ : matplotlib LineCollection or None
        Those of the other candidates, if there are any; a part of them where there are very many.
    """

    def __init__(self, curves: Sequence[Curve], *, best: int = 0, curve: str = "loss"):
        self.curves = list(curves)
        self.best = best
        self.curve = curve

    @classmethod
    def from_search(
        cls, search: Any, *, curve: str = "loss", metric: str | None = None, ax: Any = None, **options: Any
    ) -> Self:
        """Draw the fits of a fitted search.

        Parameters
        ----------
        search : search of kerashp.model_selection
            Fitted, over an estimator of kerashp.
        curve : str, default="loss"
            Which curve: a loss or a metric that was compiled.
        metric : str, default=None
            By which score a candidate is the best; as the search decided if None.
        ax, **options
            See `plot`.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError, sklearn.exceptions.NotFittedError
            If it is no fitted search, or has no such curves or score.

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
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        estimator : estimator of kerashp
            Fitted, alone, at the end of pipelines or in a `TransformedTargetRegressor`.
        curve : str, default="loss"
            Which curve: a loss or a metric that was compiled.
        ax, **options
            See `plot`.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError, sklearn.exceptions.NotFittedError
            If it is no such estimator, or has no such curve.
        """
        caller = "LearningCurvesDisplay.from_estimator"
        require(caller)
        return cls(curves_of_estimator(caller, estimator, curve), curve=curve).plot(ax, **options)

    @classmethod
    def from_history(cls, history: Any, *, curve: str = "loss", ax: Any = None, **options: Any) -> Self:
        """Draw a training by its history.

        Parameters
        ----------
        history : keras History or dict from str to list of float
            What `fit` returns, or its curves by name.
        curve : str, default="loss"
            Which curve; the one with "val_" before it is drawn too.
        ax, **options
            See `plot`.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If it is no history, has no such curve, or the curve holds anything but numbers.

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
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Of a new figure if None.
        **options
            For the lines on top, as matplotlib's `plot` takes them.

        Returns
        -------
        LearningCurvesDisplay
        """
        self.ax_ = axes_of("LearningCurvesDisplay.plot", ax)
        self.figure_ = self.ax_.figure
        self._draw_others()
        self._draw_best(options)
        self._set_scale()
        self.ax_.set(xlabel="epoch", ylabel=plain(self.curve))
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        legend(self.ax_, len(self.curves), "upper right")
        return self

    def _draw_others(self) -> None:
        every = _shown([own for own in self.curves if own.candidate != self.best and len(own.values)])
        own = every[:: -(-len(every) // _MOST_OTHERS) or 1]
        self.others_ = None
        if own:
            paths = [_path(curve) for curve in own]
            alpha = min(0.5, max(0.08, 30 / len(paths)))
            n_candidates = len({curve.candidate for curve in own})
            all_of = f"{n_candidates} other{'s' * (n_candidates > 1)}"
            label = all_of if len(own) == len(every) else f"{len(own):,} of {len(every):,} other fits"
            self.others_ = lines(self.ax_, paths, colors=OTHERS, linewidths=0.8, alpha=alpha, label=label)
            self._mark_ends(own, OTHERS, alpha)

    def _draw_best(self, options: dict[str, Any]) -> None:
        own = [curve for curve in self.curves if curve.candidate == self.best]
        known = len({curve.candidate for curve in self.curves}) > 1
        self.lines_ = []
        labelled: set[bool] = set()
        for curve in own:
            rows = "validation" if curve.validation else "training"
            label = None if curve.validation in labelled else f"best, {rows}" if known else rows
            labelled.add(curve.validation)
            style = {"color": BEST, "ls": "-"} if curve.validation else {"color": COLOURS[0], "ls": "--"}
            given = style | {"label": label, "linewidth": 1.5} | options
            self.lines_ += self.ax_.plot(*_path(curve).T, **given)
        for validation, colour in ((False, COLOURS[0]), (True, BEST)):
            self._mark_ends([curve for curve in own if curve.validation == validation], colour, 1.0)
        self._mark_best_epochs(_shown(own))

    def _mark_best_epochs(self, curves: Sequence[Curve]) -> None:
        at = np.array(
            [
                (curve.best_epoch + 1, curve.values[curve.best_epoch])
                for curve in curves
                if curve.best_epoch is not None and curve.best_epoch < len(curve.values)
            ]
        ).reshape(-1, 2)
        if at.size:
            ring = {"facecolors": "none", "edgecolors": "black", "s": 40, "zorder": 4}
            self.ax_.scatter(*at.T, label="best epoch", **ring)

    def _mark_ends(self, curves: Sequence[Curve], colour: str, alpha: float) -> None:
        for end, marker in (("stopped", "|"), ("diverged", "x")):
            at = np.array([_path(one)[-1] for one in curves if one.end == end and len(one.values)]).reshape(
                -1, 2
            )
            if at.size:
                named = end in self.ax_.get_legend_handles_labels()[1]
                given = {"color": colour, "alpha": max(alpha, 0.4), "s": 28, "zorder": 3}
                self.ax_.scatter(*at.T, marker=marker, label=None if named else end, **given)

    def _set_scale(self) -> None:
        """Log where the values ask for it; what is far above most is not shown."""
        values = np.concatenate([curve.values for curve in self.curves] or [np.zeros(0)])
        if not values.size:
            return
        log = values.min() > 0 and values.max() / values.min() >= _LEAST_RATIO
        levels = np.log10(values) if log else values
        own = [curve.values[0] for curve in self.curves if curve.candidate == self.best and len(curve.values)]
        begin = float(np.max(np.log10(own) if log else own, initial=levels.min()))
        low, high = float(levels.min()), max(-worst_shown(-levels), begin)
        margin = 0.05 * (high - low) or 0.5
        ends = np.array([low - margin, high + margin])
        if log:
            self.ax_.set_yscale("log")
        self.ax_.set_ylim(*(10**ends if log else ends))
        self.ax_.set_xlim(0.5, max(len(curve.values) for curve in self.curves) + 0.5)


def _shown(curves: Sequence[Curve]) -> list[Curve]:
    """Of each training the curve of its validation rows, or failing that of its training rows."""
    by_fit = {(curve.candidate, curve.split): curve for curve in curves if not curve.validation}
    return [*(by_fit | {(one.candidate, one.split): one for one in curves if one.validation}).values()]


def _path(curve: Curve) -> np.ndarray:
    return np.column_stack([np.arange(1, len(curve.values) + 1), curve.values])
