"""`grow_capacity`: deeper, then wider, until validation stops improving."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from kerashp._arguments import Arguments
from kerashp.diagnostics._result import Result, Table
from kerashp.diagnostics._trainable import trainable
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.model_selection import GridSearchCV
from kerashp.model_selection._preprocessing import innermost, within
from kerashp.training import isolated

_CHECK = Arguments("grow_capacity")
_MAX_SEED = np.iinfo(np.int32).max
_MOST_LETTERS = 200  # of an error, among reasons


@dataclass(frozen=True)
class GrowthStep:
    """One network that was tried.

    Attributes
    ----------
    n_hidden : int or None
        Its hidden layers; None where the depth does not grow.
    n_neurons : int or None
        Their width; None where the width does not grow.
    mean_test_score, std_test_score : float
        Over `test_scores`.
    mean_train_score : float
        Of the training rows: far above the test score is overfitting, low as that is underfitting.
    seconds : float
        That it took, compiling included.
    test_scores : tuple of float
        By split and seed.
    kept : bool
        Whether it was better than the one kept before.
    """

    n_hidden: int | None
    n_neurons: int | None
    mean_test_score: float
    std_test_score: float
    mean_train_score: float
    seconds: float
    test_scores: tuple[float, ...]
    kept: bool


@dataclass(frozen=True, eq=False)
class Growth(Result):
    """How the score went with the network's size, and the network to take.

    Attributes
    ----------
    curve : tuple of GrowthStep
        What was tried, in this order; `pandas.DataFrame(growth.curve)` is a table of it.
    best_params : dict from str to int
        The estimator's parameters of the network to take.
    best_score : float
        Its mean test score.
    estimator : estimator
        A clone with `best_params`, fitted on all rows if `refit`.
    reasons : tuple of str
        Where growing ended and why, with numbers.
    """

    curve: tuple[GrowthStep, ...]
    best_params: dict[str, int]
    best_score: float
    estimator: Any
    reasons: tuple[str, ...]

    def _parts(self) -> list[str | Table]:
        chosen = ", ".join(f"{name}={value}" for name, value in self.best_params.items())
        return [f"Best: {chosen}, score {self.best_score:.4g}", *self.reasons, self._table()]

    def _table(self) -> Table:
        names = ("n_hidden", "n_neurons", "test score", "std", "train score", "seconds", "")
        return Table(names, [_cells(step) for step in self.curve])


def _cells(step: GrowthStep) -> tuple[str, ...]:
    sizes = ["" if size is None else str(size) for size in (step.n_hidden, step.n_neurons)]
    scores = step.mean_test_score, step.std_test_score, step.mean_train_score
    return (
        *sizes,
        *[f"{score:.4g}" for score in scores],
        f"{step.seconds:.1f}",
        "kept" if step.kept else "",
    )


def grow_capacity(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    depth: str | None = "n_hidden",
    width: str | None = "n_neurons",
    min_depth: int = 0,
    max_depth: int = 6,
    max_width: int = 1024,
    patience: int = 2,
    tol: float | None = None,
    cv: Any = 3,
    n_repeats: int = 1,
    scoring: Any = None,
    groups: Any = None,
    fit_params: dict[str, Any] | None = None,
    refit: bool = True,
    random_state: Any = 0,
) -> Growth:
    r"""Add hidden layers one at a time, then double their width, until validation stops improving.

    Each network is trained on all splits, from all seeds, as one population. It is kept if it is better than the
    one kept before it: with $d_i$ the differences of their $n$ test scores, by split and seed,

    $$\bar d > \mathrm{SE}(\bar d) = \sqrt{\frac{1}{n (n - 1)} \sum_i (d_i - \bar d)^2},$$

    so that a larger network has to be better by more than one standard error (the one-standard-error rule). After
    `patience` networks in a row that are not, the depth, and then the width, has grown enough.

    Parameters
    ----------
    estimator : estimator of kerashp's, alone or in Pipelines and TransformedTargetRegressors
        Cloned, never changed. It says all else: learning rate, epochs, early stopping, and the width of the
        networks that grow deeper ("input" is the number of features).
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    depth, width : str or None, default="n_hidden", "n_neurons"
        The estimator's parameters that are the number of hidden layers and their width, with the names of steps
        before them or not. None leaves that as it is.
    min_depth, max_depth : int, default=0, 6
        The first depth and the last; 0 is a linear model.
    max_width : int, default=1024
        No width above it is tried.
    patience : int, default=2
        How many larger networks in a row may be no better.
    tol : float, default=None
        By how much a mean score must be higher, instead of by one standard error; 0 where there is one score.
    cv : int, splitter or iterable, default=3
        As in scikit-learn; every network gets the same splits.
    n_repeats : int, default=1
        From how many seeds each network is trained on each split.
    scoring : str or callable, default=None
        As in scikit-learn: higher is better; the estimator's own score if None.
    groups : array-like of shape (n_samples,), default=None
        For the splitter.
    fit_params : dict, default=None
        For the estimator's `fit`; what has a value for each row is split with the rows.
    refit : bool, default=True
        Whether the estimator that is returned is fitted on all rows.
    random_state : int, RandomState instance or None, default=0
        Draws the seeds, in place of the estimator's own `random_state`; None draws from `numpy.random`.

    Returns
    -------
    Growth

    Raises
    ------
    TypeError, ValueError
        If the estimator is none of kerashp's or has no such parameters, an argument is of the wrong type or out
        of its range, or the smallest network cannot be trained.

    Notes
    -----
    A larger network of which all fits fail is no better, and `reasons` says why. Scores of folds share training
    rows, so that their standard error is too small for a test; it is a rule to stop by.

    References
    ----------
    T. Hastie, R. Tibshirani and J. Friedman, The Elements of Statistical Learning, 2nd ed., section 7.10.
    A. Géron, Hands-On Machine Learning, ch. 10, "Number of Hidden Layers": ramp it up until the network overfits.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.diagnostics import grow_capacity
    >>> X = np.random.default_rng(0).normal(size=(90, 3))
    >>> mlp = KerasMLPRegressor(learning_rate=0.05, epochs=30, random_state=0)
    >>> growth = grow_capacity(mlp, X, X @ [1.0, 2.0, 3.0], patience=1, refit=False)
    >>> growth.best_params
    {'n_hidden': 0}
    >>> [step.n_hidden for step in growth.curve]
    [0, 1]
    """
    names = _Names.of(estimator, depth, width)
    min_depth = _CHECK.integer("min_depth", min_depth, at_least=0)
    max_depth = _CHECK.integer("max_depth", max_depth, at_least=min_depth)
    max_width = _CHECK.integer("max_width", max_width, at_least=1)
    patience = _CHECK.integer("patience", patience, at_least=1)
    tol = None if tol is None else _CHECK.not_negative("tol", tol)
    n_repeats = _CHECK.integer("n_repeats", n_repeats, at_least=1)
    refit = _CHECK.flag("refit", refit)
    _check_scoring(scoring)
    given = dict(fit_params or {})
    first = None if names.width is None else _first_width(estimator, names.width, X, y, max_width)
    splits = list(check_cv(cv, y, classifier=is_classifier(estimator)).split(X, y, groups))
    seeds = check_random_state(random_state).randint(_MAX_SEED, size=n_repeats).tolist()

    def scores(params: dict[str, int]) -> _Scores:
        grid = {name: [value] for name, value in params.items()} | {names.seed: seeds}
        return _cross_validated(estimator, grid, X, y, splits, scoring, given)

    growing = _Growing(scores, names, patience, tol)
    if names.depth is None:
        growing.grow([(None, first)], "")
    else:
        growing.grow([(n, first) for n in range(min_depth, max_depth + 1)], f"max_depth={max_depth}")
    if first is not None and growing.best.n_hidden != 0:
        widths = _doubled(first, max_width)
        growing.grow([(growing.best.n_hidden, width) for width in widths], f"max_width={max_width}")
    params = names.params(growing.best.n_hidden, growing.best.n_neurons)
    grown = clone(estimator).set_params(**params)
    if refit:
        grown.fit(X, y, **given)
    return Growth(tuple(growing.curve), params, growing.best.mean_test_score, grown, tuple(growing.reasons))


def improvement(scores: np.ndarray, before: np.ndarray, tol: float | None) -> tuple[float, float]:
    """By how much scores are better than others of the same splits and seeds, and by how much they should be.

    >>> gain, needed = improvement(np.array([0.5, 0.7, 0.6]), np.array([0.4, 0.5, 0.6]), tol=None)
    >>> round(gain, 3), round(needed, 3)
    (0.1, 0.058)
    """
    differences = scores - before
    if tol is None:
        tol = float(np.std(differences, ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else 0.0
    return float(np.mean(differences)), tol


@dataclass(frozen=True)
class _Scores:
    """Of one network."""

    test: np.ndarray  # by split and seed
    train: np.ndarray
    failure: str = ""  # why all fits failed


@dataclass(frozen=True)
class _Names:
    """The estimator's parameters that grow, and its seed."""

    depth: str | None
    width: str | None
    seed: str

    @classmethod
    def of(cls, estimator: Any, depth: Any, width: Any) -> "_Names":
        if not isinstance(innermost(estimator), BaseKerasEstimator):
            expected = "one of kerashp's estimators, alone or at the end of a Pipeline"
            raise _CHECK.wrong_type("estimator", expected, estimator)
        if depth is None and width is None:
            raise ValueError("grow_capacity: depth and width are both None, so nothing would grow; name one")
        names = [_parameter(estimator, *pair) for pair in (("depth", depth), ("width", width))]
        return cls(*names, seed=f"{_path(estimator)}random_state")

    def params(self, n_hidden: int | None, n_neurons: int | None) -> dict[str, int]:
        """The parameters of a network of this size."""
        sizes = {self.depth: n_hidden, self.width: n_neurons}
        return {name: size for name, size in sizes.items() if name is not None and size is not None}


