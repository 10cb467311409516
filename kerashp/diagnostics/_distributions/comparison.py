"""Whether two sets of rows have the same statistical properties, feature by feature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from kerashp._arguments import Arguments
from kerashp.diagnostics._distributions.columns import Column, paired
from kerashp.diagnostics._foundations.result import Result, Table

_CHECK = Arguments("compare_distributions")
_EXACT = 500  # rows of a set up to which the Kolmogorov-Smirnov test is exact; it takes time
_EXPECTED_COUNT = 5.0  # in each cell, for the chi-squared distribution to hold (Cochran, 1954)
_SHOWN = 20  # rows of the table that are printed
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
    """One feature in both sets.

    Attributes
    ----------
    name : str
    test : {"Kolmogorov-Smirnov", "chi-squared", "missing values"}
        The one with the lowest p-value of those that were made.
    statistic : float
        The largest distance of the two distribution functions, in [0, 1]; chi-squared; or the difference of
        the shares that are missing.
    p_value, corrected_p_value : float
        As it is, and corrected for the number of features.
    mean_train, mean_valid, std_train, std_valid : float
        Of the numbers that are not missing; NaN for categories.
    missing_train, missing_valid : float
        The shares of rows that have no value.
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
        return tuple(one if isinstance(one, str) else f"{one:.3g}" for one in vars(self).values())


@dataclass(frozen=True)
class DistributionComparison(Result):
    """What `compare_distributions` returns.

    Attributes
    ----------
    table : tuple of FeatureComparison
        A row for each feature, the lowest p-value first.
    alpha : float
        Features with a corrected p-value of at most this differ.
    """

    table: tuple[FeatureComparison, ...]
    alpha: float

    @property
    def differs(self) -> tuple[str, ...]:
        """The names of the features that differ, the lowest p-value first."""
        return tuple(row.name for row in self.table if row.corrected_p_value <= self.alpha)

    @property
    def verdict(self) -> str:
        """ "different" where any feature differs, otherwise "alike"."""
        return "different" if self.differs else "alike"

    def _parts(self) -> Sequence[str | Table]:
        text = f"{len(self.differs)} of {len(self.table)} features differ (alpha={self.alpha:g})"
        head = f"{text}: {', '.join(self.differs)}" if self.differs else text
        advice = "Split the rows at random, or look at how, when and from whom each set was collected."
        shown = Table(_HEADINGS, [row._cells() for row in self.table[:_SHOWN]])
        hidden = len(self.table) - _SHOWN
        more = [f"... and {hidden} more features"] if hidden > 0 else []
        return [head, *([advice] if self.differs else []), shown, *more]


