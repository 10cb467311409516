"""The encoder of tables: it learns means and categories from the rows of a fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kerashp.estimators._columns.columns import MISSING, Categories
from kerashp.estimators._columns.table import Table, columns_like
from kerashp.layers._categorical_columns import ColumnSizes

MOST_ONE_HOT = 9  # categories of a column; columns with more are embedded
_UNSEEN = -1  # the code of a category that the rows of the fit did not have
_INDICATOR = "missingindicator_"  # as scikit-learn's SimpleImputer names it


def has_missing(X: np.ndarray) -> bool:
    """Whether a number is NaN; fast for arrays without any."""
    with np.errstate(over="ignore", invalid="ignore"):
        return X.dtype.kind == "f" and bool(np.isnan(X.sum())) and bool(np.isnan(X).any())


@dataclass(frozen=True)
class Vocabulary:
    """The categories of a column in the rows of a fit.

    Parameters
    ----------
    labels : ndarray of shape (n_labels,)
        Sorted strings, numbers or booleans.
    has_missing : bool
        Whether some rows have none of them; then missing is the last category.
    """

    labels: np.ndarray
    has_missing: bool

    @classmethod
    def of(cls, column: Categories) -> "Vocabulary":
        """The vocabulary of some rows."""
        present = np.unique(column.codes)
        labels = column.labels[present[present != MISSING]]
        return cls(np.sort(labels), bool(len(present) and present[0] == MISSING))

    @property
    def size(self) -> int:
        """The number of categories."""
        return len(self.labels) + self.has_missing

    @property
    def is_embedded(self) -> bool:
        """Whether there are too many labels to be one-hot."""
        return len(self.labels) > MOST_ONE_HOT

    @cached_property
    def _positions(self) -> dict[Any, int]:
        return {label: position for position, label in enumerate(self.labels.tolist())}

    def codes(self, column: Categories) -> np.ndarray:
        """The code of each row; a label that is not in the vocabulary counts as missing."""
        missing = len(self.labels) if self.has_missing else _UNSEEN
        code_of = [self._positions.get(label, missing) for label in column.labels.tolist()]
        return np.array([*code_of, missing])[column.codes]  # MISSING takes the last


class ColumnEncoder:
    """Encodes a table as one matrix of floats: numbers, indicators of missing numbers, codes of categories.

    A missing number becomes the mean of the column, and its indicator 1, if the rows of the fit had missing
    values in the column. See `ColumnSizes` for the order of the matrix, and for the codes.

    Parameters
    ----------
    means : ndarray of shape (n_numbers,)
        The weighted means of the numbers, NaN for a column without any.
    indicators : ndarray of bool of shape (n_numbers,)
        Which numbers have an indicator.
    vocabularies : list of Vocabulary
        Of the columns of categories.
    is_category : ndarray of bool of shape (n_features,)
        Which columns of the table are categories.
    """

    def __init__(
        self,
        means: np.ndarray,
        indicators: np.ndarray,
        vocabularies: Sequence[Vocabulary],
        is_category: np.ndarray,
    ):
        self.means = means
        self.indicators = indicators
        self.vocabularies = list(vocabularies)
        self.is_category = is_category

    @classmethod
    def fit(cls, X: Table | np.ndarray, weight: np.ndarray | None) -> "ColumnEncoder":
        """The encoder that rows with a positive weight determine."""
        table = X if isinstance(X, Table) else Table.of_numbers(X)
        numbers, categories = table.numbers, table.categories
        if weight is not None and not weight.all():
            rows = weight > 0
            numbers, weight = numbers[rows], weight[rows]
            categories = [Categories(column.codes[rows], column.labels) for column in categories]
        missing = np.isnan(numbers).any(axis=0) if has_missing(numbers) else np.zeros(numbers.shape[1], bool)
        means = _means(numbers, weight)
        return cls(means, missing & ~np.isnan(means), list(map(Vocabulary.of, categories)), table.is_category)

    @classmethod
    def of_numbers(cls, means: np.ndarray) -> "ColumnEncoder":
        """The encoder of numbers with these means, none of which was missing."""
        none = np.zeros(len(means), bool)
        return cls(means, none, [], none)

    @property
    def _has_values(self) -> np.ndarray:
        """Which of the numbers have any value in the rows of the fit; the others are left out."""
        return ~np.isnan(self.means)

    @property
    def n_numbers(self) -> int:
        """The numbers of the matrix, without indicators."""
        return int(np.count_nonzero(self._has_values))

    @property
    def changes_nothing(self) -> bool:
        """Whether the matrix of a table without missing numbers is the table."""
        return not self.indicators.any() and not self.is_category.any() and bool(self._has_values.all())

    @property
    def n_columns(self) -> int:
        """The columns of the matrix."""
        sizes = self.sizes(0)
        return self.n_numbers if sizes is None else sizes.n_columns

    def sizes(self, embedding_dim: int) -> ColumnSizes | None:
        """What the network has to know about the matrix; None if there are only numbers in it."""
        embedded, one_hot = self._by_kind
        n_indicators = int(np.count_nonzero(self.indicators))
        if not embedded and not one_hot and not n_indicators:
            return None
        return ColumnSizes(
            n_numbers=self.n_numbers,
            n_indicators=n_indicators,
            n_one_hot=len(one_hot),
            n_one_hot_categories=sum(vocabulary.size for _, vocabulary in one_hot),
            n_embedded=len(embedded),
            n_embedded_categories=sum(vocabulary.size for _, vocabulary in embedded),
            embedding_dim=embedding_dim if embedded else 0,
        )

    @property
    def _by_kind(self) -> tuple[list[tuple[int, Vocabulary]], list[tuple[int, Vocabulary]]]:
        """The embedded columns and the one-hot ones, each with its index among those of categories."""
        columns = [(index, v) for index, v in enumerate(self.vocabularies) if v.size]
        return [c for c in columns if c[1].is_embedded], [c for c in columns if not c[1].is_embedded]

    def transform(self, X: Any) -> np.ndarray:
        """The matrix that the network takes for a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A table with the columns of the fit.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            Floats.
        """
        columns = columns_like(X, self.is_category)
        return self.encoded(np.asarray(X, float) if columns is None else columns.read())

    def encoded(self, X: Table | np.ndarray) -> np.ndarray:
        """The matrix for a table or for an array of numbers, in the type of the numbers."""
        table = X if isinstance(X, Table) else Table.of_numbers(X)
        numbers = table.numbers
        if has_missing(numbers):
            missing = np.isnan(numbers)
            parts = [
                np.where(missing, self.means.astype(numbers.dtype), numbers),
                missing[:, self.indicators],
            ]
        elif self.changes_nothing:
            return numbers
        else:
            parts = [numbers, np.zeros((len(numbers), np.count_nonzero(self.indicators)))]
        parts[0] = parts[0][:, self._has_values]
        for columns in reversed(self._by_kind):
            first = 0
            for index, vocabulary in columns:
                codes = vocabulary.codes(table.categories[index])
                parts.append(np.where(codes == _UNSEEN, codes, codes + first)[:, None])
                first += vocabulary.size
        dtype = numbers.dtype if numbers.dtype.kind == "f" else np.dtype(float)
        return np.concatenate(parts, axis=1, dtype=dtype, casting="unsafe")

    def names_out(self, names: Sequence[str]) -> list[str]:
        """The names of the columns of the matrix, by those of the table."""
        numbers = [name for name, is_one in zip(names, self.is_category, strict=True) if not is_one]
        categories = [name for name, is_one in zip(names, self.is_category, strict=True) if is_one]
        indicators = [_INDICATOR + name for name, has in zip(numbers, self.indicators, strict=True) if has]
        numbers = [name for name, has in zip(numbers, self._has_values, strict=True) if has]
        codes = [categories[index] for columns in reversed(self._by_kind) for index, _ in columns]
        return [*numbers, *indicators, *codes]


def _means(numbers: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """The weighted means of the values of each column; NaN where there are none."""
    weight = None if weight is None else weight.astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        means: np.ndarray = (
            numbers.mean(axis=0, dtype=float) if weight is None else weight @ numbers / weight.sum()
        )
        if np.isfinite(means).all():
            return means
        present = ~np.isnan(numbers)
        shares = present * (1.0 if weight is None else weight[:, None])
        shares = shares / shares.sum(axis=0)  # before the sum of products, which could overflow
        return np.asarray((np.where(present, numbers, 0) * shares).sum(axis=0))
