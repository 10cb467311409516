"""Names of scikit-learn that are private, or that not all supported versions have."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, _fit_context
from sklearn.metrics._scorer import _BaseScorer, _MultimetricScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._search_successive_halving import (
    BaseSuccessiveHalving,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
)
from sklearn.utils import _safe_indexing
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    _get_feature_names,
    _num_samples,
)

from kerashp._compat._numbers import numbers

_Fit = TypeVar("_Fit", bound=Callable[..., Any])

_MISSING = "missing"  # marks what stands for the result of a fit that did not end


def version() -> tuple[int, ...]:
    """scikit-learn's version as numbers: (1, 6, 1)."""
    return numbers(sklearn.__version__)


def checked_sample_weight(sample_weight: Any, X: np.ndarray) -> np.ndarray:
    """Weights of at least 0, not all of them 0, for the rows of X.

    `_check_sample_weight` refuses those that are all 0 since scikit-learn 1.9; earlier versions take them.
    """
    weight: np.ndarray = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def arguments_of_run_search(callback_ctx: Any) -> dict[str, Any]:
    """What `BaseSearchCV._run_search` takes beside `evaluate_candidates`.

    Since scikit-learn 1.9 that is the context of the search's callbacks, which earlier versions do not have.
    """
    return {} if callback_ctx is None else {"callback_ctx": callback_ctx}


def counted_results(results: Sequence[dict[str, Any]], n_fits: int) -> list[dict[str, Any]]:
    """The results of the fits that ended, in the number that `BaseSearchCV.fit` wants: since 1.9 in any.

    Earlier versions want one for each fit, and get copies of the first until `present_results` drops them.
    """
    if version() >= (1, 9) or not results:
        return list(results)
    missing = {**results[0], "fit_error": None, _MISSING: True}
    return [*results, *[missing] * (n_fits - len(results))]


def present_results(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results without those that `counted_results` added."""
    return [result for result in results if _MISSING not in result]


def row_count(array: Any) -> int:
    """The number of rows of an array-like, a data frame or a list: `_num_samples`."""
    return int(_num_samples(array))


def column_names(X: Any) -> np.ndarray | None:
    """The names of a data frame's columns, None where X has none that are strings: `_get_feature_names`."""
    names: np.ndarray | None = _get_feature_names(X)
    return names


def indexed(X: Any, indices: Any, axis: int = 0) -> Any:
    """Rows or columns of an array, a sparse array, a data frame or a list: `_safe_indexing`."""
    return _safe_indexing(X, indices, axis=axis)


def is_none_or_nan(value: Any) -> bool:
    """Whether a value is None, NaN or pandas' NA: `is_scalar_nan` and `is_pandas_na`."""
    return value is None or is_scalar_nan(value) or is_pandas_na(value)


def rows_of_split(estimator: Any, X: Any, y: Any, indices: Any, train_indices: Any = None) -> Any:
    """The rows of X and y of one side of a split; of a kernel matrix, the columns too: `_safe_split`."""
    return _safe_split(estimator, X, y, indices, train_indices)


def params_of_rows(X: Any, params: Mapping[str, Any] | None, indices: Any) -> dict[str, Any]:
    """Arguments of `fit` or `score`, those with a value for each row of X reduced to `indices`.

    It stands for `_check_method_params`.
    """
    return dict(_check_method_params(X, params=params or {}, indices=indices))


def validating_parameters(fit: _Fit) -> _Fit:
    """Decorate a `fit` so that it validates the estimator's parameters by its `_parameter_constraints`.

    It stands for `_fit_context`; parameters of estimators inside the estimator are validated by their `fit`.
    """
    validating: _Fit = _fit_context(prefer_skip_nested_validation=True)(fit)
    return validating


def copy_metadata_request(source: Any, target: Any) -> None:
    """Let an estimator request the same metadata as another: `_metadata_request`, of `set_fit_request`."""
    if hasattr(source, "_metadata_request"):
        target._metadata_request = source._metadata_request


def set_random_states(estimator: Any, random_state: np.random.RandomState) -> None:
    """Draw an integer for every parameter `random_state` of an estimator and of those in it.

    It stands for `_set_random_states`, which is imported at use: its package has all forests with it.
    """
    from sklearn.ensemble._base import _set_random_states

    _set_random_states(estimator, random_state)


def is_scorer(scoring: Any) -> bool:
    """Whether an object is what `make_scorer` returns, an instance of `_BaseScorer`."""
    return isinstance(scoring, _BaseScorer)


def response_methods(scorer: Any) -> list[str]:
    """The estimator's methods of which a scorer calls the first that there is; `predict` of any function.

    They are `_response_method` of a `_BaseScorer`.
    """
    methods = getattr(scorer, "_response_method", "predict") if is_scorer(scorer) else "predict"
    return [methods] if isinstance(methods, str) else list(methods)


class MultimetricScorer(_MultimetricScorer):
    """A scorer of several scores that calls the estimator's methods once for all: `_MultimetricScorer`."""


def scorers_by_name(scorer: Any) -> dict[str, Any] | None:
    """The scorers in a `_MultimetricScorer`, that of a search with several scores; None of any other."""
    return scorer._scorers if isinstance(scorer, _MultimetricScorer) else None


# Classes as they are: the base of all searches, the halving searches without the import from
# sklearn.experimental that would put them into sklearn.model_selection for the whole process, and
# the forms of a constraint in `_parameter_constraints`.
__all__ = [
    "BaseSearchCV",
    "BaseSuccessiveHalving",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "MultimetricScorer",
    "Options",
    "StrOptions",
    "arguments_of_run_search",
    "checked_sample_weight",
    "column_names",
    "copy_metadata_request",
    "counted_results",
    "indexed",
    "is_none_or_nan",
    "is_scorer",
    "params_of_rows",
    "present_results",
    "response_methods",
    "row_count",
    "rows_of_split",
    "scorers_by_name",
    "set_random_states",
    "validate_parameter_constraints",
    "validating_parameters",
    "version",
]


class KnownParameterNames(BaseEstimator):
    """An estimator whose class has its parameters' names read once: `BaseEstimator._get_param_names`.

    scikit-learn reads the signature of `__init__` at every `get_params`, some ten times for each fit of a
    search.
    """

    @classmethod
    def _get_param_names(cls) -> list[str]:
        if "_parameter_names" not in vars(cls):
            cls._parameter_names = super()._get_param_names()
        return list(cls._parameter_names)

    _parameter_names: ClassVar[list[str]]
