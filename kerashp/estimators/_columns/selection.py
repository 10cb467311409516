"""The parameter `categorical_features`: which columns are categories."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerashp._arguments import short_repr


def categorical_mask(categorical_features: Any, names: Sequence[Any] | None, n_columns: int) -> np.ndarray:
    """Which columns a list of names, of indices or a mask selects.

    Raises
    ------
    ValueError
        If it is none of these, or refers to a column that X does not have.
    """
    selected = np.asarray(categorical_features)
    received = f"got {short_repr(categorical_features)}"
    if selected.ndim != 1 or selected.dtype.kind not in "biuOUT":
        if selected.shape == (0,):
            return np.zeros(n_columns, bool)
        raise ValueError(
            "categorical_features must be 'from_dtype', None, or a list of column names, of indices or of "
            f"booleans; {received}"
        )
    if selected.dtype.kind == "b":
        if len(selected) != n_columns:
            raise ValueError(
                f"categorical_features as a mask must have a boolean for each of the {n_columns} columns of "
                f"X; {received}, of length {len(selected)}"
            )
        return selected
    if selected.dtype.kind in "iu":
        return _at_indices(selected, n_columns, received)
    return _with_names(selected.tolist(), names, received)


def _at_indices(indices: np.ndarray, n_columns: int, received: str) -> np.ndarray:
    if indices.min() < 0 or indices.max() >= n_columns:
        raise ValueError(
            f"categorical_features must have indices from 0 to {n_columns - 1}, since X has {n_columns} "
            f"columns; {received}"
        )
    return np.isin(np.arange(n_columns), indices)


def _with_names(selected: list[Any], names: Sequence[Any] | None, received: str) -> np.ndarray:
    if names is None:
        raise ValueError(
            f"categorical_features has names, but the columns of X have none; {received}. Pass a data frame, "
            "or indices"
        )
    unknown = [name for name in selected if name not in names]
    if unknown:
        raise ValueError(
            f"categorical_features has names that are not columns of X: {short_repr(unknown)}. The columns "
            f"are {short_repr(list(names))}"
        )
    return np.array([name in selected for name in names])
