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
from kerashp.estimators._nesting import innermost, parameter_path
from kerashp.model_selection._growth import GrowthSearch, GrowthStep, ParameterNames, Scores, doubled
from kerashp.model_selection._search import GridSearchCV
from kerashp.training import isolated

_CHECK = Arguments("grow_capacity")
_MAX_SEED = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Growth(Result):
    """The scores of networks of growing size, and the network to choose.

    Attributes
    ----------
    curve : tuple of GrowthStep
        The networks in the order in which they were tried; `pandas.DataFrame(growth.curve)` is a table.
    best_params : dict from str to int
        The estimator's parameters of the network to choose.
    best_score : float
        Its mean test score.
    estimator : estimator
        A clone with `best_params`, fitted on all rows if `refit`.
    reasons : tuple of str
        Why the growth ended, with numbers.

    Examples
    --------
    >>> from kerashp.model_selection import Growth
    >>> growth = Growth((), {"n_hidden": 2, "n_neurons": 30}, 0.9, None, ("the third layer was no better",))
    >>> print(str(growth).splitlines()[0])
    Best: n_hidden=2, n_neurons=30, score 0.9
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
    the one kept before: with $d_i$ the differences of their $n$ test scores, by split and seed,

    $$\bar d > \mathrm{SE}(\bar d) = \sqrt{\frac{1}{n (n - 1)} \sum_i (d_i - \bar d)^2},$$

    so that a larger network has to be better by more than one standard error (the one-standard-error rule).
    After `patience` networks in a row that are no better, the depth, and then the width, stops growing. A
    linear model (no hidden layer) has no width.

    Parameters
    ----------
    estimator : estimator of kerashp, alone or in Pipelines and TransformedTargetRegressors
        Cloned, never changed. It has all other parameters: learning rate, epochs, early stopping, and the
        width of the networks that grow deeper ("input", the number of features, is a good first choice).
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    depth, width : str or None, default="n_hidden", "n_neurons"
        The estimator's parameters that are the number of hidden layers and their width, with or without the
        names of steps before them. None does not change it.
    min_depth, max_depth : int, default=0, 6
        The smallest and the largest depth; 0 is a linear model.
    max_width : int, default=1024
        The largest width.
    patience : int, default=2
        How many larger networks in a row may be no better.
    tol : float, default=None
        By how much a mean score must be higher, instead of one standard error, which is 0 for a single score.
    cv : int, splitter or iterable, default=3
        As in scikit-learn; every network gets the same splits.
    n_repeats : int, default=1
        The number of seeds from which each network is trained on each split.
    scoring : str or callable, default=None
        As in scikit-learn: higher is better; the estimator's score if None.
    groups : array-like of shape (n_samples,), default=None
        The groups for the splitter.
    fit_params : dict, default=None
        Arguments of the estimator's `fit`; those with a value for each row are split with the rows.
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
        If the estimator is not one of kerashp or lacks a parameter, an argument is of the wrong type or out
        of its range, or the smallest network cannot be trained.

    Notes
    -----
    A larger network of which a fit fails is no better, and `reasons` or a warning says why. Folds share
    training rows, so that the standard error of their scores is too small for a test of significance: it is
    a rule for stopping.

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
    names = _parameter_names(estimator, depth, width)
    min_depth = _CHECK.integer("min_depth", min_depth, at_least=0)
    max_depth = _CHECK.integer("max_depth", max_depth, at_least=min_depth)
    max_width = _CHECK.integer("max_width", max_width, at_least=1)
    patience = _CHECK.integer("patience", patience, at_least=1)
    tol = None if tol is None else _CHECK.not_negative("tol", tol)
    n_repeats = _CHECK.integer("n_repeats", n_repeats, at_least=1)
    refit = _CHECK.flag("refit", refit)
    _check_scoring(scoring)
    fit_params = dict(fit_params or {})
    first = None if names.width is None else _initial_width(estimator, names.width, X, y, max_width)
    splits = list(check_cv(cv, y, classifier=is_classifier(estimator)).split(X, y, groups))
    seeds = check_random_state(random_state).randint(_MAX_SEED, size=n_repeats).tolist()

    def scores(params: dict[str, int]) -> Scores:
        grid = {name: [value] for name, value in params.items()} | {names.seed: seeds}
        return _cross_validated(estimator, grid, X, y, splits, scoring, fit_params)

    search = GrowthSearch(scores, names, patience, tol)
    if names.depth is None:
        search.grow([(None, first)], "")
    else:
        search.grow([(n, first) for n in range(min_depth, max_depth + 1)], f"max_depth={max_depth}")
    if first is not None and search.best.n_hidden != 0:
        widths = doubled(first, max_width)
        search.grow([(search.best.n_hidden, width) for width in widths], f"max_width={max_width}")
    params = names.params(search.best.n_hidden, search.best.n_neurons)
    grown = clone(estimator).set_params(**params)
    if refit:
        grown.fit(X, y, **fit_params)
    return Growth(tuple(search.curve), params, search.best.mean_test_score, grown, tuple(search.reasons))


def _parameter_names(estimator: Any, depth: Any, width: Any) -> ParameterNames:
    if not isinstance(innermost(estimator), BaseKerasEstimator):
        expected = "an estimator of kerashp, alone or at the end of a Pipeline"
        raise _CHECK.wrong_type("estimator", expected, estimator)
    if depth is None and width is None:
        raise ValueError("grow_capacity: depth and width are both None, so nothing would grow; set one")
    return ParameterNames(
        depth=_parameter_name(estimator, "depth", depth),
        width=_parameter_name(estimator, "width", width),
        seed=parameter_path(estimator, "random_state"),
    )


def _cross_validated(
    estimator: Any,
    grid: dict[str, Any],
    X: Any,
    y: Any,
    splits: Any,
    scoring: Any,
    fit_params: dict[str, Any],
) -> Scores:
    options = {"scoring": scoring, "cv": splits, "refit": False, "return_train_score": True}
    search: Any = GridSearchCV(estimator, grid, **options)
    results = search.fit(X, y, **fit_params).cv_results_
    test, train = [
        np.concatenate([results[f"split{index}_{side}_score"] for index in range(len(splits))])
        for side in ("test", "train")
    ]
    return Scores(test, train)


def _parameter_name(estimator: Any, argument: str, name: Any) -> str | None:
    """The full name of a parameter; None for None."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise _CHECK.wrong_type(argument, "the name of a parameter, or None", name)
    params = estimator.get_params()
    names = [full_name for full_name in (name, parameter_path(estimator, name)) if full_name in params]
    if not names:
        raise ValueError(
            f"grow_capacity: {type(innermost(estimator)).__name__} and its model function have no parameter "
            f"{name!r}. Pass the name of their parameter as {argument}, or {argument}=None to keep it"
        )
    return names[0]


def _initial_width(estimator: Any, name: str, X: Any, y: Any, max_width: int) -> int:
    """The width that the estimator has."""
    width = estimator.get_params()[name]
    expected = f"an integer from 1 to max_width={max_width}, or 'input' for the number of features"
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
