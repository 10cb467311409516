"""The rows to validate on that a call of `fit` is given."""

import warnings
from typing import Any

import keras
import numpy as np

_MOST_VALUES, _MOST_ROWS = 2**22, 1000  # of what is looked at
_FEWEST_ROWS = 10  # by which a mean is judged
_DEVIATIONS, _SPREAD = 3.0, 10.0  # between rows of one kind, a column's mean and spread differ less


def validation_tuple(validation_data: Any, X_val: Any, y_val: Any, sample_weight_val: Any) -> Any:
    """`validation_data`, or what was passed apart.

    Raises
    ------
    TypeError
        If both are there, or one of X_val and y_val is missing.
    """
    apart = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
    given = [name for name, value in apart.items() if value is not None]
    if not given:
        return validation_data
    if validation_data is not None:
        raise TypeError(f"fit got both validation_data and {', '.join(given)}; pass one of them")
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise TypeError(f"fit got {', '.join(given)} without {missing}; validation needs X_val and y_val")
    return (X_val, y_val) if sample_weight_val is None else (X_val, y_val, sample_weight_val)


def warn_of_unlike_rows(X: Any, X_val: Any) -> None:
    """Say where rows to validate on look as if steps before the estimator had not been applied to them.

    Each is an array, or a list or dict of arrays. Means of a few rows say nothing.
    """
    inputs = zip(keras.tree.flatten(X), keras.tree.flatten(X_val), strict=True)
    if len(keras.tree.flatten(X_val)[0]) < _FEWEST_ROWS:
        return
    unlike = np.concatenate([unlike_columns(*arrays) for arrays in inputs])
    n_unlike = np.count_nonzero(unlike)
    if n_unlike * 2 > len(unlike):
        warnings.warn(
            f"validation_data is of another scale than the rows to train on: in {n_unlike} of {len(unlike)} "
            f"columns the means are more than {_DEVIATIONS:g} standard deviations apart or spreads differ "
            f"by more than {_SPREAD:g} times. The steps of a Pipeline are not applied to "
            "validation_data. Set early_stopping=True, which holds out rows of X; or pass X_val and y_val, "
            "with set_fit_request(X_val=True, y_val=True), to a Pipeline with transform_input=['X_val']; or "
            "transform X of validation_data before",
            stacklevel=1,  # of one place, so that Python shows it once for all fits of a search
        )


def unlike_columns(X: np.ndarray, X_val: np.ndarray) -> np.ndarray:
    """Which columns differ by more than rows of one kind do; columns that are constant are left out."""
    X, X_val = _some(X), _some(X_val)
    spread, of_val = X.std(axis=0), X_val.std(axis=0)
    varied = (spread > 0) & (of_val > 0)
    if not varied.any():
        return varied[varied]
    spread, of_val = spread[varied], of_val[varied]
    apart = np.abs(X.mean(axis=0) - X_val.mean(axis=0))[varied] / spread
    ratio = np.maximum(spread / of_val, of_val / spread)
    return (apart > _DEVIATIONS) | (ratio > _SPREAD)


def _some(X: np.ndarray) -> np.ndarray:
    """Rows that are evenly spread over all, flat."""
    n_rows = min(len(X), _MOST_ROWS, max(2, _MOST_VALUES // max(1, X[0].size)))
    rows = np.linspace(0, len(X) - 1, n_rows).astype(int)
    return X[rows].reshape(n_rows, -1).astype(float)
