"""Tests whether two data sets have the same distribution, feature by feature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from kerashp._arguments import Arguments
from kerashp.diagnostics._distributions.columns import Column, paired
from kerashp.diagnostics._foundations.result import Result, Table

_CHECK = Arguments("compare_distributions")
_MOST_EXACT = 500  # rows of a set up to which the exact Kolmogorov-Smirnov test, which is slow, is used
_EXPECTED_COUNT = 5.0  # in each cell, below which the chi-squared distribution does not hold (Cochran, 1954)
_MOST_ROWS = 20  # of the table that is printed
_HEADINGS = (
    "feature",
    "test",
    "statistic",
    "p-value",
    "corrected",
    "mean train",
    "mean valid",
    "std train",
    "std valid",
    "missing train",
    "missing valid",
)


@dataclass(frozen=True)
class FeatureComparison:
    """The comparison of one feature.

    Attributes
    ----------
    name : str
        The name of the feature.
    test : {"Kolmogorov-Smirnov", "chi-squared", "missing values"}
        The test with the lowest p-value among those that were applied.
    statistic : float
        The largest distance between the two distribution functions, in [0, 1]; chi-squared; or the difference
        between the shares of missing values.
    p_value, corrected_p_value : float
        The p-value of this feature, and the same corrected for the number of features.
    mean_train, mean_valid, std_train, std_valid : float
        Mean and standard deviation of the values that are present; NaN for categories.
    missing_train, missing_valid : float
        The share of the rows whose value is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.diagnostics import compare_distributions
    >>> X = np.arange(200.0).reshape(100, 2)
    >>> feature = compare_distributions(X, X + [0, 1000], columns=["age", "income"]).table[0]
    >>> feature.name, feature.test, feature.statistic
    ('income', 'Kolmogorov-Smirnov', 1.0)
    """

    name: str
    test: str
    statistic: float
    p_value: float
    corrected_p_value: float
    mean_train: float
    mean_valid: float
    std_train: float
    std_valid: float
    missing_train: float
    missing_valid: float

    def _cells(self) -> tuple[str, ...]:
        return tuple(cell if isinstance(cell, str) else f"{cell:.3g}" for cell in vars(self).values())


@dataclass(frozen=True)
class DistributionComparison(Result):
    """The result of `compare_distributions`.

    Attributes
    ----------
    table : tuple of FeatureComparison
        The comparison of each feature, in ascending order of p-values.
    alpha : float
        The largest corrected p-value with which a feature is said to differ.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.diagnostics import compare_distributions
    >>> X = np.arange(200.0).reshape(100, 2)
    >>> comparison = compare_distributions(X, X + [0, 1000], columns=["age", "income"])
    >>> comparison.verdict, comparison.differs
    ('different', ('income',))
    """

    table: tuple[FeatureComparison, ...]
    alpha: float

    @property
    def differs(self) -> tuple[str, ...]:
        """The names of the features that differ, in ascending order of p-values."""
        return tuple(row.name for row in self.table if row.corrected_p_value <= self.alpha)

    @property
    def verdict(self) -> str:
        """ "different" if any feature differs, otherwise "alike"."""
        return "different" if self.differs else "alike"

    def _parts(self) -> Sequence[str | Table]:
        count = f"{len(self.differs)} of {len(self.table)} features differ (alpha={self.alpha:g})"
        summary = f"{count}: {', '.join(self.differs)}" if self.differs else count
        advice = "Split the rows at random, or find out how, when and from whom each set was collected."
        table = Table(_HEADINGS, [row._cells() for row in self.table[:_MOST_ROWS]])
        n_hidden = len(self.table) - _MOST_ROWS
        more = [f"... and {n_hidden} more features"] if n_hidden > 0 else []
        return [summary, *([advice] if self.differs else []), table, *more]


def compare_distributions(
    X_train: Any, X_valid: Any, *, columns: Any = None, alpha: float = 0.05
) -> DistributionComparison:
    r"""Test whether two data sets have the same distribution, feature by feature.

    Numbers and dates are compared by the two-sample Kolmogorov-Smirnov test, whose statistic is
    $\sup_x |F_\text{train}(x) - F_\text{valid}(x)|$; strings, bools and categories by the chi-squared test of
    the table of counts. If numbers are missing, Fisher's exact test also compares the shares of missing
    values, and the feature's p-value is twice the lower of the two; missing categories count as a category.
    The p-values are corrected for the number of features by the method of Benjamini and Hochberg: if no
    feature differs, the probability of reporting one is at most `alpha`; otherwise the expected share of
    false reports is at most `alpha`.

    Parameters
    ----------
    X_train, X_valid : array-like of shape (n_samples, n_features) or (n_samples,)
        NumPy, pandas or polars data, lists or sparse matrices; data of one axis are a single feature, such as
        a target. The sets may have different numbers of rows.
    columns : list of str, default=None
        Names of the features. If None, the columns of a DataFrame, otherwise x0, x1, ...
    alpha : float in (0, 1), default=0.05
        The largest corrected p-value with which a feature is said to differ.

    Returns
    -------
    DistributionComparison
        The result with `verdict`, `differs` and `table`; it prints as a table.

    Raises
    ------
    TypeError
        If a set is a scalar or holds complex numbers, or `columns` is not a list.
    ValueError
        If a set is empty or has more than two axes, the sets have different numbers or names of features, a
        feature is numeric in one set only, or a number is infinite.

    Notes
    -----
    Categories with an expected count below 5 in one of the sets are pooled. The Kolmogorov-Smirnov test has
    less power for integers with few distinct values; pass them as strings to compare them as categories.
    Dates with a time zone are compared in UTC. With many rows even small differences are significant: judge
    by the statistic whether a difference matters. Features are compared one at a time: sets that differ only
    in the dependence between features are reported as alike.

    References
    ----------
    Google, Testing and Debugging in Machine Learning, "Interpreting Loss Curves".
    Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.diagnostics import compare_distributions
    >>> rng = np.random.default_rng(0)
    >>> X_train, X_valid = rng.normal(size=(300, 3)), rng.normal(size=(100, 3))
    >>> compare_distributions(X_train, X_valid).verdict
    'alike'
    >>> compare_distributions(X_train, X_valid + [0, 1, 0], columns=["age", "rooms", "income"]).differs
    ('rooms',)
    """
    level = _CHECK.number("alpha", alpha, "a number in (0, 1)", lambda number: 0 < number < 1)
    pairs = paired(X_train, X_valid, columns)
    tests = [_feature_test(train, valid) for _, train, valid in pairs]
    corrected = stats.false_discovery_control([p_value for _, _, p_value in tests])
    rows = [
        FeatureComparison(name, test, statistic, p_value, float(adjusted), *_summary_statistics(train, valid))
        for (name, train, valid), (test, statistic, p_value), adjusted in zip(
            pairs, tests, corrected, strict=True
        )
    ]
    return DistributionComparison(tuple(sorted(rows, key=lambda row: row.p_value)), level)


_Test = tuple[str, float, float]  # name, statistic, p-value


def _feature_test(train: Column, valid: Column) -> _Test:
    if train.categorical or valid.categorical:
        return _test_categories(train, valid)
    tests = [_test_numbers(train.values, valid.values)] if len(train.values) and len(valid.values) else []
    if train.n_missing or valid.n_missing:
        tests.append(_test_missing(train, valid))
    name, statistic, p_value = min(tests, key=lambda test: test[2])
    return name, statistic, min(1.0, len(tests) * p_value)


def _test_numbers(train: np.ndarray, valid: np.ndarray) -> _Test:
    method = "exact" if max(len(train), len(valid)) <= _MOST_EXACT else "asymp"
    result = stats.ks_2samp(train, valid, method=method)
    return "Kolmogorov-Smirnov", float(result.statistic), float(result.pvalue)


def _test_missing(train: Column, valid: Column) -> _Test:
    counts = [[column.n_missing, len(column.values)] for column in (train, valid)]
    difference = valid.share_missing() - train.share_missing()
    return "missing values", difference, float(stats.fisher_exact(counts).pvalue)


def _test_categories(train: Column, valid: Column) -> _Test:
    counts = _pooled(_category_counts(train, valid))
    if counts.shape[1] < 2:
        return "chi-squared", 0.0, 1.0
    result = stats.chi2_contingency(counts)
    return "chi-squared", float(result.statistic), float(result.pvalue)


def _category_counts(train: Column, valid: Column) -> np.ndarray:
    """The count of each category in both sets, missing values last, of shape (2, n_categories)."""
    labels = [column.values.astype(str) for column in (train, valid)]
    names = np.unique(np.concatenate(labels))
    present = [np.bincount(np.searchsorted(names, column), minlength=len(names)) for column in labels]
    missing = [[train.n_missing], [valid.n_missing]]
    return np.concatenate([present, missing], axis=1)


def _pooled(counts: np.ndarray) -> np.ndarray:
    """The counts, with the categories of a low expected count pooled."""
    share = counts.sum(axis=1).min() / counts.sum()
    rare = counts.sum(axis=0) * share < _EXPECTED_COUNT
    pooled = counts[:, rare].sum(axis=1, keepdims=True)
    return np.concatenate([counts[:, ~rare], pooled], axis=1)[:, : -1 if not pooled.any() else None]


def _summary_statistics(train: Column, valid: Column) -> tuple[float, ...]:
    """Means, standard deviations and shares of missing values, in the order of `FeatureComparison`."""
    numbers = [np.zeros(0) if column.categorical else column.values for column in (train, valid)]
    means = [float(values.mean()) if len(values) else np.nan for values in numbers]
    deviations = [float(values.std()) if len(values) else np.nan for values in numbers]
    return (*means, *deviations, train.share_missing(), valid.share_missing())
