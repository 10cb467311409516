"""The columns of data frames of pandas and of polars."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kerashp.estimators._columns.columns import (
    MISSING,
    Categories,
    Column,
    Kind,
    as_labels,
    check_objects,
    factorized,
    not_hashable,
)

# What pandas.api.types.infer_dtype finds in a column of objects. A column of missing values alone is one of
# categories, since other rows of the table, such as those of another fold, may have strings.
_NUMBERS_OF_OBJECTS = ("integer", "floating", "mixed-integer-float", "decimal")
_DATES_OF_OBJECTS = ("date", "datetime", "datetime64", "time", "timedelta", "timedelta64", "period")
_OTHER_OBJECTS = ("bytes", "complex")


def frame_columns(X: Any) -> Sequence[Column] | None:
    """The columns of a data frame of pandas or polars; None of anything else."""
    library = type(X).__module__.partition(".")[0]
    if library == "pandas" and hasattr(X, "columns"):
        return [PandasColumn(X.iloc[:, index], name) for index, name in enumerate(X.columns)]
    if library == "polars" and hasattr(X, "get_columns"):
        return [PolarsColumn(series) for series in X.get_columns()]
    return None


@dataclass(frozen=True)
class PandasColumn:
    """A column of a pandas data frame."""

    series: Any
    label: Any  # of the column

    @property
    def name(self) -> str:
        return repr(self.label)

    @property
    def dtype(self) -> str:
        return str(self.series.dtype)

    @cached_property
    def kind(self) -> Kind:
        import pandas as pd

        dtype, types = self.series.dtype, pd.api.types
        if isinstance(dtype, pd.CategoricalDtype) or types.is_bool_dtype(dtype):
            return "category"
        if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
            return "date"
        if types.is_numeric_dtype(dtype):
            return "other" if types.is_complex_dtype(dtype) else "number"
        return self._kind_of_objects

    @property
    def _kind_of_objects(self) -> Kind:
        import pandas as pd

        kind = pd.api.types.infer_dtype(self.series, skipna=True)
        if kind in _NUMBERS_OF_OBJECTS:
            return "number"
        if kind in _DATES_OF_OBJECTS:
            return "date"
        return "other" if kind in _OTHER_OBJECTS else "category"

    def numbers(self) -> np.ndarray:
        dtype = self.series.dtype
        if isinstance(dtype, np.dtype) and dtype.kind == "f":
            return self.series.to_numpy()
        return self.series.to_numpy(dtype=float, na_value=np.nan)

    def categories(self) -> Categories:
        import pandas as pd

        if isinstance(self.series.dtype, pd.CategoricalDtype):
            codes, labels = self.series.cat.codes.to_numpy(), self.series.cat.categories
        else:
            try:
                codes, labels = pd.factorize(self.series)
            except TypeError as error:  # of lists, say
                raise not_hashable(self.name, error) from error
            if self.series.dtype == object:
                check_objects(self.name, self.series)
        return Categories(np.asarray(codes, int), as_labels(self.name, labels))


@dataclass(frozen=True)
class PolarsColumn:
    """A column of a polars data frame."""

    series: Any

    @property
    def name(self) -> str:
        return repr(self.series.name)

    @property
    def dtype(self) -> str:
        return str(self.series.dtype).lower()

    @property
    def kind(self) -> Kind:
        import polars as pl

        dtype = self.series.dtype
        if dtype in (pl.Categorical, pl.Enum, pl.String, pl.Boolean):
            return "category"
        if dtype.is_numeric() or dtype == pl.Null:
            return "number"
        return "date" if dtype.is_temporal() else "other"

    def numbers(self) -> np.ndarray:
        import polars as pl

        series = self.series if self.series.dtype.is_float() else self.series.cast(pl.Float64)
        return series.to_numpy()

    def categories(self) -> Categories:
        import polars as pl

        if self.series.dtype == pl.Boolean:
            codes, labels = self.series.cast(pl.Int8), np.array([False, True])
        elif self.series.dtype in (pl.Categorical, pl.Enum, pl.String):
            text = self.series.cast(pl.String)
            listed = text.drop_nulls().unique().sort()
            codes, labels = text.cast(pl.Enum(listed)).to_physical(), as_labels(self.name, listed.to_list())
        else:
            return factorized(self.name, self.numbers())
        return Categories(codes.cast(pl.Int64).fill_null(MISSING).to_numpy(), labels)