def compare_distributions(
    X_train: Any, X_valid: Any, *, columns: Any = None, alpha: float = 0.05
) -> DistributionComparison:
    r"""Whether two sets have the same statistical properties, feature by feature.

    Numbers and dates are compared by the two-sample Kolmogorov-Smirnov test, whose statistic is
    $\sup_x |F_\text{train}(x) - F_\text{valid}(x)|$; strings, bools and categories by the chi-squared test of
    the table of counts. Where numbers are missing, Fisher's exact test compares their shares too, and the
    feature's p-value is twice the lower of the two; categories that are missing count as one more category.
    The p-values are corrected for the number of features by Benjamini and Hochberg: if nothing differs,
    anything is found with a probability of at most `alpha`; otherwise at most that share of what is found is
    wrong, on average.

    Parameters
    ----------
    X_train, X_valid : array-like of shape (n_samples, n_features) or (n_samples,)
        NumPy, pandas, polars, lists or sparse; one axis is one feature, such as a target. The sets may have
        different numbers of rows.
    columns : list of str, default=None
        Names of the features; if None those of a DataFrame, otherwise x0, x1, ...
    alpha : float in (0, 1), default=0.05
        Features whose corrected p-value is at most this differ.

    Returns
    -------
    DistributionComparison
        With `verdict`, `differs` and `table`.

    Raises
    ------
    TypeError
        If a set has no axis, holds complex numbers, or `columns` is no list.
    ValueError
        If a set is empty or has more than two axes, the sets have different numbers or names of features, a
        feature is numeric in one set only, or a number is infinite.

    Notes
    -----
    Categories of which fewer than 5 rows would be expected in a set are counted together. Of integers with
    few values the Kolmogorov-Smirnov test finds less; pass them as strings to have them compared as
    categories. Dates with a time zone are compared in UTC. A test finds the smaller differences the more rows
    there are: look at the statistic for whether one matters. Features are compared one by one: sets that
    differ in how features go together only are found to be alike.

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
    tests = [_tested(train, valid) for _, train, valid in pairs]
    corrected = stats.false_discovery_control([p_value for _, _, p_value in tests])
    rows = [
        FeatureComparison(name, test, statistic, p_value, float(adjusted), *_described(train, valid))
        for (name, train, valid), (test, statistic, p_value), adjusted in zip(
            pairs, tests, corrected, strict=True
        )
    ]
    return DistributionComparison(tuple(sorted(rows, key=lambda row: row.p_value)), level)


_Test = tuple[str, float, float]  # name, statistic, p-value


def _tested(train: Column, valid: Column) -> _Test:
    if train.categorical or valid.categorical:
        return _of_categories(train, valid)
    tests = [_of_numbers(train.values, valid.values)] if len(train.values) and len(valid.values) else []
    if train.n_missing or valid.n_missing:
        tests.append(_of_missing(train, valid))
    name, statistic, p_value = min(tests, key=lambda test: test[2])
    return name, statistic, min(1.0, len(tests) * p_value)


def _of_numbers(train: np.ndarray, valid: np.ndarray) -> _Test:
    method = "exact" if max(len(train), len(valid)) <= _EXACT else "asymp"
    result = stats.ks_2samp(train, valid, method=method)
    return "Kolmogorov-Smirnov", float(result.statistic), float(result.pvalue)


def _of_missing(train: Column, valid: Column) -> _Test:
    counts = [[one.n_missing, len(one.values)] for one in (train, valid)]
    difference = valid.share_missing() - train.share_missing()
    return "missing values", difference, float(stats.fisher_exact(counts).pvalue)


def _of_categories(train: Column, valid: Column) -> _Test:
    counts = _pooled(_counts(train, valid))
    if counts.shape[1] < 2:
        return "chi-squared", 0.0, 1.0
    result = stats.chi2_contingency(counts)
    return "chi-squared", float(result.statistic), float(result.pvalue)


def _counts(train: Column, valid: Column) -> np.ndarray:
    """Of each category that there is, the missing values' last; of shape (2, n_categories)."""
    labels = [one.values.astype(str) for one in (train, valid)]
    known = np.unique(np.concatenate(labels))
    present = [np.bincount(np.searchsorted(known, own), minlength=len(known)) for own in labels]
    missing = [[train.n_missing], [valid.n_missing]]
    return np.concatenate([present, missing], axis=1)


def _pooled(counts: np.ndarray) -> np.ndarray:
    """The categories of which too few are expected, counted together."""
    share = counts.sum(axis=1).min() / counts.sum()
    rare = counts.sum(axis=0) * share < _EXPECTED_COUNT
    pooled = counts[:, rare].sum(axis=1, keepdims=True)
    return np.concatenate([counts[:, ~rare], pooled], axis=1)[:, : -1 if not pooled.any() else None]


def _described(train: Column, valid: Column) -> tuple[float, ...]:
    """Means, standard deviations and the shares missing, in the order of `FeatureComparison`."""
    numbers = [np.zeros(0) if one.categorical else one.values for one in (train, valid)]
    means = [float(values.mean()) if len(values) else np.nan for values in numbers]
    deviations = [float(values.std()) if len(values) else np.nan for values in numbers]
    return (*means, *deviations, train.share_missing(), valid.share_missing())
