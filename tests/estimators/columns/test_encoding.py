"""What becomes of the columns of a table: numbers, categories and missing values, from pandas and polars."""

import datetime
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from kerashp.estimators._columns.encoder import MOST_ONE_HOT, ColumnEncoder
from kerashp.estimators._columns.table import columns_for_fit, columns_like
from kerashp.layers._categorical_columns import ColumnSizes

COLOURS = ["red", "blue", None, "red", "green", "blue"]
MANY = [f"city {index}" for index in range(MOST_ONE_HOT + 1)]


def fitted(X: Any, categorical_features: Any = "from_dtype", weight: Any = None) -> ColumnEncoder:
    columns = columns_for_fit(X, categorical_features)
    table = np.asarray(X, float) if columns is None else columns.read()
    return ColumnEncoder.fit(table, None if weight is None else np.asarray(weight, float))


def encoded(X: Any, *arguments: Any) -> list[Any]:
    """The matrix of the rows of the fit, with None for NaN."""
    return fitted(X, *arguments).transform(X).tolist()


PANDAS_TYPES: dict[str, Callable[[], pd.Series]] = {
    "object": lambda: pd.Series(COLOURS, dtype=object),
    "string": lambda: pd.Series(COLOURS, dtype="string"),
    "str": lambda: pd.Series(COLOURS, dtype="str"),
    "pyarrow": lambda: pd.Series(COLOURS, dtype="string[pyarrow]"),
    "category": lambda: pd.Series(pd.Categorical(COLOURS)),
    "category in another order": lambda: pd.Series(
        pd.Categorical(COLOURS, ["yellow", "red", "green", "blue"])
    ),
    "ordered": lambda: pd.Series(pd.Categorical(COLOURS, ordered=True)),
}


@pytest.mark.parametrize("name", PANDAS_TYPES)
def test_strings_and_categories_of_pandas_become_codes_in_sorted_order(name: str) -> None:
    if name == "pyarrow":
        pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"colour": PANDAS_TYPES[name](), "n": range(6)})
    assert encoded(frame) == [[0, 2], [1, 0], [2, 3], [3, 2], [4, 1], [5, 0]]


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["red", "green", "yellow", "blue"])])
def test_strings_and_categories_of_polars_become_the_same_codes(dtype: Any) -> None:
    frame = pl.DataFrame({"colour": pl.Series(COLOURS).cast(dtype), "n": range(6)})
    assert encoded(frame) == [[0, 2], [1, 0], [2, 3], [3, 2], [4, 1], [5, 0]]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (pd.DataFrame({"b": [True, False]}), [[1], [0]]),
        (pd.DataFrame({"b": pd.array([True, None, False], "boolean")}), [[1], [2], [0]]),
        (pd.DataFrame({"b": pd.Series([True, None, False], dtype=object)}), [[1], [2], [0]]),
        (pl.DataFrame({"b": [True, None, False]}), [[1], [2], [0]]),
        (pd.DataFrame({"b": pd.Categorical([3, 20, 3])}), [[0], [1], [0]]),
        (pd.DataFrame({"b": pd.cut([1, 9, 1], [0, 5, 10])}), [[0], [1], [0]]),
    ],
    ids=["bool", "boolean", "objects", "polars", "numbers", "intervals"],
)
def test_other_categories(frame: Any, expected: list[Any]) -> None:
    assert encoded(frame) == expected


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1, None, 3], dtype=object),
        pd.Series([1, None, 3], dtype="Int64"),
        pd.Series([1, None, 3], dtype="float32"),
        pl.Series([1, None, 3], dtype=pl.Int8),
        pl.Series([1, None, 3], dtype=pl.Float32),
    ],
    ids=lambda series: f"{type(series).__module__.split('.')[0]} {series.dtype}",
)
def test_numbers_of_any_type_get_the_mean_and_an_indicator_where_they_are_missing(series: Any) -> None:
    library = pl if isinstance(series, pl.Series) else pd
    frame = library.DataFrame({"text": ["a", "b", "a"], "n": series})
    assert encoded(frame) == [[1, 0, 0], [2, 1, 1], [3, 0, 0]]
    assert fitted(frame).names_out(["text", "n"]) == ["n", "missingindicator_n", "text"]


