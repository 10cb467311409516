"""scikit-learn's grid and randomized search over candidates x folds that train together."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import compress
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import model_selection
from sklearn.utils.validation import check_is_fitted

from kerashp._compat.sklearn import (
    Interval,
    StrOptions,
    arguments_of_run_search,
    counted_results,
    present_results,
    row_count,
)
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.convergence import warn_of_convergence
from kerashp.estimators._training.handover import scheduling_for, training_for
from kerashp.model_selection._ensembles.search_mixin import EnsemblingMixin
from kerashp.model_selection._fits.curves import History, columns, histories, mean_best_epochs
from kerashp.model_selection._fits.deadline import CTRL_C, Deadline, Stopped
from kerashp.model_selection._fits.failures import reported
from kerashp.model_selection._fits.heldout_predictions import Library, held_out
from kerashp.model_selection._fits.seeds import drawing_from, new_seed
from kerashp.model_selection._fits.task import Resource, Result
from kerashp.model_selection._planning.plan import Plan
from kerashp.model_selection._ranking import Comparison, check_some_is_best, compared
from kerashp.model_selection._running.call import check_call
from kerashp.model_selection._running.evaluation import Evaluation
from kerashp.model_selection._running.joblib_backend import AllAtOnce
from kerashp.model_selection._running.processes import workers
from kerashp.model_selection._running.trial import Trial, check_finite
from kerashp.model_selection._storage.journal import Journal
from kerashp.model_selection._storage.memory import Unwritten
from kerashp.spaces._search_space import grid, search_space
from kerashp.training import check_fork, one_warning_a_cause, without_retracing_warnings

CONSTRAINTS: dict[str, Any] = {
    "refit_epochs": [StrOptions({"cv"}), None],
    "max_memory": [Interval(Integral, 1, None, closed="left"), None],
    "journal": [str, os.PathLike, None],
    "journal_every": [Interval(Real, 0, None, closed="left")],
    "timeout": [Interval(Real, 0, None, closed="neither"), None],
}


# Attributes while `fit` runs.
_RUNNING = (
    "_comparisons",
    "_evaluation",
    "_found",
    "_goes_on_by",
    "_like",
    "_limit",
    "_most_epochs",
    "_unconverged",
)


@contextmanager
def without_notes() -> Iterator[None]:
    """Inside, TensorFlow says nothing of retracing, and a fallback is warned of once a cause."""
    with without_retracing_warnings(), one_warning_a_cause():
        yield


class TogetherMixin(EnsemblingMixin):
    """A search of scikit-learn's whose fits are handed out all at once."""

    _space: ClassVar[str] = "space"  # the parameter that holds what is searched

    # Its tasks have a search with them, to workers too; what belongs to the running search stays here.
    _only_here = (*EnsemblingMixin._only_here, *_RUNNING)
    _goes_on_by: Resource | None = None  # in which candidates that go on differ
    _varied = False  # whether it proposes candidates of other widths later

    _comparisons: list[Comparison]
    _unconverged: tuple[list[str], int]  # what is said of such fits, and the number of all
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
        TypeError
            If a parameter or an argument is of the wrong type, or the estimator's `fit` has no such argument.
        ValueError
            If X or y hold NaN or infinity, or the scorer fails on all splits: then nothing was trained. If
            all fits failed, or one did and `error_score="raise"`: its notes name candidate and split. If each
            candidate lacks a score on some split, and no split compares them; or the refit fails:
            `cv_results_` is kept.
        JournalError
            If the journal is another search's, in use, damaged, or cannot be written.
        KeyboardInterrupt, TimeoutError
            If the search was stopped before any candidate was finished.
        """
        check_fork()
        self._found: dict[str, Any] | None = None
        with self._translated():
            self._check_call(X, y, params)
            self._keep_for_ensembles(X, y)
            try:
                return self._fit_together(X, y, params)
            finally:
                for name in _RUNNING:
                    if name in vars(self):
                        delattr(self, name)

    def _check_call(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        """Refuse what is known to fail before anything is prepared."""
        self._validate_params()
        check_call(self, params)
        if self.refit_epochs is not None and not isinstance(innermost(self.estimator), BaseKerasEstimator):
            raise ValueError(
                f"refit_epochs={self.refit_epochs!r} is for kerashp's estimators, alone or in pipelines; got "
                f"{self.estimator!r}. Set refit_epochs=None"
            )
        if self.refit:
            check_finite(self.estimator, X, y)

    def _fit_together(self, X: Any, y: Any, params: dict[str, Any]) -> Self:
        limit = Deadline(None if self.timeout is None else time.time() + self.timeout)
        with self._store() as store, drawing_from(store.seed if self.journal is not None else None):
            how = *workers(self.n_jobs), store, limit, self._goes_on_by, self._varied
            trial = Trial(self.scoring, self.refit, whole=not self._varied)
            evaluation = Evaluation(self.max_memory, self.verbose > 0, *how, trial=trial)
            self._evaluation, self._limit = evaluation, limit
            store.library = Library(self.refit, store.results)
            all_at_once = AllAtOnce(
                lambda tasks: counted_results(self._received(evaluation.results(tasks)), len(tasks))
            )
            most = None if self._goes_on_by is None else self._goes_on_by.most
            epochs = self._epochs_of_best if self.refit_epochs == "cv" else None
            self._horizon, self._n_samples = most, row_count(X)
            try:
                with training_for(epochs), scheduling_for(most), without_notes():
                    return super().fit(X, y, **params)
            except BaseException as error:
                if self._found is not None:
                    self.cv_results_ = self._found
                    error.add_note("The search itself ended before: see cv_results_")
                raise
            finally:
                all_at_once.release()
                self._programs = evaluation.trained
                if evaluation.plan is not None:
                    self.plan_, self.seconds_ = evaluation.plan, dict(evaluation.seconds)
                if self._goes_on_by is not None:
                    self.epochs_saved_ = evaluation.epochs_saved

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Inside, what is searched is a space of scikit-learn's."""
        told = getattr(self, self._space)
        setattr(self, self._space, self._translation(told))
        try:
            yield
        finally:
            setattr(self, self._space, told)

    def _translation(self, space: Any) -> Any:
        """What the search makes of keras-tuner's `HyperParameters`."""
        return search_space(space)

    def _store(self) -> AbstractContextManager[Any]:
        """Where results and states are kept."""
        goes_on = self._goes_on_by is not None
        if self.journal is not None:
            return Journal(self.journal, self.journal_every, keeps_finished=goes_on)
        return nullcontext(Unwritten(goes_on, new_seed() if goes_on else None))

    def _run_search(self, evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None) -> None:
        try:
            self._search(evaluate_candidates, callback_ctx)
        except (Stopped, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):  # between two rounds
                self._limit.stop(CTRL_C)
            if self._found is None:
                raise self._nothing_finished() from None
        if self._limit.reason is not None:
            finished = self._evaluation.finished
            warnings.warn(
                f"The search was stopped by {self._limit.reason}: {sum(finished)} of {len(finished)} "
                f"candidates were finished, and cv_results_ has these{self._cut_short()}",
                stacklevel=2,
            )
        for comparison in self._comparisons:
            comparison.warn()
        warn_of_convergence(type(self).__name__, *self._unconverged)
        self._check_some_is_best()

    def _check_some_is_best(self) -> None:
        """Refuse to go on with any candidate where none has a score to be chosen by."""
        assert self._found is not None
        name = self.refit if f"mean_test_{self.refit}" in self._found else "score"
        if not callable(self.refit) and f"mean_test_{name}" in self._found:
            check_some_is_best(self._found, name)

    def _search(self, evaluate_candidates: Callable[..., Any], callback_ctx: Any) -> None:
        """Propose candidates and have them evaluated, as often as it takes."""
        super()._run_search(evaluate_candidates, **arguments_of_run_search(callback_ctx))

    def _cut_short(self) -> str:
        """What those candidates lack that were finished before the search was stopped."""
        return ""

    def _nothing_finished(self) -> BaseException:
        if self._limit.reason == CTRL_C:
            return KeyboardInterrupt(f"No candidate was finished; {self._goes_on()}")
        within = f"within timeout={self.timeout} seconds"
        return TimeoutError(f"No candidate was finished {within}; {self._goes_on()}")

    def _goes_on(self) -> str:
        """How a search that was stopped does."""
        if self.journal is None:
            return "with journal=folder, the same call goes on where it was"
        return "the same call goes on from the journal"

    def _received(self, results: list[Result]) -> list[Result]:
        """The results of some tasks, before scikit-learn sees them."""
        return reported(results, self.error_score)

    def _format_results(
        self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None
    ) -> dict[str, Any]:
        finished, out = self._evaluation.finished, present_results(out)
        more = {name: list(compress(values, finished)) for name, values in (more_results or {}).items()}
        candidates = list(compress(candidate_params, finished))
        results = super()._format_results(candidates, n_splits, out, more)
        self.histories_ = histories(out, n_splits)
        self._held_out = held_out(out, n_splits)
        self._comparisons = compared(results, n_splits)
        self._unconverged = [text for result in out for text in result.get("unconverged", ())], len(out)
        self._found = results | columns(out, n_splits)
        return self._found

    def _epochs_of_best(self) -> int | None:
        if self._found is None:
            return None
        epochs = mean_best_epochs(self._found, self.best_index_)
        if epochs is None:
            raise ValueError(
                f"refit_epochs='cv' needs the curves of the best candidate, {self.best_params_}, but none of "
                "its fits has any; set refit_epochs=None"
            )
        return epochs

    def explain(self) -> str:
        """What trained together, what did not and why, and where the time went.

        Returns
        -------
        str
            A table of the groups; for each, what separates it from the one that is most like it; a line for
            each reason why fits were not stacked; and the seconds, which are sums over threads (and workers)
            that work at the same time, and so may be more than have passed.
        """
        check_is_fitted(self, "plan_")
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds_.items())
        return f"{self.plan_}\nseconds, summed over threads and workers: {times}"

    def report(
        self, path: Any, *, title: str | None = None, metric: str | None = None, n_top: int = 20
    ) -> Path:
        """Write one page of HTML: what was searched, what was found, how it went, and what to do next.

        The best candidate, a leaderboard, the plots of `kerashp.plotting` (that of learning rates where the
        best candidate's moves), the diagnosis of the best candidate's curves, the plan, where the time went,
        and versions. The page needs nothing from elsewhere and runs no code. matplotlib has to be installed
        (the extra `plot`).

        Parameters
        ----------
        path : str or path-like
            The file, in a folder that exists. It is written whole or stays as it was.
        title : str, default=None
            The page's; the names of the search and its estimator if None.
        metric : str, default=None
            Which score, where there are several; the one that `refit` names if None.
        n_top : int, default=20
            How many candidates the leaderboard shows.

        Returns
        -------
        pathlib.Path
            Of the file.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If the path is not one of a file in a folder that exists, or an argument is out of its range.
        sklearn.exceptions.NotFittedError

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import RidgeClassifier
        >>> from kerashp.model_selection import GridSearchCV
        >>> grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.01, 1.0]}, cv=2)
        >>> search = grid.fit(*load_iris(return_X_y=True))
        >>> with TemporaryDirectory() as folder:
        ...     page = search.report(f"{folder}/report.html").read_text()
        >>> "<h2>Leaderboard</h2>" in page
        True
        """
        from kerashp.plotting._report import write_report

        return write_report(self, path, title=title, metric=metric, n_top=n_top)


