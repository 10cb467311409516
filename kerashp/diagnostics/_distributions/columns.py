"""The columns of two data sets, each as an array of numbers or of categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse

from kerashp._arguments import Arguments, quoted, short_repr
from kerashp._compat.sklearn import column_names, indexed, is_none_or_nan, row_count

_CHECK = Arguments("compare_distributions")
_EXPECTED = (
    "an array-like of shape (n_samples, n_features) or (n_samples,), with at least one row and one feature"
)


@dataclass(frozen=True)
class Column:
    """One feature of one data set.

    Attributes
    ----------
    values : array of shape (n_samples - n_missing,)
        The values that are present, as float64, or as strings for a categorical feature.
    n_missing : int
        The number of missing values.
    categorical : bool
        Whether the values are categories.
    """

    values: np.ndarray
    n_missing: int
    categorical: bool

    def share_missing(self) -> float:
        """The share of the rows whose value is missing."""
        return self.n_missing / (self.n_missing + len(self.values))


def paired(X_train: Any, X_valid: Any, columns: Any) -> list[tuple[str, Column, Column]]:
    """The names of the features with their columns in both sets, after a check that the features agree."""
    sets = {"X_train": _with_two_axes(X_train, "X_train"), "X_valid": _with_two_axes(X_valid, "X_valid")}
    widths = [X.shape[1] for X in sets.values()]
    if widths[0] != widths[1]:
        raise ValueError(
            f"compare_distributions: X_train and X_valid must have the same features; got {widths[0]} and "
            f"{widths[1]} columns"
        )
    names = _feature_names(X_train, X_valid, columns, widths[0])
    pairs = []
    for index, name in enumerate(names):
        train, valid = (
            _column(indexed(X, index, axis=1), f"{which}, feature {name!r},") for which, X in sets.items()
        )
        if train.categorical != valid.categorical and len(train.values) and len(valid.values):
            kinds = ["categories" if column.categorical else "numbers" for column in (train, valid)]
            raise ValueError(
                f"compare_distributions: feature {name!r} must be numeric or categorical in both sets; got "
                f"{kinds[0]} in X_train and {kinds[1]} in X_valid. Convert the feature in one of the sets"
            )
        pairs.append((name, train, valid))
    return pairs


def _with_two_axes(X: Any, name: str) -> Any:
    """X with two axes: a DataFrame unchanged, a sparse matrix in CSC format, anything else as an array."""
    if sparse.issparse(X):
        X = sparse.csc_matrix(X)  # SciPy before 1.15 cannot index the columns of a sparse array
    elif not hasattr(X, "columns"):
        X = _array(X, name)
    shape = getattr(X, "shape", ())
    if len(shape) != 2 or 0 in shape:
        raise _CHECK.wrong_value(name, f"{_EXPECTED} (flatten images and sequences)", X)
    return X


def _array(X: Any, name: str) -> np.ndarray:
    """X as an array of two axes; a list that mixes numbers and strings becomes an array of objects."""
    try:
        array = _to_numpy(X)
        if array.dtype.kind in "US" and not hasattr(X, "dtype"):
            array = np.asarray(X, dtype=object)
    except ValueError as error:
        raise _CHECK.wrong_value(name, f"{_EXPECTED}, with rows of equal length", X) from error
    if array.ndim == 0:
        raise _CHECK.wrong_type(name, _EXPECTED, X)
    if _is_category(X):
        array = np.array([None if _is_missing(value) else _category_name(value) for value in array], object)
    return array[:, None] if array.ndim == 1 else array


def _to_numpy(values: Any) -> np.ndarray:
    """An array; pandas' categories as objects, since NumPy makes floats of integers if one is missing."""
    return np.asarray(values.astype(object) if _is_category(values) else values)


def _is_category(values: Any) -> bool:
    return str(getattr(values, "dtype", "")) == "category"


def _feature_names(X_train: Any, X_valid: Any, columns: Any, width: int) -> list[str]:
    by_frame = [names.tolist() for X in (X_train, X_valid) if (names := column_names(X)) is not None]
    if len(by_frame) == 2 and by_frame[0] != by_frame[1]:
        raise ValueError(
            "compare_distributions: X_train and X_valid must have the same columns in the same order; got "
            f"{short_repr(by_frame[0])} and {short_repr(by_frame[1])}. Pass X_valid[X_train.columns]"
        )
    if columns is not None:
        return _checked_names(columns, width)
    return by_frame[0] if by_frame else [f"x{index}" for index in range(width)]


def _checked_names(columns: Any, width: int) -> list[str]:
    expected = f"{width} different names, one for each feature"
    if isinstance(columns, str) or not isinstance(columns, Sequence | np.ndarray):
        raise _CHECK.wrong_type("columns", expected, columns)
    names = [str(name) for name in columns]
    if len(names) != width or len(set(names)) != width:
        raise ValueError(f"compare_distributions: columns must be {expected}; got {quoted(names)}")
    return names


def _column(data: Any, where: str) -> Column:
    if sparse.issparse(data):
        data = data.toarray()
    array = _with_dates(_to_numpy(data).reshape(row_count(data)))
    if array.dtype.kind in "mM":
        present = array[~np.isnat(array)].astype(f"{array.dtype.kind}8[us]")  # units may differ
        return Column(present.astype("int64").astype(float), len(array) - len(present), categorical=False)
    if array.dtype.kind == "c":
        raise _CHECK.wrong_type(where, "numbers, dates or categories", array)
    present = _present(array)
    categorical = _is_category(data) or not _is_numeric(present)
    values = (
        np.array([_category_name(value) for value in present])
        if categorical
        else _finite_numbers(present, where)
    )
    return Column(values, len(array) - len(present), categorical)


def _present(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        return array[~np.isnan(array)]
    if array.dtype.kind != "O":
        return array
    return array[~np.array([_is_missing(value) for value in array], bool)]


def _is_missing(value: Any) -> bool:
    not_a_time = isinstance(value, date | np.datetime64) and value != value
    return is_none_or_nan(value) or not_a_time


def _category_name(value: Any) -> str:
    """The name of a category. 1.0 is named 1, since pandas makes floats of integers if one is missing."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _with_dates(array: np.ndarray) -> np.ndarray:
    """An array of objects that are dates or missing as NumPy's dates, those with a time zone in UTC."""
    if array.dtype.kind != "O":
        return array
    missing = np.array([_is_missing(value) for value in array], bool)
    if missing.all() or not all(isinstance(value, date) for value in array[~missing]):
        return array
    dates = np.full(len(array), "NaT", "datetime64[us]")
    dates[~missing] = [_in_utc(value) for value in array[~missing]]
    return dates


def _in_utc(value: date) -> np.datetime64:
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def _is_numeric(present: np.ndarray) -> bool:
    if present.dtype.kind == "O":
        return all(isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in present)
    return present.dtype.kind in "iuf"


def _finite_numbers(present: np.ndarray, where: str) -> np.ndarray:
    values = present.astype(float)
    n_infinite = len(values) - int(np.isfinite(values).sum())
    if n_infinite:
        raise ValueError(
            f"compare_distributions: {where} must hold finite numbers, or NaN for missing values; got "
            f"{n_infinite} infinite values. Replace them"
        )
    return values