def test_the_mean_and_the_categories_are_those_of_rows_with_a_weight() -> None:
    frame = pd.DataFrame({"n": [1.0, np.nan, 4.0, 100.0], "text": ["b", "c", None, "a"]})
    encoder = fitted(frame, "from_dtype", [2, 1, 1, 0])
    assert encoder.means.tolist() == [2.0]
    assert encoder.vocabularies[0].labels.tolist() == ["b", "c"]
    assert encoder.transform(frame)[:, 2].tolist() == [0, 1, 2, 2]  # "a" was not seen: it counts as missing


def test_an_indicator_is_there_only_for_columns_with_missing_numbers_in_the_fit() -> None:
    X = np.array([[1.0, 5.0], [np.nan, 7.0], [3.0, 9.0]])
    encoder = fitted(X)
    assert encoder.transform(X).tolist() == [[1, 5, 0], [2, 7, 1], [3, 9, 0]]
    assert encoder.transform([[1.0, np.nan]]).tolist() == [[1, 7, 0]]


def test_a_column_without_any_number_is_left_out() -> None:
    X = np.array([[1.0, np.nan], [2.0, np.nan]])
    encoder = fitted(X)
    assert encoder.transform(np.array([[1.0, 5.0]])).tolist() == [[1]]
    assert encoder.names_out(["a", "b"]) == ["a"]


def test_means_of_large_numbers_do_not_overflow() -> None:
    X = np.full((10, 2), 1.5e308)
    X[0, 1] = np.nan
    np.testing.assert_allclose(fitted(X).means, 1.5e308)
    np.testing.assert_allclose(fitted(X, None, [2] * 10).means, 1.5e308)


def test_an_array_of_numbers_is_returned_as_it_is() -> None:
    X = np.random.default_rng(0).normal(size=(5, 3))
    encoder = fitted(X)
    assert encoder.encoded(X) is X
    assert encoder.sizes(8) is None


def test_more_than_nine_categories_are_embedded() -> None:
    few, many = MANY[:MOST_ONE_HOT] + MANY[:1], MANY
    frame = pd.DataFrame({"few": few, "many": many, "other": [*MANY[:9], None], "n": range(10)})
    encoder = fitted(frame)
    assert encoder.sizes(4) == ColumnSizes(1, 0, 2, 9 + 10, 1, 10, 4)
    assert encoder.names_out(list(frame)) == ["n", "few", "other", "many"]
    assert encoder.transform(frame)[-1].tolist() == [9, 0, 9 + 9, 9]


def test_categories_that_the_fit_did_not_have_count_as_missing_or_have_no_code() -> None:
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["x", None]})
    new = pd.DataFrame({"a": ["z", None], "b": ["z", None]})
    assert fitted(frame).transform(new).tolist() == [[-1, 3], [-1, 3]]


def test_a_column_of_missing_categories_alone() -> None:
    frame = pd.DataFrame({"a": pd.Series([None, None], dtype="string"), "n": [1, 2]})
    assert fitted(frame, ["a"]).transform(frame).tolist() == [[1, 0], [2, 0]]


def test_a_column_without_values_in_the_fit_may_have_strings_later() -> None:
    frame = pd.DataFrame({"a": pd.Series([None, None], dtype=object), "n": [1, 2]})
    encoder = fitted(frame)
    assert encoder.transform(frame).tolist() == [[1, 0], [2, 0]]
    assert encoder.transform(frame.assign(a=["x", None])).tolist() == [[1, 0], [2, 0]]
    assert encoder.transform(frame.assign(a=[3.0, None])).tolist() == [[1, 0], [2, 0]]


