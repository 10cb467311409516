"""The result of one candidate on one split."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

FitId = tuple[int, int]  # candidate and split
Scores = float | dict[str, float]

_OF_SKLEARN = ("fit_error", "test_scores", "train_scores", "n_test_samples", "fit_time", "score_time")


@dataclass(frozen=True)
class FitResult:
    """A fit that has been trained and scored.

    Attributes
    ----------
    test_scores : float or dict from str to float
    train_scores : float, dict from str to float or None
        None where the search does not score training rows.
    n_test_samples : int
    fit_time, score_time : float
        Seconds.
    fit_error : str or None
        The printed exception of a fit that failed.
    score_errors : tuple of str
        What failed in a fit that lacks some of its scores.
    unconverged : tuple of str
        The reasons why the training counts as not converged.
    history : dict from str to list of float, or None
        The learning curves; None for a fit that never trained.
    best_epoch : int or None
    stopped_early : bool or None
    predictions : ndarray or None
        For the test rows. None where the estimator gives none, or where other candidates are better.
    test_rows : ndarray or None
        The positions of the test rows, or a mask.
    estimator : estimator or None
        The fitted estimator, where it gives predictions or is not scored. It is not pickled: it stays in its
        process.
    """

    test_scores: Scores
    train_scores: Scores | None = None
    n_test_samples: int = 0
    fit_time: float = 0.0
    score_time: float = 0.0
    fit_error: str | None = None
    score_errors: tuple[str, ...] = ()
    unconverged: tuple[str, ...] = ()
    history: dict[str, list[float]] | None = None
    best_epoch: int | None = None
    stopped_early: bool | None = None
    predictions: np.ndarray | None = None
    test_rows: np.ndarray | None = None
    estimator: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"estimator": None}

    @classmethod
    def from_sklearn(cls, entries: dict[str, Any], **attributes: Any) -> Self:
        """The result of what `_fit_and_score` of scikit-learn returns, and of what it does not know."""
        return cls(**{name: entries[name] for name in _OF_SKLEARN if name in entries}, **attributes)

    def for_sklearn(self) -> dict[str, Any]:
        """What `_fit_and_score` of scikit-learn returns; the entry `result` holds this result itself."""
        entries = {name: getattr(self, name) for name in _OF_SKLEARN} | {"result": self}
        if self.train_scores is None:
            del entries["train_scores"]
        return entries
