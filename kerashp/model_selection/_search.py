"""scikit-learn's grid and randomized search over candidates x folds that train together."""

from numbers import Integral
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from sklearn import model_selection
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from kerashp.estimators._handover import training_for
from kerashp.model_selection._evaluation import Evaluation
from kerashp.model_selection._histories import History, columns, histories, mean_best_epochs
from kerashp.model_selection._joblib import AllAtOnce
from kerashp.model_selection._plan import Plan

_CONSTRAINTS: dict[str, Any] = {
    "refit_epochs": [StrOptions({"cv"}), None],
    "max_memory": [Interval(Integral, 1, None, closed="left"), None],
}


class TogetherMixin(BaseSearchCV):
    """A search of scikit-learn's whose fits run all at once."""

    plan_: Plan
    histories_: list[list[History | None]]

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Try all candidates on all splits, and refit the best on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        **params : dict
            For the estimator's `fit`, the splitter and the scorer, as scikit-learn routes them. What has a
            value for each row, such as `sample_weight`, is split with the rows; `groups` goes to the
            splitter; `epochs`, `callbacks`, `validation_data` and the like go to every fit as they are.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If all fits failed, or one did and `error_score="raise"`: its notes name candidate and split.
            If the refit fails, `cv_results_` is kept.
        """
        self._found: dict[str, Any] | None = None
        n_jobs, backend = joblib.effective_n_jobs(self.n_jobs), get_active_backend()[0]
        evaluation = Evaluation(self.max_memory, self.verbose > 0, n_jobs, backend)
        all_at_once = AllAtOnce(evaluation.results)
        try:
            with training_for(self._epochs_of_best if self.refit_epochs == "cv" else None):
                return super().fit(X, y, **params)
        except Exception as error:
            if self._found is not None:
                self.cv_results_ = self._found
                error.add_note("The search itself ended before: see cv_results_")
            raise
        finally:
            all_at_once.release()
            self.plan_, self.seconds_ = evaluation.plan, evaluation.seconds
            del self._found

    def _format_results(
        self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None
    ) -> dict[str, Any]:
        results = super()._format_results(candidate_params, n_splits, out, more_results)
        self.histories_ = histories(out, n_splits)
        self._found = results | columns(out, n_splits)
        return self._found

    def _epochs_of_best(self) -> int | None:
        return None if self._found is None else mean_best_epochs(self._found, self.best_index_)

    def explain(self) -> str:
        """What trained together, what did not and why, and where the time went.

        Returns
        -------
        str
            A table of the groups, a line for each reason why fits were not stacked, and the seconds.
        """
        check_is_fitted(self, "plan_")
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds_.items())
        return f"{self.plan_}\n{times}"


class GridSearchCV(TogetherMixin, model_selection.GridSearchCV):
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **model_selection.GridSearchCV._parameter_constraints,
        **_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        refit_epochs: str | None = None,
        max_memory: int | None = None,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory


class RandomizedSearchCV(TogetherMixin, model_selection.RandomizedSearchCV):
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **model_selection.RandomizedSearchCV._parameter_constraints,
        **_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        refit_epochs: str | None = None,
        max_memory: int | None = None,
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory
