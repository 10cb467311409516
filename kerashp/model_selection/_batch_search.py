"""What searches share that propose candidates in batches, each from the scores of those before."""

import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import FitFailedWarning

from kerashp._compat.sklearn import is_scorer, row_count
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost, parameter_path
from kerashp.estimators._training.convergence import epochs_of
from kerashp.model_selection._base import PopulationSearchMixin
from kerashp.model_selection._fits.failures import as_scored
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._fits.task import Resource
from kerashp.model_selection._search_state import RunningSearch


class BatchSearchMixin(PopulationSearchMixin):
    """A search that goes on after a batch of failures, and may decide on the epochs of its candidates."""

    _widths_vary = True
    _decides_epochs: ClassVar[str]  # what decides for how many epochs candidates train, for errors
    _without_epochs: ClassVar[str]  # how to do without it

    def _sklearn_space(self) -> Any:
        return self.space  # it is converted by the search

    def _epochs_resource(
        self, X: Any, params: dict[str, Any], narrows: bool, most: int | None = None
    ) -> Resource | None:
        """The estimator's epochs as what candidates get more of; None if it is not one of kerashp."""
        forbidden = [name for name in params if name.rpartition("__")[2] == "epochs"]
        if forbidden:
            raise ValueError(
                f"{type(self).__name__}.fit got {forbidden[0]}={params[forbidden[0]]!r}, but "
                f"{self._decides_epochs} decides for how many epochs to train. Set the estimator's epochs to "
                "the most that a candidate may get"
            )
        estimator = innermost(self.estimator)
        if not isinstance(estimator, BaseKerasEstimator):
            return None
        most = most or epochs_of(estimator, row_count(X))
        return Resource(parameter_path(self.estimator, "epochs"), most, narrows)

    def _max_epochs(self, resource: Resource | None) -> int:
        """The most epochs that a candidate may get."""
        epochs = self.estimator.get_params()[self._epochs_name()] if resource is None else resource.most
        if epochs < 2:
            raise ValueError(
                f"{type(self).__name__}: {self._decides_epochs} trains candidates for fractions of the "
                f"estimator's epochs, which must be at least 2; got epochs={epochs}. Set them to the most "
                "that a candidate may get"
            )
        return int(epochs)

    def _with_epochs(self, params: dict[str, Any], epochs: int | None) -> dict[str, Any]:
        """The parameters of a candidate, with the epochs that it trains; None: as the estimator says."""
        if epochs is None:
            return params
        name = self._epochs_name()
        if name in params:
            raise ValueError(
                f"{type(self).__name__}: {self._decides_epochs} decides {name!r}; remove it from space"
            )
        return {**params, name: epochs}

    def _epochs_name(self) -> str:
        """The estimator's parameter that says for how long to train."""
        name = parameter_path(self.estimator, "epochs")
        if name not in self.estimator.get_params():
            raise ValueError(
                f"{type(self).__name__}: {self._decides_epochs} decides for how many epochs to train, but "
                f"{self.estimator!r} has no parameter {name!r}; {self._without_epochs}"
            )
        return name

    def _check_some_scored(self, run: RunningSearch, scores: np.ndarray, n_candidates: int) -> None:
        """Raise an error where all candidates failed."""
        if run.example_scores is None or not np.isfinite(scores).any():
            raise ValueError(
                f"{type(self).__name__}: all {n_candidates} candidates failed. The warnings before this "
                "error say why; error_score='raise' raises the first error"
            )

    def _reported(self, run: RunningSearch, results: list[FitResult]) -> list[FitResult]:
        """Let the search continue if all of a batch failed, for which scikit-learn would end it."""
        results = super()._reported(run, results)
        scores = [result.test_scores for result in results if result.fit_error is None]
        run.example_scores = scores[0] if scores else run.example_scores
        is_function = callable(self.scoring) and not is_scorer(self.scoring)
        if scores or (run.example_scores is None and is_function):  # how many scores it returns is not known
            return results
        reason = str(results[-1].fit_error).strip().splitlines()[-1]
        warnings.warn(
            f"All {len(results)} fits of a batch failed. The last error was: {reason}",
            FitFailedWarning,
            stacklevel=2,
        )
        return [as_scored(result, run.example_scores, self.error_score) for result in results]
