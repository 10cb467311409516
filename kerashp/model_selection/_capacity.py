"""`grow_capacity`: deeper, then wider, until validation stops improving."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.diagnostics._foundations.training_setup import training_setup
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost, path_to
from kerashp.model_selection._growth import Growing, GrowthStep, Names, Scores, doubled
from kerashp.model_selection._search import GridSearchCV
from kerashp.training import isolated

_CHECK = Arguments("grow_capacity")
_MAX_SEED = np.iinfo(np.int32).max


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

    Each network is trained on all splits, from all seeds, as one population. It is kept if it is better than
    the one kept before it: with $d_i$ the differences of their $n$ test scores, by split and seed,

    $$\bar d > \mathrm{SE}(\bar d) = \sqrt{\frac{1}{n (n - 1)} \sum_i (d_i - \bar d)^2},$$

    so that a larger network has to be better by more than one standard error (the one-standard-error rule).
    After `patience` networks in a row that are not, the depth, and then the width, has grown enough. A linear
    model (no hidden layer) has no width.

    Parameters
    ----------
    estimator : estimator of kerashp's, alone or in Pipelines and TransformedTargetRegressors
        Cloned, never changed. It says all else: learning rate, epochs, early stopping, and the width of the
        networks that grow deeper ("input" is the number of features, the advised first step).
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    depth, width : str or None, default="n_hidden", "n_neurons"
        The estimator's parameters that are the number of hidden layers and their width, with the names of
        steps before them or not. None leaves that as it is.
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
        If the estimator is none of kerashp's or has no such parameters, an argument is of the wrong type or
        out of its range, or the smallest network cannot be trained.

    Notes
    -----
    A larger network of which a fit fails is no better, and `reasons` or a warning says why. Folds share
    training rows, so that the standard error of their scores is too small for a test: it is a rule to stop.

    References
    ----------
    T. Hastie, R. Tibshirani and J. Friedman, The Elements of Statistical Learning, 2nd ed., section 7.10.
    A. Géron, Hands-On Machine Learning, ch. 10, "Number of Hidden Layers": ramp it up until it overfits.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import grow_capacity
    >>> X = np.random.default_rng(0).normal(size=(90, 3))
    >>> mlp = KerasMLPRegressor(learning_rate=0.1, epochs=50, batch_size=16)
    >>> growth = grow_capacity(mlp, X, X @ [1.0, 2.0, 3.0], patience=1, refit=False)
    >>> growth.best_params
    {'n_hidden': 0}
    >>> [step.n_hidden for step in growth.curve]
    [0, 1]
    """
    names = _names(estimator, depth, width)
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

    def scores(params: dict[str, int]) -> Scores:
        grid = {name: [value] for name, value in params.items()} | {names.seed: seeds}
        return _cross_validated(estimator, grid, X, y, splits, scoring, given)

    growing = Growing(scores, names, patience, tol)
    if names.depth is None:
        growing.grow([(None, first)], "")
    else:
        growing.grow([(n, first) for n in range(min_depth, max_depth + 1)], f"max_depth={max_depth}")
    if first is not None and growing.best.n_hidden != 0:
        widths = doubled(first, max_width)
        growing.grow([(growing.best.n_hidden, width) for width in widths], f"max_width={max_width}")
    params = names.params(growing.best.n_hidden, growing.best.n_neurons)
    grown = clone(estimator).set_params(**params)
    if refit:
        grown.fit(X, y, **given)
    return Growth(tuple(growing.curve), params, growing.best.mean_test_score, grown, tuple(growing.reasons))


def _names(estimator: Any, depth: Any, width: Any) -> Names:
    if not isinstance(innermost(estimator), BaseKerasEstimator):
        expected = "one of kerashp's estimators, alone or at the end of a Pipeline"
        raise _CHECK.wrong_type("estimator", expected, estimator)
    if depth is None and width is None:
        raise ValueError("grow_capacity: depth and width are both None, so nothing would grow; name one")
    return Names(
        depth=_parameter(estimator, "depth", depth),
        width=_parameter(estimator, "width", width),
        seed=path_to(estimator, "random_state"),
    )


def _cross_validated(
    estimator: Any, grid: dict[str, Any], X: Any, y: Any, splits: Any, scoring: Any, given: dict[str, Any]
) -> Scores:
    options = {"scoring": scoring, "cv": splits, "refit": False, "return_train_score": True}
    search: Any = GridSearchCV(estimator, grid, **options)
    results = search.fit(X, y, **given).cv_results_
    test, train = [
        np.concatenate([results[f"split{index}_{side}_score"] for index in range(len(splits))])
        for side in ("test", "train")
    ]
    return Scores(test, train)


def _parameter(estimator: Any, argument: str, name: Any) -> str | None:
    """The full name of a parameter; None for None."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise _CHECK.wrong_type(argument, "the name of a parameter, or None", name)
    known = estimator.get_params()
    found = [full for full in (name, path_to(estimator, name)) if full in known]
    if not found:
        raise ValueError(
            f"grow_capacity: {argument}={name!r} is no parameter of {type(innermost(estimator)).__name__} or "
            f"of its model function; name the one that is its {argument}, or pass {argument}=None to leave it"
        )
    return found[0]


def _first_width(estimator: Any, name: str, X: Any, y: Any, max_width: int) -> int:
    """The width that the estimator says."""
    width = estimator.get_params()[name]
    expected = f"an integer from 1 to max_width={max_width}, or 'input' for as many"
    if isinstance(width, str) and width == "input":
        with isolated(0):
            width = math.prod(training_setup(_CHECK, estimator, X, y, None, None).x.shape[1:])
    first = _CHECK.integer(name, width, at_least=1, expected=expected)
    if first > max_width:
        raise _CHECK.wrong_value(name, expected, width)
    return first


def _check_scoring(scoring: Any) -> None:
    if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise _CHECK.wrong_type("scoring", "one score: its name, a function or None", scoring)