SELECTIONS = [["a", "c"], [0, 2], [True, False, True], np.array([0, 2]), pd.Index(["a", "c"])]


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
@pytest.mark.parametrize("library", [pd, pl])
def test_columns_are_selected_by_names_indices_or_a_mask(selection: Any, library: Any) -> None:
    frame = library.DataFrame({"a": [5.0, None, 7.0], "b": [1, 2, 3], "c": ["u", "v", "u"]})
    assert fitted(frame, selection).is_category.tolist() == [True, False, True]
    assert encoded(frame, selection) == [[1, 0, 3], [2, 2, 4], [3, 1, 3]]


@pytest.mark.parametrize(
    "X",
    [
        np.array([[5.0, 1.0], [np.nan, 2.0]]),
        [[5.0, 1.0], [None, 2.0]],
        np.array([["x", 1], [None, 2]], dtype=object),
        np.array([["y", "1"], ["x", "2"]]),
    ],
    ids=["numbers", "list", "objects", "strings"],
)
def test_columns_of_an_array_are_selected_by_indices(X: Any) -> None:
    second = 0 if isinstance(X, np.ndarray) and X.dtype.kind == "U" else 1
    assert encoded(X, [0]) == [[1, 1 - second], [2, second]]


def test_a_sparse_array_has_categories_at_indices() -> None:
    assert encoded(sparse.csr_array([[0.0, 1.0], [3.0, 2.0]]), [0]) == [[1, 0], [2, 1]]


def test_none_and_an_empty_list_select_nothing() -> None:
    frame = pd.DataFrame({"a": [True, False], "b": pd.Categorical([3, 4])})
    assert encoded(frame, []) == [[1, 3], [0, 4]]
    assert columns_for_fit(frame, None) is None


def test_an_array_is_encoded_by_the_columns_of_a_data_frame() -> None:
    frame = pd.DataFrame({"a": ["x", "y"], "n": [1, 2]})
    assert fitted(frame).transform(frame.to_numpy()).tolist() == [[1, 0], [2, 1]]


def test_labels_are_found_again_in_another_type() -> None:
    encoder = fitted(pd.DataFrame({"a": pd.Categorical([1, 2]), "b": pd.Categorical([0, 1])}))
    other = pd.DataFrame({"a": [1.0, np.nan], "b": [False, True]})
    assert encoder.transform(other).tolist() == [[0, 2], [-1, 3]]


BAD_SELECTIONS = [
    ([[0]], r"categorical_features must be 'from_dtype', None, or a list of .*; got \[\[0\]\]"),
    ([0.5], r"categorical_features must be .*; got \[0\.5\]"),
    ([True], r"as a mask must have a boolean for each of the 2 columns of X; got \[True\], of length 1"),
    ([2], r"must have indices from 0 to 1, since X has 2 columns; got \[2\]"),
    ([-1], r"must have indices from 0 to 1, .*; got \[-1\]"),
    (["c"], r"has names that are not columns of X: \['c'\]\. The columns are \['a', 'b'\]"),
]


