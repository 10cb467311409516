"""The rank of candidates where none has a finite score on all splits."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class Comparison:
    """By which splits candidates are compared that have no score on all of them.

    Attributes
    ----------
    metric : str
        As in the names of `cv_results_`.
    left_out : tuple of int
        The other splits.
    n_splits : int
    """

    metric: str
    left_out: tuple[int, ...]
    n_splits: int

    def warn(self) -> None:
        """Say so."""
        kept = [split for split in range(self.n_splits) if split not in self.left_out]
        warnings.warn(
            f"No candidate has a finite test {self.metric} on all {self.n_splits} splits: candidates are "
            f"compared by their means over {_named(kept)} alone, without {_named(self.left_out)}. The "
            "warnings before this say what failed there; error_score=0.0, say, counts it as a score",
            stacklevel=2,
        )


def compared(results: dict[str, Any], n_splits: int) -> list[Comparison]:
    """Give candidates of which none has a score on all splits their means over splits that do compare them.

    These are the splits on which any candidate has a score, where some candidate has one on all of those;
    otherwise those on which all have one that have any. What lacks a score on these splits has no mean, as a
    failed candidate. Candidates of one iteration of successive halving are compared with each other.

    Parameters
    ----------
    results : dict
        `cv_results_`; means, deviations and ranks are replaced.
    n_splits : int

    Returns
    -------
    list of Comparison
        One for each metric of which something was left out.
    """
    found = []
    for metric in _metrics(results):
        scores = _scores(results, "test", metric, n_splits)
        left_out: set[int] = set()
        for rows in _iterations(results):
            kept = _kept(np.isfinite(scores[rows]))
            if kept.any() and not kept.all():
                _replace_means(results, metric, rows, kept)
                left_out.update(np.flatnonzero(~kept).tolist())
        if left_out:
            results[f"rank_test_{metric}"] = _ranks(results[f"mean_test_{metric}"])
            found.append(Comparison(metric, tuple(sorted(left_out)), n_splits))
    return found


def check_some_is_best(results: dict[str, Any], metric: str) -> None:
    """Refuse to call any candidate the best where none of the last iteration has a mean score.

    Raises
    ------
    ValueError
    """
    *_, last = _iterations(results)
    if not np.isfinite(results[f"mean_test_{metric}"][last]).any():
        raise ValueError(
            f"No candidate can be called the best: each of {len(last)} lacks a finite test {metric} on some "
            "split, and no split has one of all of them. cv_results_ and the warnings before this say what "
            "failed; mend that, or count it as a score with error_score=0.0, say"
        )


def _metrics(results: dict[str, Any]) -> list[str]:
    prefix = "mean_test_"
    return [name.removeprefix(prefix) for name in results if name.startswith(prefix)]


def _scores(results: dict[str, Any], kind: str, metric: str, n_splits: int) -> np.ndarray:
    """Shape `(n_candidates, n_splits)`."""
    return np.column_stack([results[f"split{split}_{kind}_{metric}"] for split in range(n_splits)])


def _iterations(results: dict[str, Any]) -> Iterator[np.ndarray]:
    """The positions of the candidates that compete with each other."""
    iterations = results.get("iter", np.zeros(len(results["params"]), int))
    for iteration in np.unique(iterations):
        yield np.flatnonzero(iterations == iteration)


def _kept(there: np.ndarray) -> np.ndarray:
    """The splits that compare candidates, from which of their scores are there."""
    if there.all(axis=1).any():
        return np.ones(there.shape[1], bool)
    some = np.asarray(there.any(axis=0))
    whole = there[:, some].all(axis=1).any()
    return some if whole else np.asarray(there[there.any(axis=1)].all(axis=0))


def _replace_means(results: dict[str, Any], metric: str, rows: np.ndarray, kept: np.ndarray) -> None:
    for kind in ("test", "train"):
        if f"mean_{kind}_{metric}" not in results:
            continue
        scores = _scores(results, kind, metric, len(kept))[np.ix_(rows, kept)]
        results[f"mean_{kind}_{metric}"][rows] = scores.mean(axis=1)
        with np.errstate(invalid="ignore"):  # error_score may be infinite
            results[f"std_{kind}_{metric}"][rows] = scores.std(axis=1)


def _ranks(means: np.ndarray) -> np.ndarray:
    """As scikit-learn ranks them: what has no mean is behind all others."""
    lowest = np.nanmin(means) - 1
    return rankdata(-np.nan_to_num(means, nan=lowest), method="min").astype(np.int32)


def _named(splits: Any) -> str:
    return f"split{'s' if len(splits) > 1 else ''} {', '.join(map(str, splits))}"