class GridSearchCV(TogetherMixin, model_selection.GridSearchCV):
    """`sklearn.model_selection.GridSearchCV`, in which all candidates and splits train together.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    param_grid : dict, list of dict or keras_tuner.HyperParameters
        The values to try, by parameter. `HyperParameters` are translated, see
        `kerashp.spaces.from_hyperparameters`; each `Float`, and each `Int` that is not linear, needs a step.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; the estimator's own score if None. A score that is not finite counts as a failure.
    n_jobs : int, default=None
        joblib's workers. 1, or None outside of `joblib.parallel_config`, trains in this process, which keeps
        all its cores busy; with more, each worker trains whole groups and returns scores and curves. A worker
        that is killed costs its own group, which is trained again. Under `joblib.parallel_config("dask")` or
        `("ray")`, the workers are those of a cluster, and None takes them all.
    refit : bool, str or callable, default=True
        As in scikit-learn: whether, and by which score, the best candidate is trained on all rows.
    cv : int, splitter or iterable, default=None
        As in scikit-learn; 5 folds if None.
    verbose : int, default=0
        From 1 on a bar, or lines in a log: the epochs of all members, the best score so far and the time
        left; from 2 on also what scikit-learn prints of each fit.
    pre_dispatch : int or str, default="2*n_jobs"
        Taken for scikit-learn's sake; all fits are handed out at once.
    error_score : "raise" or number, default=nan
        The score of a fit that fails, diverges or is scored by no finite number, with a `FitFailedWarning`.
        "raise" raises the error, with candidate and split in its notes. Where no candidate has a finite score
        on all splits, they are compared by their means over those splits that compare them, with a warning.
    return_train_score : bool, default=False
        Whether to score the training rows too.
    refit_epochs : {"cv", None}, default=None
        For how long the best candidate is trained on all rows: None as its parameters say, early stopping
        included; "cv" for as many epochs as were best in its splits on average, with nothing held out.
    max_memory : int, default=None
        Bytes that populations in training may take, roughly, on each machine; half of this one's memory if
        None. What would take more is divided.
    journal : str or path, default=None
        A folder in which the search is kept as it goes, each write whole or not at all. After a kill, a full
        disk or Ctrl-C, the same call goes on from there, with no finished fit done again, and ends as if
        nothing had happened. A folder is one search's; another search, or a second process, is refused. (So
        nested cross-validation needs a folder for each of its searches.)
    journal_every : float, default=60.0
        Seconds between two states of what is in training, from which it goes on.
    timeout : float, default=None
        Seconds after which the search ends with the candidates that are finished, and refits the best. The
        same does Ctrl-C. Fits that train together end at an epoch's end, others when they are done.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, \
multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn. `cv_results_` also has `split{i}_epochs`, how many epochs each fit trained,
        `split{i}_best_epoch`, the position of its best in the curves, and `split{i}_stopped_early`, whether
        it ended before its epochs, as by early stopping; masked where a fit never trained. Fit times are
        shares of a group's: of compiling, equal ones; of training, by steps.
    histories_ : list of list of dict
        The learning curves, `histories_[candidate][split]`; None for a fit that never trained.
    plan_ : Plan
        Which fits trained together and which did not.
    seconds_ : dict from str to float
        Where the time went until the refit, over all threads: preparing, compiling, training, scoring.

    Raises
    ------
    ValueError
        If all fits failed, or one did and `error_score="raise"`.

    Notes
    -----
    A fit runs as scikit-learn runs it, up to where the network would be trained. Those whose networks have
    one graph shape then train together as a `kerashp.training.Population`: they may differ in numbers
    (learning rate, momentum, penalties, dropout), hidden widths, rows, sample weights and early stopping.
    Then each goes on to its score. A preprocessing that several candidates share is fitted once a split.

    The estimator is one of kerashp's, alone, at the end of pipelines, or in a `TransformedTargetRegressor`.
    Anything else, a callback other than `EarlyStopping` and `TerminateOnNaN`, and what `kerashp.fit` leaves
    to `Model.fit`, is trained one fit at a time in the same search: `explain()` says which and why.

    A fit's own `verbose` shows nothing where it trains with others. The estimators that a scorer is handed
    for the splits of one candidate share a network, which has each one's weights in turn: do not keep them.

    References
    ----------
    scikit-learn's user guide, "Tuning the hyper-parameters of an estimator".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from kerashp import KerasMLPClassifier
    >>> from kerashp.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), KerasMLPClassifier(epochs=30, random_state=0))
    >>> grid = {"kerasmlpclassifier__learning_rate": [0.001, 0.03], "kerasmlpclassifier__n_neurons": [8, 16]}
    >>> search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    >>> search.best_params_["kerasmlpclassifier__learning_rate"]
    0.03
    >>> len(search.plan_.groups), len(search.plan_.groups[0].fits)
    (1, 12)
    """

    _space = "param_grid"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **model_selection.GridSearchCV._parameter_constraints,
        **CONSTRAINTS,
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
        journal: Any = None,
        journal_every: float = 60.0,
        timeout: float | None = None,
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
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout

    def _translation(self, space: Any) -> Any:
        return grid("GridSearchCV", space)


