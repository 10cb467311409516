"""A table as a matrix of numbers and columns of categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from kerashp.estimators._columns.columns import ArrayColumn, Categories, Column, check_kind, numbers_of
from kerashp.estimators._columns.frames import frame_columns
from kerashp.estimators._columns.selection import categorical_mask


@dataclass(frozen=True)
class Table:
    """The numbers of a table, with NaN where they are missing, and its categories.

    `is_category` says which columns are categories; the numbers have the others in their order.
    """

    numbers: np.ndarray
    categories: Sequence[Categories]
    is_category: np.ndarray
    source: Any = None  # what it was read from

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def of_numbers(cls, X: np.ndarray) -> "Table":
        """A table without categories."""
        return cls(X, [], np.zeros(X.shape[1], bool))


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table, and which of them are categories."""

    columns: Sequence[Column]
    is_category: np.ndarray

    def read(self) -> Table:
        """The values of the columns.

        Raises
        ------
        ValueError, TypeError
            If a column holds dates, or text although it is no category.
        """
        for column in self.columns:
            check_kind(column)
        pairs = list(zip(self.columns, self.is_category, strict=True))
        numbers = [numbers_of(column) for column, is_one in pairs if not is_one]
        categories = [column.categories() for column, is_one in pairs if is_one]
        n_rows = len(numbers[0] if numbers else categories[0].codes)
        matrix = np.column_stack(numbers) if numbers else np.empty((n_rows, 0), "float32")
        return Table(matrix, categories, self.is_category)


def columns_for_fit(X: Any, categorical_features: Any) -> TableColumns | None:
    """The columns of X for an estimator with this parameter; None where X is only one array of numbers."""
    if categorical_features is None:
        return None
    columns = frame_columns(X)
    if not isinstance(categorical_features, str):
        names = None if columns is None else list(X.columns)
        columns = _array_columns(X) if columns is None else columns
        return TableColumns(columns, categorical_mask(categorical_features, names, len(columns)))
    if columns is None or all(column.kind == "number" for column in columns):
        return None
    return TableColumns(columns, np.array([column.kind == "category" for column in columns]))


def columns_like(X: Any, is_category: np.ndarray) -> TableColumns | None:
    """The columns of X for an estimator fitted with these categories; None if X is one array of numbers."""
    columns = frame_columns(X)
    if not is_category.any() and (columns is None or all(column.kind == "number" for column in columns)):
        return None
    return TableColumns(_array_columns(X) if columns is None else columns, is_category)


def _array_columns(X: Any) -> Sequence[Column]:
    X = X.toarray() if sparse.issparse(X) else X
    array = check_array(X, dtype=object if isinstance(X, list | tuple) else None, ensure_all_finite=False)
    return [ArrayColumn(values, index) for index, values in enumerate(array.T)]
