"""The ranks of candidates of which none has a finite score on all splits."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class Comparison:
    """The splits by which candidates are compared that have no score on all splits.

    Attributes
    ----------
    metric : str
        Its name in `cv_results_`.
    left_out : tuple of int
        The splits that do not count.
    n_splits : int
    """

    metric: str
    left_out: tuple[int, ...]
    n_splits: int

    def warn(self) -> None:
        """Warn that not all splits count."""
        counted = [split for split in range(self.n_splits) if split not in self.left_out]
        warnings.warn(
            f"No candidate has a finite test {self.metric} on all {self.n_splits} splits: candidates are "
            f"compared by their means over {_split_names(counted)} alone, without "
            f"{_split_names(self.left_out)}. The warnings before this one say what failed there; with "
            "error_score=0.0, for example, a failure counts as a score",
            stacklevel=2,
        )


def compared(results: dict[str, Any], n_splits: int) -> list[Comparison]:
    """Compare candidates of which none has a score on all splits by their means over some splits.

    These are the splits on which any candidate has a score, if some candidate has a score on all of them;
    otherwise those on which all candidates have a score that have any. A candidate that lacks a score on
    these splits has no mean, as if it had failed. Successive halving compares within an iteration.

    Parameters
    ----------
    results : dict
        `cv_results_`; means, deviations and ranks are replaced.
    n_splits : int

    Returns
    -------
    list of Comparison
        One for each metric of which splits do not count.
    """
    comparisons = []
    for metric in _metrics(results):
        scores = _scores(results, "test", metric, n_splits)
        left_out: set[int] = set()
        for rows in _iterations(results):
            counted = _counted_splits(np.isfinite(scores[rows]))
            if counted.any() and not counted.all():
                _replace_means(results, metric, rows, counted)
                left_out.update(np.flatnonzero(~counted).tolist())
        if left_out:
            results[f"rank_test_{metric}"] = _ranks(results[f"mean_test_{metric}"])
            comparisons.append(Comparison(metric, tuple(sorted(left_out)), n_splits))
    return comparisons


def check_some_is_best(results: dict[str, Any], metric: str) -> None:
    """Raise an error where no candidate of the last iteration has a mean score.

    Raises
    ------
    ValueError
    """
    *_, last = _iterations(results)
    if not np.isfinite(results[f"mean_test_{metric}"][last]).any():
        raise ValueError(
            f"No candidate is the best: each of {len(last)} lacks a finite test {metric} on some split, "
            "and no split has one of all of them. cv_results_ and the warnings before this error say what "
            "failed. Remove the cause, or count a failure as a score, for example with error_score=0.0"
        )


def _metrics(results: dict[str, Any]) -> list[str]:
    prefix = "mean_test_"
    return [name.removeprefix(prefix) for name in results if name.startswith(prefix)]


def _scores(results: dict[str, Any], kind: str, metric: str, n_splits: int) -> np.ndarray:
    """The scores, `(n_candidates, n_splits)`."""
    return np.column_stack([results[f"split{split}_{kind}_{metric}"] for split in range(n_splits)])


def _iterations(results: dict[str, Any]) -> Iterator[np.ndarray]:
    """The positions of the candidates that compete with each other."""
    iterations = results.get("iter", np.zeros(len(results["params"]), int))
    for iteration in np.unique(iterations):
        yield np.flatnonzero(iterations == iteration)


def _counted_splits(has_score: np.ndarray) -> np.ndarray:
    """A mask of the splits by which candidates are compared; `has_score` is `(n_candidates, n_splits)`."""
    if has_score.all(axis=1).any():
        return np.ones(has_score.shape[1], bool)
    any_score = np.asarray(has_score.any(axis=0))
    if has_score[:, any_score].all(axis=1).any():
        return any_score
    return np.asarray(has_score[has_score.any(axis=1)].all(axis=0))


def _replace_means(results: dict[str, Any], metric: str, rows: np.ndarray, counted: np.ndarray) -> None:
    for kind in ("test", "train"):
        if f"mean_{kind}_{metric}" not in results:
            continue
        scores = _scores(results, kind, metric, len(counted))[np.ix_(rows, counted)]
        results[f"mean_{kind}_{metric}"][rows] = scores.mean(axis=1)
        with np.errstate(invalid="ignore"):  # error_score may be infinite
            results[f"std_{kind}_{metric}"][rows] = scores.std(axis=1)


def _ranks(means: np.ndarray) -> np.ndarray:
    """The ranks as in scikit-learn: a candidate without a mean is behind all others."""
    lowest = np.nanmin(means) - 1
    return rankdata(-np.nan_to_num(means, nan=lowest), method="min").astype(np.int32)


def _split_names(splits: Any) -> str:
    return f"split{'s' if len(splits) > 1 else ''} {', '.join(map(str, splits))}"
