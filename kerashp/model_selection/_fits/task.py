"""One candidate on one split, as scikit-learn's searches submit it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from kerashp._compat.sklearn import params_of_rows, row_count, rows_of_split
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.convergence import AUTO, collecting, epochs_of
from kerashp.estimators._training.handover import scheduling_for, with_one_hot_targets
from kerashp.estimators._training.shared_tables import shared_rows
from kerashp.model_selection._fits.curves import training_record
from kerashp.model_selection._fits.heldout_predictions import heldout_predictions, indices
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.scorers import recording
from kerashp.model_selection._fits.scores import checked
from kerashp.model_selection._fits.seeds import drawing_from, seed_of
from kerashp.training import Paused


@dataclass(frozen=True)
class Resource:
    """The parameter of which candidates get more when they continue.

    Attributes
    ----------
    name : str
    most : int
        The most epochs that any candidate gets.
    narrows : bool
        Whether the candidates of each call continue from candidates of the call before, and of no other.
    """

    name: str
    most: int
    narrows: bool


class _Failing(BaseEstimator):
    def __init__(self, error: Exception):
        self.error = error

    def fit(self, *_: Any, **__: Any) -> None:
        raise self.error


@dataclass(frozen=True)
class Task:
    """A call of scikit-learn's `_fit_and_score`."""

    function: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...]  # (estimator, X, y)
    keywords: dict[str, Any]
    n_before: int = 0  # candidates of earlier calls
    paused: Paused | None = None  # the state from which its training continues
    seed: int | None = None  # for estimators without a `random_state`; None lets them draw their own
    horizon: int | None = None  # the epochs over which schedules are stretched; None: those that it trains

    @property
    def candidate(self) -> int:
        """The position of the candidate in `cv_results_`."""
        return self.n_before + self.keywords["candidate_progress"][0]

    @property
    def split(self) -> int:
        return self.keywords["split_progress"][0]

    @property
    def n_splits(self) -> int:
        n_splits: int = self.keywords["split_progress"][1]
        return n_splits

    @property
    def fit_id(self) -> FitId:
        """The candidate and the split."""
        return self.candidate, self.split

    @property
    def estimator(self) -> Any:
        return self.arguments[0]

    @property
    def n_epochs(self) -> int:
        """How many epochs the fit trains at the most; 1 for an estimator of another library."""
        estimator, parameters = innermost(self.estimator), self.keywords["parameters"]
        if not isinstance(estimator, BaseKerasEstimator):
            return 1
        searched = [value for name, value in parameters.items() if name.rpartition("__")[2] == "epochs"]
        arguments = {"epochs": (searched or [estimator.epochs])[0], **(self.keywords["fit_params"] or {})}
        epochs = arguments["epochs"]
        if epochs == AUTO:
            epochs = epochs_of(innermost(self.candidates_estimator()), self._n_training_rows, arguments)
        return max(0, epochs - (0 if self.paused is None else self.paused.n_epochs))

    @property
    def _n_training_rows(self) -> int:
        train = self.keywords.get("train")  # a fit that is not scored has none
        n_rows: int = row_count(self.arguments[1] if train is None else indices(train))
        return n_rows

    @property
    def _varies_label_smoothing(self) -> bool:
        names = self.keywords["parameters"] or ()
        return any(name.rpartition("__")[2] == "label_smoothing" for name in names)

    def seeded(self, seed: int, candidate: int) -> "Task":
        """The task with the seed of a candidate, for estimators without a `random_state`."""
        task_seed, inner = seed_of(seed, candidate, self.split), innermost(self.estimator)
        if not isinstance(inner, BaseKerasEstimator) or inner.random_state is not None:
            return replace(self, seed=task_seed)
        estimator = clone(self.estimator)
        innermost(estimator).random_state = task_seed
        return replace(self, arguments=(estimator, *self.arguments[1:]), seed=task_seed)

    def candidates_estimator(self) -> Any:
        """A clone of the estimator with the candidate's parameters."""
        return clone(self.estimator).set_params(**clone(self.keywords["parameters"], safe=False))

    def fit(self, estimator: Any) -> None:
        """Fit an estimator on the split's training rows."""
        X, train = self.arguments[1], self.keywords["train"]
        params = params_of_rows(X, self.keywords["fit_params"], indices=train)
        X_train, y_train = self._training_rows(estimator)
        rows = (X_train,) if y_train is None else (X_train, y_train)
        one_hot = with_one_hot_targets(self._varies_label_smoothing)
        with scheduling_for(self.horizon), drawing_from(self.seed), one_hot:
            estimator.fit(*rows, **params)

    def _training_rows(self, estimator: Any) -> Any:
        """The split's training rows, of a data frame the same objects for all candidates."""
        return self._rows(estimator, self.keywords["train"])

    def _test_rows(self, estimator: Any) -> Any:
        """The split's test rows, of a data frame the same objects for all candidates."""
        return self._rows(estimator, self.keywords["test"], self.keywords["train"])

    def _rows(self, estimator: Any, *indices_of_sides: Any) -> Any:
        _, X, y = self.arguments
        if not hasattr(X, "columns"):
            return rows_of_split(estimator, X, y, *indices_of_sides)
        sources = X, y, indices_of_sides[0]
        return shared_rows(sources, lambda: rows_of_split(estimator, X, y, *indices_of_sides))

    def share_test_rows(self) -> None:
        """Have a table of test rows, which scikit-learn takes for each candidate, encoded once."""
        if "test" in self.keywords and hasattr(self.arguments[1], "columns"):  # a refit is not scored
            self._test_rows(self.estimator)

    def score(self, estimator: Any, scorer: Any) -> Any:
        """The score of a scorer for the split's test rows."""
        X, test = self.arguments[1], self.keywords["test"]
        params = params_of_rows(X, self.keywords["score_params"], indices=test)
        X_test, y_test = self._test_rows(estimator)
        return scorer(estimator, *((X_test,) if y_test is None else (X_test, y_test)), **params)

    def run(self) -> FitResult:
        """Fit and score, as scikit-learn does.

        The notes of an error that `error_score` does not replace name candidate and split.
        """
        scorer, error_score = self.keywords["scorer"], self.keywords["error_score"]
        if error_score != "raise":
            scorer = recording(scorer, error_score)
        unconverged: list[str] = []
        try:
            with scheduling_for(self.horizon), drawing_from(self.seed), collecting(unconverged):
                keywords = {**self.keywords, "scorer": scorer, "return_estimator": True}
                scored = self.function(*self.arguments, **keywords)
            estimator = scored["estimator"]
            predictions = self._predictions(estimator)
        except Exception as error:
            error.add_note(self.described())
            raise
        result = FitResult.from_sklearn(
            scored,
            **training_record(estimator),
            unconverged=tuple(unconverged),
            predictions=predictions,
            test_rows=np.asarray(self.keywords["test"]),
            estimator=None if predictions is None else estimator,
        )
        return checked(result, getattr(scorer, "errors", []), error_score, self.described())

    def _predictions(self, estimator: Any) -> np.ndarray | None:
        return heldout_predictions(estimator, self._test_rows, self.arguments[2])

    def failed(self, error: Exception) -> FitResult:
        """The result of a fit that raises this error."""
        arguments = (_Failing(error), *self.arguments[1:])
        return replace(self, arguments=arguments, keywords={**self.keywords, "parameters": None}).run()

    def described(self) -> str:
        """Candidate and split in words."""
        return f"In candidate {self.candidate}, {self.keywords['parameters']}, on split {self.split}."
