"""Whether two sets are found to have the same statistical properties, and what differs is named."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse, stats

from kerashp.diagnostics import compare_distributions

N_TRAIN, N_VALID = 150, 60


def mixed(rng: np.random.Generator, n_rows: int) -> pd.DataFrame:
    """Numbers, numbers that are missing, strings, bools, and categories of which some are rare."""
    return pd.DataFrame(
        {
            "number": rng.normal(size=n_rows),
            "missing": np.where(rng.random(n_rows) < 0.2, np.nan, rng.normal(size=n_rows)),
            "text": rng.choice(["a", "b", None], p=[0.5, 0.3, 0.2], size=n_rows),
            "bool": rng.random(n_rows) < 0.3,
            "category": pd.Categorical(rng.choice(9, p=[0.6, *[0.05] * 8], size=n_rows)),
        }
    )


def different(**changes: Any) -> tuple[str, ...]:
    """What differs where some columns of the second set are replaced."""
    rng = np.random.default_rng(0)
    train, valid = mixed(rng, N_TRAIN), mixed(rng, N_VALID)
    assert compare_distributions(train, valid).differs == ()
    return compare_distributions(train, valid.assign(**changes)).differs


@pytest.mark.parametrize("kind", ["numbers", "mixed"])
def test_the_same_distribution_is_seldom_found_to_differ(kind: str) -> None:
    n_seeds, alpha, found = 100, 0.05, 0
    for seed in range(n_seeds):
        rng = np.random.default_rng([seed, len(kind)])
        make = mixed if kind == "mixed" else lambda rng, n_rows: rng.normal(size=(n_rows, 5))
        found += compare_distributions(make(rng, N_TRAIN), make(rng, N_VALID)).verdict == "different"
    assert found <= stats.binom.ppf(0.999, n_seeds, alpha)


def test_the_share_of_findings_grows_with_alpha() -> None:
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sets = rng.normal(size=(60, 3)), rng.normal(size=(60, 3))
        found += compare_distributions(*sets, alpha=0.5).verdict == "different"
    assert stats.binom.ppf(0.001, 60, 0.25) <= found <= stats.binom.ppf(0.999, 60, 0.5)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("number", np.random.default_rng(1).normal(1.0, size=N_VALID)),
        ("number", np.random.default_rng(1).normal(scale=3.0, size=N_VALID)),
        ("number", np.full(N_VALID, np.nan)),
        ("missing", np.random.default_rng(1).normal(size=N_VALID)),
        ("text", ["a", "c"] * (N_VALID // 2)),
        ("text", [None] * N_VALID),
        ("bool", [True] * N_VALID),
        ("category", pd.Categorical([0, 8] * (N_VALID // 2))),
    ],
)
def test_a_feature_that_differs_is_named(name: str, values: Any) -> None:
    assert different(**{name: values}) == (name,)


def test_numbers_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    train, valid = rng.normal(size=(80, 3)), rng.normal([0, 0.5, 1], [1, 1, 2], size=(50, 3))
    rows = {row.name: row for row in compare_distributions(train, valid).table}
    expected = [stats.ks_2samp(train[:, index], valid[:, index]) for index in range(3)]
    corrected = stats.false_discovery_control([result.pvalue for result in expected])
    for index, result in enumerate(expected):
        row = rows[f"x{index}"]
        assert (row.test, row.statistic) == ("Kolmogorov-Smirnov", pytest.approx(result.statistic))
        assert row.p_value == pytest.approx(result.pvalue)
        assert row.corrected_p_value == pytest.approx(corrected[index])
        assert (row.mean_train, row.std_valid) == (train[:, index].mean(), valid[:, index].std())
    counts = np.array([[30, 20, 30], [10, 30, 20]])
    labels = [np.repeat(["a", "b", "c"], own) for own in counts]
    (row,) = compare_distributions(*labels).table
    assert (row.statistic, row.p_value) == pytest.approx(stats.chi2_contingency(counts)[:2])
    assert np.isnan(row.mean_train)


def test_missing_numbers_count_twice_the_lower_p_value() -> None:
    train = np.repeat([0.0, np.nan], [90, 10])
    valid = np.repeat([0.0, np.nan], [50, 50])
    (row,) = compare_distributions(train, valid).table
    p_value = stats.fisher_exact([[10, 90], [50, 50]]).pvalue
    assert (row.test, row.statistic) == ("missing values", pytest.approx(0.4))
    assert (row.p_value, row.missing_train) == (pytest.approx(2 * p_value), 0.1)


def test_rare_categories_are_counted_together() -> None:
    rng = np.random.default_rng(0)
    names = [[str(number) for number in rng.integers(10**9, size=n_rows)] for n_rows in (300, 100)]
    (row,) = compare_distributions(*names).table
    assert row.p_value == 1.0  # identifiers, each of which is there once


def test_the_table_is_sorted_and_printed() -> None:
    rng = np.random.default_rng(0)
    found = compare_distributions(rng.normal(size=(50, 30)), rng.normal(size=(50, 30)) + np.arange(30) / 30)
    assert [row.p_value for row in found.table] == sorted(row.p_value for row in found.table)
    assert found.differs == tuple(row.name for row in found.table if row.corrected_p_value <= 0.05)
    text = str(found)
    assert text.startswith(f"{len(found.differs)} of 30 features differ (alpha=0.05): {found.differs[0]}, ")
    assert text.endswith("... and 10 more features")
    assert found._repr_html_().count("<tr>") == 21
    assert str(compare_distributions([1, 2], [1, 2])).startswith("0 of 1 features differ (alpha=0.05)\nfeat")


def as_object(X: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(X).astype(object)


def as_nullable(X: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(np.round(X * 1e6).astype(int)).astype("Int64")


@pytest.mark.parametrize(
    "container",
    [
        pd.DataFrame,
        as_object,
        as_nullable,
        pl.DataFrame,
        sparse.csr_matrix,
        sparse.coo_array,
        np.ndarray.tolist,
    ],
)
def test_containers_make_no_difference(container: Any) -> None:
    rng = np.random.default_rng(0)
    train, valid = rng.normal(size=(40, 3)), rng.normal([0, 1, 0], size=(30, 3))
    names = ["a", "b", "c"]
    expected = compare_distributions(train, valid, columns=names)
    found = compare_distributions(container(train), container(valid), columns=names)
    assert found.differs == expected.differs == ("b",)
    np.testing.assert_allclose([row.p_value for row in found.table], [row.p_value for row in expected.table])


def test_names_come_from_dataframes() -> None:
    train = {"age": np.arange(40.0), "town": ["a", "b"] * 20}
    valid = {"age": np.arange(40.0) + 60, "town": ["a", "b"] * 20}
    for frame in (pd.DataFrame, pl.DataFrame):
        assert compare_distributions(frame(train), frame(valid)).differs == ("age",)
    numbers = pd.DataFrame(train)[["age"]]
    assert compare_distributions(numbers, np.arange(40.0) + 60).differs == ("age",)
    for series in (pd.Series, pl.Series, list):
        assert compare_distributions(series(train["age"]), series(valid["age"])).differs == ("x0",)


def test_other_types_of_values() -> None:
    frames = [
        pl.DataFrame(
            {
                "enum": pl.Series(["x", "y"] * 20, dtype=pl.Categorical),
                "flag": [True, None] * 20,
                "n": [1] * 40,
            }
        )
        for _ in range(2)
    ]
    kinds = {row.name: row.test for row in compare_distributions(*frames).table}
    assert kinds == {"enum": "chi-squared", "flag": "chi-squared", "n": "Kolmogorov-Smirnov"}
    dates = pd.Series(pd.date_range("2020", periods=30))
    assert compare_distributions(dates, dates + pd.Timedelta(days=20)).verdict == "different"
    assert compare_distributions(dates, pd.Series([*dates[:29], pd.NaT])).verdict == "alike"
    category = pd.Series([1, 2] * 20, dtype="category")
    assert compare_distributions(category, category).table[0].test == "chi-squared"
    assert compare_distributions([[1, "a"]] * 20, [[2, "a"]] * 20).differs == ("x0",)
    assert compare_distributions([True, False] * 9, [True, False] * 9).table[0].test == "chi-squared"


@pytest.mark.parametrize("wrap", [lambda own: own, pd.Series, lambda own: pd.DataFrame({"a": own})])
def test_categories_that_are_missing_leave_the_others_as_they_are(wrap: Any) -> None:
    full, gaps = pd.Categorical([1, 2] * 50), pd.Categorical([*[1, 2] * 50, None])
    (row,) = compare_distributions(wrap(full), wrap(gaps)).table
    counts = [[50, 50, 0], [50, 50, 1]]
    assert (row.p_value, row.missing_valid) == (stats.chi2_contingency(counts).pvalue, 1 / 101)
    floats = pd.Categorical([1.0, 2.0] * 50)
    assert compare_distributions(wrap(full), wrap(floats)).table[0].statistic == 0


def aware(year: int) -> pd.Series:
    return pd.Series(pd.date_range(str(year), periods=50, tz="Asia/Tokyo"))


def naive(year: int) -> Any:
    return pd.date_range(str(year), periods=50).to_numpy()


@pytest.mark.parametrize(
    "dates",
    [
        aware,
        lambda year: pd.DataFrame({"a": aware(year)}),
        lambda year: pl.DataFrame({"a": pl.Series(naive(year)).dt.replace_time_zone("Asia/Tokyo")}),
        lambda year: pl.DataFrame({"a": list(aware(year).dt.date)}),
        lambda year: pd.DataFrame({"a": aware(year).dt.date}),
        lambda year: [*aware(year).dt.date, None],
        lambda year: [*aware(year), pd.NaT],
        lambda year: [time.to_pydatetime() for time in aware(year)],
    ],
)
def test_dates_of_all_kinds_are_compared_by_time(dates: Any) -> None:
    (row,) = compare_distributions(dates(2010), dates(2020)).table
    assert (row.test, row.statistic) == ("Kolmogorov-Smirnov", 1.0)
    assert compare_distributions(dates(2010), dates(2010)).table[0].p_value == 1.0


def test_dates_with_a_time_zone_are_compared_in_utc() -> None:
    utc = aware(2010).dt.tz_convert("UTC")
    plain = utc.dt.tz_localize(None)
    for same in (utc, plain, plain.astype(object)):
        (row,) = compare_distributions(aware(2010), same).table
        assert (row.statistic, row.mean_train) == (0.0, row.mean_valid)


def test_what_is_passed_stays_as_it_was() -> None:
    train, valid = (mixed(np.random.default_rng(seed), 40) for seed in range(2))
    before = train.copy(), valid.copy()
    compare_distributions(train, valid)
    pd.testing.assert_frame_equal(train, before[0])
    pd.testing.assert_frame_equal(valid, before[1])


X = np.zeros((4, 2))


@pytest.mark.parametrize(
    ("sets", "options", "error", "message"),
    [
        ((X, X[:, :1]), {}, ValueError, "must have the same features; got 2 and 1 columns"),
        ((X[:0], X), {}, ValueError, "X_train must be an array-like of shape .* at least one row"),
        ((X, X[:, :0]), {}, ValueError, "X_valid must be an array-like of shape"),
        ((X, pd.DataFrame()), {}, ValueError, "X_valid must be an array-like of shape"),
        (
            (X, np.zeros((4, 2, 2))),
            {},
            ValueError,
            r"\(flatten images and sequences\); got an array of shape \(4",
        ),
        (
            (X, [[1, 2], [3]]),
            {},
            ValueError,
            "X_valid must be an array-like .*, with rows of equal length; got",
        ),
        ((X, None), {}, TypeError, "X_valid must be an array-like of shape .* got None"),
        ((3.0, X), {}, TypeError, "X_train must be an array-like of shape .* got 3.0"),
        (
            (pd.DataFrame({"a": [1], "b": [2]}), pd.DataFrame({"b": [1], "a": [2]})),
            {},
            ValueError,
            r"must have the same columns in the same order; got .* Pass X_valid\[X_train.columns\]",
        ),
        (
            ([1, 2], ["a", "b"]),
            {},
            ValueError,
            "'x0' must be numeric or categorical in both sets; got numbers in X_train and categ",
        ),
        ((X, X + np.inf), {}, ValueError, "X_valid, feature 'x0', must hold finite numbers.* got 4 infinite"),
        ((X + 1j, X), {}, TypeError, "X_train, feature 'x0', must be numbers, dates or categories; got"),
        (
            (X, X),
            {"columns": ["a"]},
            ValueError,
            "columns must be 2 different names, one for each feature; got 'a'",
        ),
        ((X, X), {"columns": ["a", "a"]}, ValueError, "columns must be 2 different names"),
        (
            (X, X),
            {"columns": "ab"},
            TypeError,
            "columns must be 2 different names, one for each feature; got 'ab'",
        ),
        ((X, X), {"alpha": 1.0}, ValueError, r"alpha must be a number in \(0, 1\); got 1.0"),
        ((X, X), {"alpha": "a"}, TypeError, r"alpha must be a number in \(0, 1\); got 'a'"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    sets: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        compare_distributions(*sets, **options)