class _Growing:
    """Tries networks, the smallest first, and keeps the smallest that none is better than."""

    def __init__(
        self,
        scores: Callable[[dict[str, int]], _Scores],
        names: _Names,
        patience: int,
        tol: float | None,
    ):
        self.curve: list[GrowthStep] = []
        self.reasons: list[str] = []
        self._scores = scores
        self._names = names
        self._patience = patience
        self._tol = tol

    @property
    def best(self) -> GrowthStep:
        return [step for step in self.curve if step.kept][-1]

    def grow(self, sizes: Sequence[tuple[int | None, int | None]], limit: str) -> None:
        """Try these, until so many in a row are no better."""
        in_vain = 0
        for n_hidden, n_neurons in sizes:
            kept = self._try(n_hidden, n_neurons if n_hidden != 0 else None)
            in_vain = 0 if kept else in_vain + 1
            if in_vain == self._patience:
                return
        if limit and sizes and not in_vain and len(self.curve) > 1:
            self.reasons.append(f"It was still improving at {limit}: raise that")

    def _try(self, n_hidden: int | None, n_neurons: int | None) -> bool:
        began = time.perf_counter()
        params = self._names.params(n_hidden, n_neurons)
        scores = self._tried(params)
        kept = not self.curve or self._is_better(params, scores)
        step = GrowthStep(
            n_hidden=n_hidden,
            n_neurons=n_neurons,
            mean_test_score=float(np.mean(scores.test)),
            std_test_score=float(np.std(scores.test)),
            mean_train_score=float(np.mean(scores.train)),
            seconds=time.perf_counter() - began,
            test_scores=tuple(scores.test.tolist()),
            kept=kept,
        )
        self.curve.append(step)
        return kept

    def _tried(self, params: dict[str, int]) -> _Scores:
        try:
            return self._scores(params)
        except ValueError as error:  # all fits failed, say since a deep network diverges
            if not self.curve:
                raise
            none = np.full(len(self.best.test_scores), np.nan)
            return _Scores(none, none, f". {' '.join(str(error).split())[:_MOST_LETTERS]}")

    def _is_better(self, params: dict[str, int], scores: _Scores) -> bool:
        before = self.best
        gain, needed = improvement(scores.test, np.array(before.test_scores), self._tol)
        better = gain > needed or (np.isfinite(scores.test).all() and not np.isfinite(before.mean_test_score))
        measure = "one standard error" if self._tol is None else "tol"
        self.reasons.append(
            f"{_spelled(params)} is {'better' if better else 'no better'}: the mean score changes from "
            f"{before.mean_test_score:.4g} by {gain:+.3g}; {measure} is {needed:.3g}{scores.failure}"
        )
        return bool(better)