class RandomizedSearchCV(TogetherMixin, model_selection.RandomizedSearchCV):
    """`sklearn.model_selection.RandomizedSearchCV`, in which all candidates and splits train together.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    param_distributions : dict, list of dict or keras_tuner.HyperParameters
        What to draw from, by parameter: lists, or distributions with an `rvs` method. `HyperParameters` are
        translated, see `kerashp.spaces.from_hyperparameters`.
    n_iter : int, default=10
        Candidates to draw.
    random_state : int, RandomState instance or None, default=None
        Draws the candidates, those that scikit-learn's own search draws.
    others
        See `GridSearchCV`, also for attributes, errors and notes.

    References
    ----------
    J. Bergstra and Y. Bengio, Random search for hyper-parameter optimization, JMLR 13, 2012.
    A. Géron, Hands-On Machine Learning, ch. 10: the search below.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import RandomizedSearchCV
    >>> X, y = make_regression(200, 8, random_state=0)
    >>> space = {"n_neurons": range(4, 20), "learning_rate": loguniform(1e-3, 1e-1)}
    >>> regressor = KerasMLPRegressor(1, epochs=20, random_state=0)
    >>> search = RandomizedSearchCV(regressor, space, n_iter=4, cv=3, random_state=0).fit(X, y / y.std())
    >>> [len(curves["loss"]) for curves in search.histories_[0]]
    [20, 20, 20]
    """

    _space = "param_distributions"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **model_selection.RandomizedSearchCV._parameter_constraints,
        **CONSTRAINTS,
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
        journal: Any = None,
        journal_every: float = 60.0,
        timeout: float | None = None,
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
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout
