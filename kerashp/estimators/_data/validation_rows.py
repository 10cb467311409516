"""Validation rows that are passed to `fit`."""

import warnings
from typing import Any

import keras
import numpy as np

_MAX_VALUES, _MAX_ROWS = 2**22, 1000  # that are compared
_MIN_ROWS = 10  # for a reliable mean
_DEVIATIONS, _SPREAD = 3.0, 10.0  # means and spreads of a column that differ more are suspicious


def validation_tuple(validation_data: Any, X_val: Any, y_val: Any, sample_weight_val: Any) -> Any:
    """`validation_data`, or a tuple of `X_val`, `y_val` and `sample_weight_val`.

    Raises
    ------
    TypeError
        If both are passed, or only one of X_val and y_val.
    """
    arguments = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
    names = [name for name, value in arguments.items() if value is not None]
    if not names:
        return validation_data
    if validation_data is not None:
        raise TypeError(f"fit got both validation_data and {', '.join(names)}; pass one of them")
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise TypeError(f"fit got {', '.join(names)} without {missing}; validation needs X_val and y_val")
    return (X_val, y_val) if sample_weight_val is None else (X_val, y_val, sample_weight_val)


def warn_of_unlike_rows(X: Any, X_val: Any) -> None:
    """Warn if the steps before the estimator seem not to have been applied to the validation rows.

    Each argument is an array, or a list or dict of arrays. Few rows are not compared, since their means vary.
    """
    inputs = zip(keras.tree.flatten(X), keras.tree.flatten(X_val), strict=True)
    if len(keras.tree.flatten(X_val)[0]) < _MIN_ROWS:
        return
    unlike = np.concatenate([unlike_columns(*arrays) for arrays in inputs])
    n_unlike = np.count_nonzero(unlike)
    if n_unlike * 2 > len(unlike):
        warnings.warn(
            f"validation_data has another scale than the training rows: in {n_unlike} of {len(unlike)} "
            f"columns the means are more than {_DEVIATIONS:g} standard deviations apart or spreads differ "
            f"by more than {_SPREAD:g} times. The steps of a Pipeline are not applied to "
            "validation_data. Set early_stopping=True, which holds out rows of X; or pass X_val and y_val, "
            "with set_fit_request(X_val=True, y_val=True), to a Pipeline with transform_input=['X_val']; or "
            "transform X of validation_data first",
            stacklevel=1,  # a fixed place, so that Python shows it once for all fits of a search
        )


def unlike_columns(X: np.ndarray, X_val: np.ndarray) -> np.ndarray:
    """Which columns that vary differ by more than samples of the same distribution do."""
    X, X_val = _evenly_spaced_rows(X), _evenly_spaced_rows(X_val)
    spread, spread_val = X.std(axis=0), X_val.std(axis=0)
    varies = (spread > 0) & (spread_val > 0)
    if not varies.any():
        return varies[varies]
    spread, spread_val = spread[varies], spread_val[varies]
    distance = np.abs(X.mean(axis=0) - X_val.mean(axis=0))[varies] / spread
    ratio = np.maximum(spread / spread_val, spread_val / spread)
    return (distance > _DEVIATIONS) | (ratio > _SPREAD)


def _evenly_spaced_rows(X: np.ndarray) -> np.ndarray:
    """Rows at even distances, flattened."""
    n_rows = min(len(X), _MAX_ROWS, max(2, _MAX_VALUES // max(1, X[0].size)))
    rows = np.linspace(0, len(X) - 1, n_rows).astype(int)
    return X[rows].reshape(n_rows, -1).astype(float)