@pytest.mark.parametrize(("selection", "message"), BAD_SELECTIONS, ids=str)
def test_bad_selections(selection: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        columns_for_fit(pd.DataFrame({"a": [1], "b": [2]}), selection)


def test_names_need_a_data_frame() -> None:
    with pytest.raises(ValueError, match=r"has names, but the columns of X have none; got \['a'\]\. Pass a"):
        columns_for_fit(np.zeros((2, 2)), ["a"])


DAY = datetime.date(2026, 1, 1)
DATES = [
    pd.DataFrame({"day": pd.to_datetime(["2026-01-01"])}),
    pd.DataFrame({"day": pd.to_datetime(["2026-01-01"]).tz_localize("UTC")}),
    pd.DataFrame({"day": pd.to_timedelta([1], unit="D")}),
    pd.DataFrame({"day": pd.period_range("2026-01", periods=1, freq="M")}),
    pd.DataFrame({"day": [DAY]}),
    pl.DataFrame({"day": [DAY]}),
    pl.DataFrame({"day": [datetime.timedelta(days=1)]}),
]


@pytest.mark.parametrize(
    "frame", DATES, ids=lambda frame: f"{type(frame).__module__[:6]} {frame['day'].dtype}"
)
def test_dates_are_refused_with_the_way_to_encode_them(frame: Any) -> None:
    with pytest.raises(
        ValueError, match=r"X has dates in the column 'day' \(.*\): encode them.*DatetimeEncoder"
    ):
        fitted(frame)
    with pytest.raises(ValueError, match=r"X has dates in the column 'day'"):
        fitted(frame, ["day"])


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [b"x"]}),
        pd.DataFrame({"a": [1j], "b": ["x"]}),
        pl.DataFrame({"a": [[1, 2]]}),
        pl.DataFrame({"a": [{"b": 1}]}),
        pl.DataFrame({"a": [b"x"]}),
    ],
    ids=["bytes", "complex", "lists", "structs", "polars bytes"],
)
def test_what_is_neither_number_nor_category_is_refused(frame: Any) -> None:
    with pytest.raises(ValueError, match=r"X must hold numbers or categories; got .* in the column 'a'"):
        fitted(frame)


def test_dates_and_complex_numbers_of_an_array_are_refused() -> None:
    with pytest.raises(ValueError, match=r"X has dates in the column 0 \(datetime64"):
        fitted(np.zeros((2, 2), "M8[D]"), [1])
    with pytest.raises(ValueError, match=r"Complex data not supported|got complex128 in the column 0"):
        fitted(np.zeros((2, 2), complex), [1])


@pytest.mark.parametrize(
    ("column", "kinds"),
    [
        (["a", 1], "numbers and strings"),
        (["a", True], "booleans and strings"),
        ([3, True, "x"], "booleans and numbers and strings"),
        ([True, 1, 2], "booleans and numbers"),
        ([None, 1, True, 2], "booleans and numbers"),
        ([1.0, np.bool_(True)], "booleans and numbers"),
    ],
)
def test_categories_of_several_types_are_refused(column: list[Any], kinds: str) -> None:
    frame = pd.DataFrame({"a": pd.Series(column, dtype=object)})
    with pytest.raises(TypeError, match=rf"X mixes {kinds}.* in the column 'a', such as .*astype\(str\)"):
        fitted(frame)
    with pytest.raises(TypeError, match=f"X mixes {kinds}.* in the column 0"):
        fitted(frame.to_numpy(), [0])


def test_values_that_cannot_be_categories_are_refused() -> None:
    lists = pd.Series([[1, 2], [3, 4]], dtype=object)
    with pytest.raises(TypeError, match="the column 'a' that cannot be categories .*unhashable.*: convert"):
        fitted(pd.DataFrame({"a": lists}))
    with pytest.raises(TypeError, match="the column 0 that cannot be categories .*unhashable.*: convert"):
        fitted(lists.to_numpy().reshape(-1, 1), [0])


def test_text_in_a_column_that_is_no_category_is_refused() -> None:
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["u", "v"]})
    message = r"X must hold numbers in the column 'b', which is no category; got (str|object) .*Name it"
    with pytest.raises(ValueError, match=message):
        fitted(frame, ["a"])
    encoder = fitted(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}))
    with pytest.raises(ValueError, match=message):
        encoder.transform(frame)
    with pytest.raises(ValueError, match=re.escape("in the column 1, which is no category; got object")):
        encoder.transform(frame.to_numpy())


def test_numbers_as_text_are_numbers_where_they_are_no_category() -> None:
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["1.5", None]})
    assert encoded(frame, ["a"]) == [[1.5, 0, 0], [1.5, 1, 1]]


def test_a_frame_of_numbers_alone_is_an_array() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None]})
    assert columns_for_fit(frame, "from_dtype") is None
    assert columns_like(frame, np.zeros(2, bool)) is None
