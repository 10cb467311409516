"""What ensembles are selected from: candidates' predictions for held-out rows, and their estimators."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._encoders import TargetAdapter
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.pending import n_bytes_of_weights
from kerashp.model_selection._fits.result import FitId, FitResult, Scores

MOST_CANDIDATES, MOST_BYTES = 50, 2**28  # of which predictions, and estimators, are kept

SplitPredictions = list[tuple[np.ndarray, np.ndarray]]  # rows and the predictions for them, by split


def heldout_predictions(
    estimator: Any, test_rows: Callable[[Any], tuple[Any, Any]], y: Any
) -> np.ndarray | None:
    """For the test rows, a classifier's probabilities `(n_rows, n_classes)` or a regressor's predictions.

    `test_rows` takes the estimator and gives X and y of these rows; `y` are the targets of all rows. None if
    the estimator is not one of kerashp, or cannot predict.
    """
    inner = innermost(estimator)
    if not isinstance(inner, BaseKerasEstimator) or not inner.__sklearn_is_fitted__():
        return None
    X_test, _ = test_rows(estimator)
    try:
        if not is_classifier(estimator):
            return np.asarray(estimator.predict(X_test))
        proba = estimator.predict_proba(X_test)
    except Exception:  # its score has failed for the same reason
        return None
    if isinstance(inner.target_encoder_, TargetAdapter):
        return None  # the user's encoder decides what form the probabilities have
    proba = np.asarray(proba, np.float32)
    return (
        proba if inner.target_encoder_.task_ == "multilabel" else _with_all_classes(proba, inner.classes_, y)
    )


def _with_all_classes(proba: np.ndarray, classes: np.ndarray, y: Any) -> np.ndarray:
    """The probabilities with a column of zeros for every class that the training rows lack."""
    all_classes = np.unique(y)
    if len(all_classes) == len(classes):
        return proba
    padded = np.zeros((len(proba), len(all_classes)), proba.dtype)
    padded[:, np.searchsorted(all_classes, classes)] = proba
    return padded


class HeldoutPredictions:
    """Keeps predictions and estimators of the best candidates so far, and removes those of the others.

    Parameters
    ----------
    refit : bool, str or callable
        As in the search: of several scores, the one of this name ranks; otherwise the first.
    results : dict from (candidate, split) to FitResult
        The results of the search, which it replaces by such without predictions or estimators.
    """

    def __init__(self, refit: Any, results: dict[FitId, FitResult]):
        self._refit = refit
        self._results = results
        self._fits: dict[int, list[FitId]] = {}  # by candidate, of those that have predictions
        self._n_bytes: dict[int, int] = {}  # by candidate, of the weights of its estimators
        self._n_splits = 0
        for fit in sorted(results):
            self.add(fit)

    def add(self, fit: FitId) -> None:
        """Count a new result, for which others may lose their predictions."""
        candidate, _ = fit
        fits = self._fits.setdefault(candidate, [])
        fits.append(fit)
        self._n_splits = max(self._n_splits, len(fits))
        if len(fits) < self._n_splits:
            return
        predictions = [result.predictions for result in self._of(candidate)]
        if not np.isfinite(self._score(candidate)) or any(array is None for array in predictions):
            self._drop(candidate)
        else:
            self._n_bytes[candidate] = sum(map(_n_bytes, self._of(candidate)))
        while self._are_too_many():
            self._drop(self._worst(self._complete()))
        while len(self._n_bytes) > 1 and sum(self._n_bytes.values()) > MOST_BYTES:
            self._drop_estimators(self._worst(list(self._n_bytes)))

    def _worst(self, candidates: list[int]) -> int:
        return min(candidates, key=lambda number: (self._score(number), -number))

    def _of(self, candidate: int) -> list[FitResult]:
        return [self._results[fit] for fit in self._fits[candidate]]

    def _complete(self) -> list[int]:
        """The candidates that have predictions for all splits."""
        return [candidate for candidate, fits in self._fits.items() if len(fits) == self._n_splits]

    def _are_too_many(self) -> bool:
        complete = self._complete()
        arrays = [result.predictions for candidate in complete for result in self._of(candidate)]
        n_bytes = sum(array.nbytes for array in arrays if array is not None)
        return len(complete) > MOST_CANDIDATES or (len(complete) > 1 and n_bytes > MOST_BYTES)

    def _drop_estimators(self, candidate: int) -> None:
        del self._n_bytes[candidate]
        for fit in self._fits[candidate]:
            self._results[fit] = replace(self._results[fit], estimator=None)

    def _drop(self, candidate: int) -> None:
        self._n_bytes.pop(candidate, None)
        for fit in self._fits.pop(candidate):
            self._results[fit] = replace(self._results[fit], predictions=None, estimator=None)

    def _score(self, candidate: int) -> float:
        """The mean test score of a candidate; a scorer may be undefined on a split, for all candidates."""
        scores = np.array([self._ranking_score(result.test_scores) for result in self._of(candidate)], float)
        finite = scores[np.isfinite(scores)]
        return float(finite.mean()) if len(finite) else np.nan

    def _ranking_score(self, scores: Scores) -> float:
        if not isinstance(scores, dict):
            return scores
        name = self._refit if isinstance(self._refit, str) and self._refit in scores else next(iter(scores))
        return scores[name]


def _n_bytes(result: FitResult) -> int:
    return 0 if result.estimator is None else n_bytes_of_weights(innermost(result.estimator))


def predictions_by_candidate(results: Sequence[FitResult], n_splits: int) -> dict[int, SplitPredictions]:
    """The rows and predictions of the candidates that have predictions for all splits."""
    by_candidate: dict[int, SplitPredictions] = {}
    for candidate in range(len(results) // n_splits):
        fits = results[candidate * n_splits : (candidate + 1) * n_splits]
        splits = [
            (indices(result.test_rows), result.predictions)
            for result in fits
            if result.predictions is not None
        ]
        if len(splits) == n_splits:
            by_candidate[candidate] = splits
    return by_candidate


def estimators_by_candidate(results: Sequence[FitResult], n_splits: int) -> dict[int, list[Any]]:
    """The fitted estimators of the candidates that have one for each split, in the order of the splits."""
    estimators = [result.estimator for result in results]
    by_candidate = {
        candidate: estimators[candidate * n_splits : (candidate + 1) * n_splits]
        for candidate in range(len(results) // n_splits)
    }
    return {candidate: own for candidate, own in by_candidate.items() if all(e is not None for e in own)}


def indices(rows: Any) -> np.ndarray:
    """The positions of rows that a splitter names by position or by a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of several candidates for the same rows."""

    candidates: list[int]
    rows: np.ndarray
    predictions: list[np.ndarray]


def out_of_fold(predictions: dict[int, SplitPredictions], ranked: Sequence[int], n_rows: int) -> OutOfFold:
    """The mean of each candidate's predictions for each row, over the splits that held the row out.

    The rows are those of the candidate that has most; candidates that lack any of them are left out.
    """
    candidates = [candidate for candidate in ranked if candidate in predictions]
    counts = {candidate: _held_out_counts(predictions[candidate], n_rows) for candidate in candidates}
    most = max(candidates, key=lambda candidate: np.count_nonzero(counts[candidate]))
    rows = np.flatnonzero(counts[most])
    candidates = [candidate for candidate in candidates if counts[candidate][rows].all()]
    means = [_mean(predictions[candidate], counts[candidate], rows) for candidate in candidates]
    return OutOfFold(candidates, rows, means)


def _held_out_counts(splits: SplitPredictions, n_rows: int) -> np.ndarray:
    """How often each row was held out."""
    return np.bincount(np.concatenate([rows for rows, _ in splits]), minlength=n_rows)


def _mean(splits: SplitPredictions, counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    total = np.zeros((len(counts), *splits[0][1].shape[1:]))
    for split_rows, values in splits:
        np.add.at(total, split_rows, values)
    return total[rows] / counts[rows].reshape(-1, *[1] * (total.ndim - 1))
