"""Checks of a search's call that need no data: the names of arguments, and the methods that scorers call."""

from inspect import Parameter, signature
from typing import Any

from sklearn import get_config
from sklearn.base import is_regressor
from sklearn.metrics import get_scorer

from kerashp._arguments import refuse_unknown
from kerashp._compat.sklearn import response_methods
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import fit_argument, innermost


def check_call(search: Any, params: dict[str, Any]) -> None:
    """Refuse arguments that no fit of the estimator accepts, and scorers that cannot score it.

    Raises
    ------
    TypeError
        If the estimator's `fit` has no argument of that name.
    ValueError
        If a scorer needs probabilities of a regressor.
    """
    if not get_config()["enable_metadata_routing"]:  # otherwise scikit-learn checks names
        _check_argument_names(search.estimator, params)
    if is_regressor(search.estimator):
        for scoring in _scorers(search.scoring):
            _check_scorer(search, scoring)


def _check_argument_names(estimator: Any, params: dict[str, Any]) -> None:
    inner = innermost(estimator)
    if not isinstance(inner, BaseKerasEstimator):
        return
    parameters = signature(inner.fit).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    prefix = fit_argument(estimator, "")
    names = {name.removeprefix(prefix) for name in params if name.startswith(prefix)}
    refuse_unknown(f"{type(inner).__name__}.fit", names - {"groups"}, list(parameters))  # the splitter's


def _scorers(scoring: Any) -> list[Any]:
    """The scorers of a search, in whatever form scikit-learn accepts them."""
    if isinstance(scoring, dict):
        return [*scoring.values()]
    return [*scoring] if isinstance(scoring, list | tuple | set) else [scoring]


def _check_scorer(search: Any, scoring: Any) -> None:
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
    names = response_methods(scorer)
    if "predict" not in names:
        raise ValueError(
            f"{type(search).__name__}: scoring={scoring!r} needs {' or '.join(names)}, but "
            f"{type(innermost(search.estimator)).__name__} is a regressor without that method. Search over "
            "a classifier, or score by 'r2' or 'neg_root_mean_squared_error'"
        )
