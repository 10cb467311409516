"""A column of a table, whichever library holds it: numbers, or categories as codes and labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, Protocol

import numpy as np

from kerashp._arguments import short_repr
from kerashp._compat.sklearn import is_none_or_nan

Kind = Literal["number", "category", "date", "other"]

MISSING = -1  # the code of a missing value


@dataclass(frozen=True)
class Categories:
    """A column of categories.

    `codes` has the position in `labels` of each row's label, `MISSING` for none. Labels are distinct; they
    are strings, numbers or booleans, and rows need not have all of them.
    """

    codes: np.ndarray
    labels: np.ndarray


class Column(Protocol):
    """A column of a table."""

    @property
    def name(self) -> str:
        """The column in the words of an error."""

    @property
    def dtype(self) -> str:
        """The name of its type."""

    @property
    def kind(self) -> Kind:
        """What its type says that it holds."""

    def numbers(self) -> np.ndarray:
        """Its values as floats, NaN where they are missing."""

    def categories(self) -> Categories:
        """Its values as categories."""


def numbers_of(column: Column) -> np.ndarray:
    """The numbers of a column that is no category.

    Raises
    ------
    ValueError
        If it has dates, text or other values that are no numbers.
    """
    check_kind(column)
    try:
        if column.kind == "number":
            return column.numbers()
        values = column.categories()
        labels = np.append(values.labels.astype(float), np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"X must hold numbers in the column {column.name}, which is no category; got {column.dtype} "
            f"({error}). Name it in categorical_features, or convert it to numbers"
        ) from error
    return labels[values.codes]


def check_kind(column: Column) -> None:
    """Refuse dates, and what is neither number nor category.

    Raises
    ------
    ValueError
        If the column is of such a type.
    """
    if column.kind == "date":
        raise ValueError(
            f"X has dates in the column {column.name} ({column.dtype}): encode them as numbers, such as the "
            "year, the month and the weekday (pandas: X[...].dt.month), or put skrub.DatetimeEncoder or "
            "skrub.TableVectorizer before the estimator in a Pipeline"
        )
    if column.kind == "other":
        raise ValueError(
            f"X must hold numbers or categories; got {column.dtype} in the column {column.name}: convert it "
            "to numbers, strings or categories"
        )


def as_labels(column: str, values: Iterable[Any]) -> np.ndarray:
    """Labels as an array of one type: booleans, numbers or strings.

    Labels of any other type, such as intervals, are replaced by their text.

    Raises
    ------
    TypeError
        If strings and other labels are mixed.
    """
    labels = [value.item() if isinstance(value, np.generic) else value for value in values]
    kinds = _kinds_of_labels(column, labels)
    if kinds == {"booleans"}:
        return np.array(labels, dtype=bool)
    if kinds == {"numbers"}:
        return np.array(labels)
    texts = np.empty(len(labels), dtype=object)
    texts[:] = [str(label) for label in labels]
    return texts


def not_hashable(column: str, error: TypeError) -> TypeError:
    """The error to raise for values that cannot be compared as categories."""
    return TypeError(
        f"X has values in the column {column} that cannot be categories ({error}): convert them to "
        "numbers or strings, in one column for each"
    )


def check_objects(column: str, values: Iterable[Any]) -> None:
    """Refuse a column of objects that mixes types: its distinct values may hide it, since True equals 1.

    Raises
    ------
    TypeError
        If strings, numbers and other values are mixed.
    """
    of_types: dict[type, Any] = {}
    for value in values:
        if type(value) not in of_types and not is_none_or_nan(value):
            of_types[type(value)] = value
    _kinds_of_labels(column, list(of_types.values()))


def _kinds_of_labels(column: str, labels: Sequence[Any]) -> set[str]:
    kinds = {_kind_of_label(label) for label in labels}
    if len(kinds) > 1:
        mixed = " and ".join(sorted(kinds))
        raise TypeError(
            f"X mixes {mixed} in the column {column}, such as {short_repr(labels[:5])}; the "
            "categories of a column must be of one type: convert it, say with astype(str)"
        )
    return kinds


def _kind_of_label(label: Any) -> str:
    if isinstance(label, bool | np.bool_):
        return "booleans"
    if isinstance(label, str):
        return "strings"
    return "numbers" if isinstance(label, Real) else f"objects of type {type(label).__name__}"


@dataclass(frozen=True)
class ArrayColumn:
    """A column of an array, whose type says nothing."""

    values: np.ndarray
    index: int

    @property
    def kind(self) -> Kind:
        kind = self.values.dtype.kind
        return "date" if kind in "mM" else "number" if kind in "biufOUT" else "other"

    @property
    def name(self) -> str:
        return str(self.index)

    @property
    def dtype(self) -> str:
        return str(self.values.dtype)

    def numbers(self) -> np.ndarray:
        values = self.values
        if values.dtype.kind == "O":
            values = np.array([np.nan if is_none_or_nan(value) else value for value in values], dtype=object)
        return values if values.dtype.kind == "f" else values.astype(float)

    def categories(self) -> Categories:
        return factorized(self.name, self.values)


def factorized(column: str, values: np.ndarray) -> Categories:
    """The categories of an array of numbers, strings or objects."""
    if values.dtype.kind == "O":
        positions: dict[Any, int] = {}
        try:
            listed = [
                MISSING if is_none_or_nan(value) else positions.setdefault(value, len(positions))
                for value in values.tolist()
            ]
        except TypeError as error:  # of lists, say
            raise not_hashable(column, error) from error
        check_objects(column, values)
        return Categories(np.array(listed, int), as_labels(column, positions))
    labels, codes = np.unique(values, return_inverse=True)  # one NaN, the last
    if labels.dtype.kind == "f" and len(labels) and np.isnan(labels[-1]):
        labels, codes = labels[:-1], np.where(codes == len(labels) - 1, MISSING, codes)
    return Categories(codes, as_labels(column, labels.tolist()))
