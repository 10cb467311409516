"""Successive halving in which surviving candidates continue from their weights."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from kerashp._compat import sklearn as compat
from kerashp._compat.sklearn import row_count
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost, parameter_path
from kerashp.estimators._training.convergence import epochs_of
from kerashp.model_selection._base import CONSTRAINTS, PopulationSearchMixin
from kerashp.model_selection._fits.deadline import Stopped
from kerashp.model_selection._fits.task import Resource
from kerashp.model_selection._search_state import RunningSearch
from kerashp.spaces._search_space import grid

_EPOCHS = "epochs"


class _HalvingMixin(PopulationSearchMixin, compat.BaseSuccessiveHalving):
    """If the resource is epochs, they are those of the estimator, also in a pipeline, and fits continue."""

    epochs_saved_: int
    resource: str
    max_resources: Any

    def _resource(self, X: Any, params: dict[str, Any]) -> Resource | None:
        name, estimator = parameter_path(self.estimator, _EPOCHS), innermost(self.estimator)
        if self.resource not in (_EPOCHS, name) or not isinstance(estimator, BaseKerasEstimator):
            return None
        forbidden = [argument for argument in (_EPOCHS, name) if argument in params]
        if forbidden:
            raise ValueError(
                f"{type(self).__name__}.fit got {forbidden[0]}={params[forbidden[0]]!r}, but the search "
                "allocates epochs itself, which are its resource; set max_resources instead"
            )
        is_auto = self.max_resources == "auto"
        most = epochs_of(estimator, row_count(X)) if is_auto else self.max_resources
        return Resource(name, most, narrows=True)

    def _sklearn_params(self, resource: Resource | None) -> dict[str, Any]:
        """scikit-learn knows no epochs of an estimator in a pipeline, and no "auto" for them."""
        params = super()._sklearn_params(resource)
        return (
            params
            if resource is None
            else params | {"resource": resource.name, "max_resources": resource.most}
        )

    def _search(self, run: RunningSearch, evaluate_candidates: Callable[..., Any], callback_ctx: Any) -> None:
        try:
            super()._search(run, evaluate_candidates, callback_ctx)
        except (Stopped, KeyboardInterrupt):
            if run.results is not None:
                self._end_with(int(np.max(run.results["iter"])) + 1)
            raise

    def _format_results(self, *arguments: Any) -> dict[str, Any]:
        results = super()._format_results(*arguments)
        self._check_some_is_best(results)  # before candidates are eliminated
        return results

    def _cut_short(self, results: dict[str, Any]) -> str:
        planned = self.n_required_iterations_
        if not self.aggressive_elimination:
            planned = min(planned, self.n_possible_iterations_)
        if self.n_iterations_ >= planned:
            return ""
        most, name = np.max(results["n_resources"]), self.resource.rpartition("__")[2]
        return f". The best has had {most} of {self.max_resources_} {name}; {self._how_to_continue()}"

    def _end_with(self, n_iterations: int) -> None:
        """Set the attributes of a search that ended in this iteration, which may lack candidates."""
        first, ratio = self.n_candidates_[0], self.max_resources_ // self.min_resources_
        del self.n_resources_[n_iterations:], self.n_candidates_[n_iterations:]
        self.n_iterations_ = n_iterations
        self.n_remaining_candidates_ = math.ceil(self.n_candidates_[-1] / self.factor)
        self.n_required_iterations_ = 1 + math.floor(math.log(first, self.factor))
        self.n_possible_iterations_ = 1 + math.floor(math.log(ratio, self.factor))


class HalvingGridSearchCV(_HalvingMixin, compat.HalvingGridSearchCV):
    """`sklearn.model_selection.HalvingGridSearchCV`, in which survivors continue instead of starting anew.

    Its iterations are those of `HalvingRandomSearchCV`, from all combinations of a grid.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    param_grid : dict, list of dict or keras_tuner.HyperParameters
        The values to try, by parameter; see `GridSearchCV`.
    factor : float, default=3
        Of `factor` candidates one enters the next iteration, with `factor` times the resources.
    resource : "epochs", "n_samples" or another parameter of the estimator, default="epochs"
        What candidates get more of in each iteration. "epochs" are those of the estimator, also at the end of
        a pipeline. With any other resource, every iteration trains anew, as in scikit-learn.
    max_resources : int or "auto", default="auto"
        The most that any candidate gets; "auto": the epochs of the estimator (if those are "auto": as many
        as it would train on all rows), or all samples.
    min_resources : int, "smallest" or "exhaust", default="exhaust"
        What each candidate of the first iteration gets, as in scikit-learn.
    aggressive_elimination : bool, default=False
        Whether to repeat the first iteration until few enough candidates are left, as in scikit-learn.
    cv : int, splitter or iterable, default=5
        As in scikit-learn; it must give the same splits in every iteration.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; the estimator's own score if None. A score that is not finite counts as a failure.
    refit : bool, str or callable, default=True
        As in scikit-learn: whether, and by which score, the best candidate is trained on all rows.
    error_score : "raise" or number, default=nan
        The score of a fit that fails, diverges or has a score that is not finite, with a `FitFailedWarning`.
        "raise" raises the error, with candidate and split in its notes. If no candidate has a finite score on
        all splits, candidates are compared by their means over some of the splits, with a warning.
    return_train_score : bool, default=True
        Whether to score the training rows too.
    random_state : int, RandomState instance or None, default=None
        As in scikit-learn: draws the rows of each iteration if the resource is "n_samples".
    n_jobs : int, default=None
        Workers of joblib. 1, or None outside of `joblib.parallel_config`, trains in this process, which keeps
        all its cores busy; with more, each worker trains whole groups and returns scores and curves. A worker
        that is killed costs its own group, which is trained again. Under `joblib.parallel_config("dask")` or
        `("ray")`, the workers are those of a cluster, and None takes them all.
    verbose : int, default=0
        From 1 on, a progress bar (lines in a log): the epochs of all fits, the best score so far and the time
        left; from 2 on, also what scikit-learn prints of each fit.
    refit_epochs : {"cv", None}, default=None
        How long the best candidate is trained on all rows: None as its parameters say, early stopping
        included; "cv" for the mean of the best epochs of its splits, with nothing held out.
    max_memory : int, default=None
        Bytes that populations in training may take, roughly, on each machine; if None, half of this machine's
        memory, or of its accelerators' where that is less. Populations that would take more are divided.
    journal : str or path, default=None
        A folder that records the progress of the search; writes are atomic. After a kill, a full disk or
        Ctrl-C, the same call continues from there, repeats no finished fit, and gives the results of an
        uninterrupted search. A folder belongs to one search: another search, or a second process, is refused.
        Nested cross-validation needs a folder for each of its searches.
    journal_every : float, default=60.0
        Seconds between two saved states of fits in training, from which they continue.
    timeout : float, default=None
        Seconds after which the search ends with the candidates that are finished, and refits the best; so
        does Ctrl-C. Fits that train together stop at the end of an epoch, others when they are finished.
    loggers : SearchLogger or list of SearchLogger, default=None
        What gets each candidate when it ends, such as `kerashp.integrations.CSVLogger("results.csv")`. A
        search that continues from its journal adds no candidate twice. A logger that fails causes a
        `LoggerWarning` and harms no fit; `log_to` adds what it lacks.

    Attributes
    ----------
    epochs_saved_ : int
        How many more epochs, over all fits, training anew in every iteration would have cost.

    See Also
    --------
    HalvingRandomSearchCV : Describes the iterations, and has the same attributes and notes.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import HalvingGridSearchCV
    >>> X, y = make_regression(200, 8, random_state=0)
    >>> grid = {"learning_rate": [1e-4, 1e-3, 1e-2, 1e-1]}
    >>> search = HalvingGridSearchCV(KerasMLPRegressor(1, 8, epochs=16, random_state=0), grid, factor=2, cv=2)
    >>> search = search.fit(X, y / y.std())
    >>> search.n_candidates_, search.n_resources_, search.epochs_saved_
    ([4, 2, 1], [4, 8, 16], 32)
    """

    _space = "param_grid"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **compat.HalvingGridSearchCV._parameter_constraints,
        **CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        factor: float = 3,
        resource: str = "epochs",
        max_resources: Any = "auto",
        min_resources: Any = "exhaust",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        refit_epochs: str | None = None,
        max_memory: int | None = None,
        journal: Any = None,
        journal_every: float = 60.0,
        timeout: float | None = None,
        loggers: Any = None,
    ):
        super().__init__(
            estimator,
            param_grid,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout
        self.loggers = loggers

    def _sklearn_space(self) -> Any:
        return grid("HalvingGridSearchCV", self.param_grid)


class HalvingRandomSearchCV(_HalvingMixin, compat.HalvingRandomSearchCV):
    r"""`sklearn.model_selection.HalvingRandomSearchCV`, in which survivors continue instead of starting anew.

    Iteration $i$ gives each of its candidates $\mathrm{factor}^i$ times the resources of the first, and the
    best $1/\mathrm{factor}$ of them enter the next. If the resource is epochs, they continue from their
    weights and their optimizer's state, on the same splits, and reach the numbers of a training without a
    pause. A schedule of the estimator is stretched over the most epochs from the start.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    param_distributions : dict, list of dict or keras_tuner.HyperParameters
        What to draw from, by parameter; see `RandomizedSearchCV`.
    n_candidates : int or "exhaust", default="exhaust"
        Candidates of the first iteration; "exhaust": as many as give the last one the most resources.
    factor : float, default=3
        Of `factor` candidates one enters the next iteration, with `factor` times the resources.
    resource : "epochs", "n_samples" or another parameter of the estimator, default="epochs"
        What candidates get more of in each iteration. "epochs" are those of the estimator, also at the end of
        a pipeline. With any other resource, every iteration trains anew, as in scikit-learn.
    max_resources : int or "auto", default="auto"
        The most that any candidate gets; "auto": the epochs of the estimator (if those are "auto": as many
        as it would train on all rows), or all samples.
    min_resources : int, "smallest" or "exhaust", default="smallest"
        What each candidate of the first iteration gets, as in scikit-learn.
    aggressive_elimination : bool, default=False
        Whether to repeat the first iteration until few enough candidates are left, as in scikit-learn.
    cv : int, splitter or iterable, default=5
        As in scikit-learn; it must give the same splits in every iteration.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; the estimator's own score if None. A score that is not finite counts as a failure.
    refit : bool, str or callable, default=True
        As in scikit-learn: whether, and by which score, the best candidate is trained on all rows.
    error_score : "raise" or number, default=nan
        The score of a fit that fails, diverges or has a score that is not finite, with a `FitFailedWarning`.
        "raise" raises the error, with candidate and split in its notes. If no candidate has a finite score on
        all splits, candidates are compared by their means over some of the splits, with a warning.
    return_train_score : bool, default=True
        Whether to score the training rows too.
    random_state : int, RandomState instance or None, default=None
        Draws the candidates.
    n_jobs : int, default=None
        Workers of joblib. 1, or None outside of `joblib.parallel_config`, trains in this process, which keeps
        all its cores busy; with more, each worker trains whole groups and returns scores and curves. A worker
        that is killed costs its own group, which is trained again. Under `joblib.parallel_config("dask")` or
        `("ray")`, the workers are those of a cluster, and None takes them all.
    verbose : int, default=0
        From 1 on, a progress bar (lines in a log): the epochs of all fits, the best score so far and the time
        left; from 2 on, also what scikit-learn prints of each fit.
    refit_epochs : {"cv", None}, default=None
        How long the best candidate is trained on all rows: None as its parameters say, early stopping
        included; "cv" for the mean of the best epochs of its splits, with nothing held out.
    max_memory : int, default=None
        Bytes that populations in training may take, roughly, on each machine; if None, half of this machine's
        memory, or of its accelerators' where that is less. Populations that would take more are divided.
    journal : str or path, default=None
        A folder that records the progress of the search; writes are atomic. After a kill, a full disk or
        Ctrl-C, the same call continues from there, repeats no finished fit, and gives the results of an
        uninterrupted search. A folder belongs to one search: another search, or a second process, is refused.
        Nested cross-validation needs a folder for each of its searches.
    journal_every : float, default=60.0
        Seconds between two saved states of fits in training, from which they continue.
    timeout : float, default=None
        Seconds after which the search ends with the candidates that are finished, and refits the best; so
        does Ctrl-C. Fits that train together stop at the end of an epoch, others when they are finished.
    loggers : SearchLogger or list of SearchLogger, default=None
        What gets each candidate when it ends, such as `kerashp.integrations.CSVLogger("results.csv")`. A
        search that continues from its journal adds no candidate twice. A logger that fails causes a
        `LoggerWarning` and harms no fit; `log_to` adds what it lacks.

    Attributes
    ----------
    epochs_saved_ : int
        How many more epochs, over all fits, training anew in every iteration would have cost.
    n_resources_, n_candidates_, n_remaining_candidates_, n_iterations_, min_resources_, max_resources_
        As in scikit-learn; `cv_results_` has `iter` and `n_resources`.

    See Also
    --------
    GridSearchCV : Has the same further attributes and errors; its notes say how fits train.

    Notes
    -----
    scikit-learn's own class needs `sklearn.experimental.enable_halving_search_cv`; this one does not. Fits
    that are not stacked (see `explain()`) train anew in every iteration. An estimator without a
    `random_state` gets one for each candidate and split, so that it holds out the same rows as before.

    References
    ----------
    K. Jamieson and A. Talwalkar, Non-stochastic best arm identification and hyperparameter optimization,
    AISTATS 2016.
    scikit-learn's user guide, "Searching for optimal parameters with successive halving".

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import HalvingRandomSearchCV
    >>> X, y = make_regression(200, 8, random_state=0)
    >>> regressor = KerasMLPRegressor(1, 8, epochs=18, random_state=0)
    >>> space = {"learning_rate": loguniform(1e-4, 1e-1)}
    >>> search = HalvingRandomSearchCV(regressor, space, n_candidates=9, min_resources=2, cv=2)
    >>> search = search.set_params(random_state=0).fit(X, y / y.std())
    >>> search.n_candidates_, search.n_resources_, search.epochs_saved_
    ([9, 3, 1], [2, 6, 18], 24)
    """

    _space = "param_distributions"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **compat.HalvingRandomSearchCV._parameter_constraints,
        **CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_candidates: Any = "exhaust",
        factor: float = 3,
        resource: str = "epochs",
        max_resources: Any = "auto",
        min_resources: Any = "smallest",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        refit_epochs: str | None = None,
        max_memory: int | None = None,
        journal: Any = None,
        journal_every: float = 60.0,
        timeout: float | None = None,
        loggers: Any = None,
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_candidates=n_candidates,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout
        self.loggers = loggers
