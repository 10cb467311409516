"""What not all supported versions of scikit-learn have or take."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn
from sklearn.utils.validation import _check_sample_weight

from kerashp._compat._numbers import numbers

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
