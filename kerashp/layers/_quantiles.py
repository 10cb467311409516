"""Weighted quantiles of columns."""

from typing import Any

import numpy as np

_ROUNDING = 8  # equal values may differ by this multiple of the float type's precision


def quantiles(values: np.ndarray, n_parts: int, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """The quantiles 0, 1 / n_parts, ..., 1 of each column, of shape `(n_parts + 1, n_columns)`.

    They are those of Hyndman and Fan's definition 2, the mean of both values where the distribution function
    jumps: an integer weight equals repeated rows, and equal weights change nothing.

    >>> quantiles(np.array([[1.0], [2.0], [3.0], [4.0]]), 2).tolist()
    [[1.0], [2.5], [4.0]]
    """
    weight = np.ones(len(values)) if sample_weight is None else sample_weight
    values, weight = values[weight > 0], weight[weight > 0]
    columns = [_of_column(column, n_parts, weight / weight.min()) for column in values.T]
    return np.stack(columns, axis=1)


def _of_column(values: np.ndarray, n_parts: int, weight: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    cumulated = np.cumsum(weight[order])
    targets = np.arange(n_parts + 1) * cumulated[-1] / n_parts
    places = [np.searchsorted(cumulated, targets, side) for side in ("left", "right")]
    lower, upper = (values[order][np.minimum(place, len(values) - 1)] for place in places)
    return lower / 2 + upper / 2  # the sum might overflow


def medians_and_factors(
    rows: np.ndarray, floatx: Any, sample_weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The median of each column, and 1 / (third quartile - first quartile).

    Where the quartiles are equal, the factor is 2 / (maximum - minimum); of a constant column it is 0. A
    range counts as at least a multiple of the precision of `floatx`, so that rounding differences stay small.
    """
    least, first, median, third, most = quantiles(rows.astype(float), 4, sample_weight)
    half = most / 2 - least / 2
    sizes = np.maximum(np.abs(least), np.abs(most))
    widths = np.where(third > first, third - first, half)
    widths = np.maximum(widths, _ROUNDING * np.finfo(floatx).eps * sizes)
    with np.errstate(divide="ignore", over="ignore"):
        factors = np.where(half > 0, np.minimum(1 / widths, np.finfo(floatx).max), 0.0)
    return median.astype(floatx), factors.astype(floatx)