def _cross_validated(
    estimator: Any, grid: dict[str, Any], X: Any, y: Any, splits: Any, scoring: Any, given: dict[str, Any]
) -> _Scores:
    search = GridSearchCV(estimator, grid, scoring=scoring, cv=splits, refit=False, return_train_score=True)
    results = search.fit(X, y, **given).cv_results_
    test, train = [
        np.concatenate([results[f"split{index}_{side}_score"] for index in range(len(splits))])
        for side in ("test", "train")
    ]
    return _Scores(test, train)


def _path(estimator: Any) -> str:
    """What stands before the names of the innermost estimator's parameters."""
    path = ""
    while (inner := within(estimator)) is not None:
        path += f"{estimator.steps[-1][0] if isinstance(estimator, Pipeline) else 'regressor'}__"
        estimator = inner
    return path


def _parameter(estimator: Any, argument: str, name: Any) -> str | None:
    """The full name of a parameter; None for None."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise _CHECK.wrong_type(argument, "the name of a parameter, or None", name)
    known = estimator.get_params()
    found = [full for full in (name, f"{_path(estimator)}{name}") if full in known]
    if not found:
        raise ValueError(
            f"grow_capacity: {argument}={name!r} is no parameter of {type(innermost(estimator)).__name__}, or of "
            f"its model function; name the one that is its {argument}, or pass {argument}=None to leave it"
        )
    return found[0]


def _first_width(estimator: Any, name: str, X: Any, y: Any, max_width: int) -> int:
    """The width that the estimator says."""
    width = estimator.get_params()[name]
    expected = f"an integer from 1 to max_width={max_width}, or 'input' for as many"
    if isinstance(width, str) and width == "input":
        with isolated(0):
            width = math.prod(trainable(_CHECK, estimator, X, y, None, None).x.shape[1:])
    first = _CHECK.integer(name, width, at_least=1, expected=expected)
    if first > max_width:
        raise _CHECK.wrong_value(name, expected, width)
    return first


def _doubled(width: int, max_width: int) -> list[int]:
    """The width doubled, again and again.

    >>> _doubled(30, 128)
    [60, 120]
    """
    return [width * 2**times for times in range(1, max_width.bit_length()) if width * 2**times <= max_width]


def _check_scoring(scoring: Any) -> None:
    if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise _CHECK.wrong_type("scoring", "one score: its name, a function or None", scoring)


def _spelled(params: dict[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())
