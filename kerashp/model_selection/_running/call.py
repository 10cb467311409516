"""Checks of a search's call that need no data: names of arguments, and what scorers ask of the estimator."""

from inspect import Parameter, signature
from typing import Any

from sklearn import get_config
from sklearn.base import is_regressor
from sklearn.metrics import get_scorer

from kerashp._arguments import refuse_unknown
from kerashp._compat.sklearn import response_methods
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import fit_argument, innermost

_OF_SPLITTER = "groups"


def check_call(search: Any, params: dict[str, Any]) -> None:
    """Refuse what no fit of the search's estimator would take, or no score could be computed of.

    Raises
    ------
    TypeError
        If the estimator's `fit` lacks an argument that is passed to it.
    ValueError
        If a scorer asks a regressor for probabilities.
    """
    if not get_config()["enable_metadata_routing"]:  # which checks names itself
        _check_names(search.estimator, params)
    if is_regressor(search.estimator):
        for scoring in _scorers(search.scoring):
            _check_scorer(search, scoring)


def _check_names(estimator: Any, params: dict[str, Any]) -> None:
    inner = innermost(estimator)
    if not isinstance(inner, BaseKerasEstimator):
        return
    parameters = signature(inner.fit).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    prefix = fit_argument(estimator, "")
    own = [name.removeprefix(prefix) for name in params if name.startswith(prefix)]
    refuse_unknown(f"{type(inner).__name__}.fit", set(own) - {_OF_SPLITTER}, list(parameters))


def _scorers(scoring: Any) -> list[Any]:
    """One or several, as scikit-learn takes them."""
    if isinstance(scoring, dict):
        return [*scoring.values()]
    return [*scoring] if isinstance(scoring, list | tuple | set) else [scoring]


def _check_scorer(search: Any, scoring: Any) -> None:
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
    names = response_methods(scorer)
    if "predict" not in names:
        raise ValueError(
            f"{type(search).__name__}: scoring={scoring!r} asks for {' or '.join(names)}, which "
            f"{type(innermost(search.estimator)).__name__} has not, since it is a regressor: search over a "
            "classifier, or score by 'r2' or 'neg_root_mean_squared_error'"
        )
