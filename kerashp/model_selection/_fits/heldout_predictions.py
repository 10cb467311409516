"""What candidates predict for the rows that their splits held out, from which an ensemble is selected."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier

from kerashp._compat.sklearn import rows_of_split
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._encoders import TargetAdapter
from kerashp.estimators._nesting import innermost

MOST_CANDIDATES, MOST_BYTES = 50, 2**28  # of which predictions are kept

Held = list[tuple[np.ndarray, np.ndarray]]  # rows and the predictions for them, by split
Result = dict[str, Any]


def predicted(estimator: Any, X: Any, y: Any, rows: np.ndarray, train: np.ndarray) -> np.ndarray | None:
    """Probabilities `(n_rows, n_classes)` of a classifier, predictions of a regressor; for these rows.

    None where the estimator is none of kerashp's, or does not predict.
    """
    inner = innermost(estimator)
    if not isinstance(inner, BaseKerasEstimator) or not inner.__sklearn_is_fitted__():
        return None
    X_test, _ = rows_of_split(estimator, X, y, rows, train)
    try:
        if not is_classifier(estimator):
            return np.asarray(estimator.predict(X_test))
        proba = estimator.predict_proba(X_test)
    except Exception:  # its score has failed likewise
        return None
    if isinstance(inner.target_encoder_, TargetAdapter):
        return None  # of whatever form the probabilities are
    proba = np.asarray(proba, np.float32)
    return proba if inner.target_encoder_.task_ == "multilabel" else _of_all(proba, inner.classes_, y)


def _of_all(proba: np.ndarray, classes: np.ndarray, y: Any) -> np.ndarray:
    """With a column of zeros for every class that was not among the rows to train on."""
    every = np.unique(y)
    if len(every) == len(classes):
        return proba
    full = np.zeros((len(proba), len(every)), proba.dtype)
    full[:, np.searchsorted(every, classes)] = proba
    return full


class Library:
    """Takes the predictions out of all results but those of the best candidates so far.

    Parameters
    ----------
    refit : bool, str or callable
        As in the search: of several scores, the one of this name decides; otherwise the first.
    results : dict from (candidate, split) to dict, default={}
        Results that there are already.
    """

    def __init__(self, refit: Any, results: Mapping[tuple[int, int], Result] = MappingProxyType({})):
        self._refit = refit
        self._results: dict[int, list[Result]] = {}  # by candidate
        self._n_splits = 0
        for (candidate, _), result in sorted(results.items(), key=lambda item: item[0]):
            self.add(candidate, result)

    def add(self, candidate: int, result: Result) -> None:
        """One more result; those of the others may lose their predictions."""
        own = self._results.setdefault(candidate, [])
        own.append(result)
        self._n_splits = max(self._n_splits, len(own))
        if len(own) < self._n_splits:
            return
        if not np.isfinite(self._score(candidate)) or any(one["predictions"] is None for one in own):
            self._drop(candidate)
        while self._too_many():
            self._drop(min(self._complete(), key=lambda number: (self._score(number), -number)))

    def _complete(self) -> list[int]:
        return [candidate for candidate, own in self._results.items() if len(own) == self._n_splits]

    def _too_many(self) -> bool:
        complete = self._complete()
        sizes = [one["predictions"].nbytes for number in complete for one in self._results[number]]
        return len(complete) > MOST_CANDIDATES or (len(complete) > 1 and sum(sizes) > MOST_BYTES)

    def _drop(self, candidate: int) -> None:
        for result in self._results.pop(candidate):
            result["predictions"] = None

    def _score(self, candidate: int) -> float:
        scores = np.array([self._deciding(one["test_scores"]) for one in self._results[candidate]], float)
        finite = scores[np.isfinite(scores)]  # a scorer may be undefined on a split, for all candidates
        return float(finite.mean()) if len(finite) else np.nan

    def _deciding(self, scores: Any) -> float:
        if not isinstance(scores, dict):
            return scores
        name = self._refit if isinstance(self._refit, str) and self._refit in scores else next(iter(scores))
        return scores[name]


def held_out(results: Sequence[Result], n_splits: int) -> dict[int, Held]:
    """By candidate, for those that have predictions for all splits."""
    found = {}
    for candidate in range(len(results) // n_splits):
        own = results[candidate * n_splits : (candidate + 1) * n_splits]
        if all(one["predictions"] is not None for one in own):
            found[candidate] = [(indices(one["test_rows"]), one["predictions"]) for one in own]
    return found


def indices(rows: Any) -> np.ndarray:
    """The positions of rows that a splitter names by position or by a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


class OutOfFold(NamedTuple):
    """Predictions of several candidates for the same rows."""

    candidates: list[int]
    rows: np.ndarray
    predictions: list[np.ndarray]


def out_of_fold(held: dict[int, Held], ranked: Sequence[int], n_rows: int) -> OutOfFold:
    """The mean of each candidate's predictions for each row, over the splits that held the row out.

    The rows are those of the candidate that has most; candidates that lack any of them are left out.
    """
    candidates = [candidate for candidate in ranked if candidate in held]
    times = {candidate: _times(held[candidate], n_rows) for candidate in candidates}
    most = max(candidates, key=lambda candidate: np.count_nonzero(times[candidate]))
    rows = np.flatnonzero(times[most])
    candidates = [candidate for candidate in candidates if times[candidate][rows].all()]
    means = [_mean(held[candidate], times[candidate], rows) for candidate in candidates]
    return OutOfFold(candidates, rows, means)


def _times(held: Held, n_rows: int) -> np.ndarray:
    """How often each row was held out."""
    return np.bincount(np.concatenate([rows for rows, _ in held]), minlength=n_rows)


def _mean(held: Held, times: np.ndarray, rows: np.ndarray) -> np.ndarray:
    total = np.zeros((len(times), *held[0][1].shape[1:]))
    for own, values in held:
        np.add.at(total, own, values)
    return total[rows] / times[rows].reshape(-1, *[1] * (total.ndim - 1))
