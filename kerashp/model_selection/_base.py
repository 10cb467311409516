"""What all searches share: the way from candidates to `cv_results_`, and the rule of the single score."""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import compress
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

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
from kerashp.estimators._training.handover import scheduling_for, training_by, training_for
from kerashp.model_selection._ensembles.search_mixin import EnsembleInputs, EnsemblingMixin
from kerashp.model_selection._fits.curves import History, columns, histories, mean_best_epochs
from kerashp.model_selection._fits.deadline import CTRL_C, Deadline, Stopped
from kerashp.model_selection._fits.failures import reported
from kerashp.model_selection._fits.heldout_predictions import (
    estimators_by_candidate,
    predictions_by_candidate,
)
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._fits.seeds import drawing_from, new_seed
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._logging.reporter import CandidateReporter
from kerashp.model_selection._logging.search_mixin import LoggingMixin
from kerashp.model_selection._optuna.search_mixin import StudyMixin
from kerashp.model_selection._planning.plan import Plan
from kerashp.model_selection._ranking import check_some_is_best, compared
from kerashp.model_selection._running.call_checks import check_call
from kerashp.model_selection._running.evaluation import Evaluation
from kerashp.model_selection._running.joblib_backend import BatchBackend
from kerashp.model_selection._running.preflight import Preflight, check_finite
from kerashp.model_selection._running.processes import workers
from kerashp.model_selection._search_state import RunningSearch
from kerashp.model_selection._storage.journal import Journal
from kerashp.model_selection._storage.memory import MemoryStorage
from kerashp.model_selection._storage.protocol import SearchStorage
from kerashp.spaces._search_space import search_space
from kerashp.training import (
    check_fork,
    one_warning_a_cause,
    program_cache_description,
    without_retracing_warnings,
)

CONSTRAINTS: dict[str, Any] = {
    "refit_epochs": [StrOptions({"cv"}), None],
    "max_memory": [Interval(Integral, 1, None, closed="left"), None],
    "journal": [str, os.PathLike, None],
    "journal_every": [Interval(Real, 0, None, closed="left")],
    "timeout": [Interval(Real, 0, None, closed="neither"), None],
    "loggers": "no_validation",  # by `_check_loggers`
}


class PopulationSearchMixin(LoggingMixin, StudyMixin, EnsemblingMixin):
    """A search of scikit-learn whose fits are evaluated all at once, so that they can train together."""

    _space: ClassVar[str] = "space"  # the parameter that holds what is searched
    # scikit-learn's tasks hold the search, and are sent to workers: what belongs to one fit is not sent.
    _not_pickled = (*EnsemblingMixin._not_pickled, "_run")
    _widths_vary = False  # whether later candidates may have other widths than the first ones

    _run: RunningSearch  # while `fit` runs: scikit-learn's own methods cannot be passed it
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
            splitter; `epochs`, `callbacks`, `validation_data` and the like go to every fit unchanged.
            Successive halving and Hyperband refuse `epochs` where they decide on the epochs.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a parameter or an argument is of the wrong type, or the estimator's `fit` has no such argument.
        ValueError
            If X or y contain NaN or infinity, or the scorer fails on all splits; then nothing was trained. If
            all fits failed, or one failed and `error_score="raise"`; the error's notes name candidate and
            split. If every candidate lacks a score on some split, and no split compares them, or if the refit
            fails; then `cv_results_` is set.
        JournalError
            If the journal belongs to another search, is in use, is damaged, or cannot be written.
        KeyboardInterrupt, TimeoutError
            If the search was stopped before any candidate was finished.
        """
        check_fork()
        resource, space = self._resource(X, params), getattr(self, self._space)
        with self._in_terms_of_sklearn(resource):
            self._check_call(X, y, params)
            try:
                return self._fit_together(X, y, params, resource, space)
            finally:
                if "_run" in vars(self):
                    del self._run

    def _resource(self, X: Any, params: dict[str, Any]) -> Resource | None:
        """What the search gives to good candidates in portions, which continue where they were."""
        return None

    def _check_call(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        """Refuse what would certainly fail, before anything is prepared."""
        self._validate_params()
        self._check_loggers()
        check_call(self, params)
        if self.refit_epochs is not None and not isinstance(innermost(self.estimator), BaseKerasEstimator):
            raise ValueError(
                f"refit_epochs={self.refit_epochs!r} needs an estimator of kerashp, alone or in a pipeline; "
                f"got {self.estimator!r}. Set refit_epochs=None"
            )
        if self.refit:
            check_finite(self.estimator, X, y)

    def _fit_together(
        self, X: Any, y: Any, params: dict[str, Any], resource: Resource | None, space: Any
    ) -> Self:
        deadline = Deadline(None if self.timeout is None else time.time() + self.timeout)
        with (
            self._storage(resource) as storage,
            drawing_from(storage.seed if self.journal is not None else None),
        ):
            storage.limit_predictions(self.refit)
            preflight = Preflight(self.scoring, self.refit, is_one_round=not self._widths_vary)
            options = *workers(self.n_jobs), storage, deadline, resource, self._widths_vary
            reporter = self._new_reporter(storage, space)
            evaluation = Evaluation(
                self.max_memory, self.verbose > 0, *options, preflight=preflight, reporter=reporter
            )
            self._n_samples = row_count(X)
            self._run = run = RunningSearch(evaluation, deadline, resource, storage.search_id)
            backend = BatchBackend(lambda tasks: self._results_for_sklearn(run, tasks))
            epochs = partial(self._epochs_of_best, run) if self.refit_epochs == "cv" else None
            horizon = None if resource is None else resource.most
            try:
                with (
                    training_for(epochs),
                    training_by(run.train_best),
                    scheduling_for(horizon),
                    without_retracing_warnings(),
                    one_warning_a_cause(),
                    self._reporting(reporter, evaluation, deadline),
                ):
                    return super().fit(X, y, **params)
            except BaseException as error:
                if run.results is not None:
                    self.cv_results_ = run.results
                    error.add_note("cv_results_ holds the candidates that ended before this error")
                raise
            finally:
                backend.release()
                self._set_attributes(run, X, y)

    def _results_for_sklearn(self, run: RunningSearch, tasks: Sequence[Task]) -> list[dict[str, Any]]:
        results = self._reported(run, run.evaluation.results(tasks))
        return counted_results([result.for_sklearn() for result in results], len(tasks))

    @contextmanager
    def _reporting(
        self, reporter: CandidateReporter, evaluation: Evaluation, deadline: Deadline
    ) -> Iterator[None]:
        """Tell the loggers how the search inside ends, and keep what they can be told again."""
        status, best = "failed", None
        try:
            yield
            status = "finished" if deadline.reason is None else "stopped"
            best = self.best_estimator_ if self.refit else None
        except (KeyboardInterrupt, TimeoutError):
            status = "stopped"
            raise
        finally:
            if reporter.log is not None:
                self._search_log, self.search_id_ = reporter.log, reporter.log.search.id
            # What was lost with its workers trains again where the search continues from its journal.
            reporter.end(status, best, evaluation.lost if self.journal is not None else ())

    def _set_attributes(self, run: RunningSearch, X: Any, y: Any) -> None:
        """Set what is known of a search that has ended, even by an error."""
        evaluation, horizon = run.evaluation, None if run.resource is None else run.resource.most
        self._ensemble_inputs = EnsembleInputs(
            X, y, run.routed_params, run.predictions, run.estimators, horizon, evaluation.trained
        )
        if evaluation.plan is not None:
            self.plan_, self.seconds_ = evaluation.plan, dict(evaluation.seconds)
            self.preparation_ = evaluation.preparation
        if run.resource is not None:
            self.epochs_saved_ = evaluation.epochs_saved

    @contextmanager
    def _in_terms_of_sklearn(self, resource: Resource | None) -> Iterator[None]:
        """Inside, the search has the parameters that scikit-learn's search understands."""
        translated = self._sklearn_params(resource)
        params = {name: getattr(self, name) for name in translated}
        for name, value in translated.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name, value in params.items():
                setattr(self, name, value)

    def _sklearn_params(self, resource: Resource | None) -> dict[str, Any]:
        """The parameters that scikit-learn's search takes in another form."""
        return {self._space: self._sklearn_space()}

    def _sklearn_space(self) -> Any:
        """The space, which may be keras-tuner's, as scikit-learn takes it."""
        return search_space(getattr(self, self._space))

    def _storage(self, resource: Resource | None) -> AbstractContextManager[SearchStorage]:
        keeps_finished = resource is not None
        if self.journal is not None:
            return Journal(self.journal, self.journal_every, keeps_finished)
        return nullcontext(MemoryStorage(keeps_finished, new_seed() if keeps_finished else None))

    def _get_routed_params_for_fit(self, params: dict[str, Any]) -> Any:
        self._run.routed_params = super()._get_routed_params_for_fit(params)
        return self._run.routed_params

    def _run_search(self, evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None) -> None:
        run = self._run
        try:
            self._search(run, evaluate_candidates, callback_ctx)
        except (Stopped, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):  # between two rounds
                run.deadline.stop(CTRL_C)
            if run.results is None:
                raise self._nothing_finished(run.deadline) from None
        assert run.results is not None
        run.is_refitting = True
        if run.deadline.reason is not None:
            finished = run.evaluation.finished
            warnings.warn(
                f"The search was stopped by {run.deadline.reason}: {sum(finished)} of {len(finished)} "
                f"candidates were finished, and cv_results_ has these{self._cut_short(run.results)}",
                stacklevel=2,
            )
        for comparison in run.comparisons:
            comparison.warn()
        warn_of_convergence(type(self).__name__, run.unconverged, run.n_fits)
        self._check_some_is_best(run.results)

    def _check_some_is_best(self, results: dict[str, Any]) -> None:
        """Raise an error where no candidate has a score to be chosen by."""
        name = self.refit if f"mean_test_{self.refit}" in results else "score"
        if not callable(self.refit) and f"mean_test_{name}" in results:
            check_some_is_best(results, name)

    def _search(self, run: RunningSearch, evaluate_candidates: Callable[..., Any], callback_ctx: Any) -> None:
        """Propose candidates and have them evaluated, in one round or several."""
        super()._run_search(evaluate_candidates, **arguments_of_run_search(callback_ctx))

    def _cut_short(self, results: dict[str, Any]) -> str:
        """What the finished candidates lack if the search was stopped, as the end of a sentence."""
        return ""

    def _nothing_finished(self, deadline: Deadline) -> BaseException:
        if deadline.reason == CTRL_C:
            return KeyboardInterrupt(f"No candidate was finished; {self._how_to_continue()}")
        within = f"within timeout={self.timeout} seconds"
        return TimeoutError(f"No candidate was finished {within}; {self._how_to_continue()}")

    def _how_to_continue(self) -> str:
        if self.journal is None:
            return "with journal=folder, the same call continues where it was stopped"
        return "the same call continues from the journal"

    def _reported(self, run: RunningSearch, results: list[FitResult]) -> list[FitResult]:
        """The results of some tasks, before scikit-learn gets them."""
        return reported(results, self.error_score)

    def _format_results(
        self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None
    ) -> dict[str, Any]:
        run, out = self._run, present_results(out)
        finished = run.evaluation.finished
        more = {name: list(compress(values, finished)) for name, values in (more_results or {}).items()}
        candidates = list(compress(candidate_params, finished))
        results = super()._format_results(candidates, n_splits, out, more)
        fits = [entries["result"] for entries in out]
        self.histories_ = histories(fits, n_splits)
        run.predictions = predictions_by_candidate(fits, n_splits)
        run.estimators = estimators_by_candidate(fits, n_splits)
        run.comparisons = compared(results, n_splits)
        run.unconverged, run.n_fits = [text for result in fits for text in result.unconverged], len(fits)
        run.results = results | columns(fits, n_splits)
        return run.results

    def _epochs_of_best(self, run: RunningSearch) -> int | None:
        if run.results is None:
            return None
        epochs = mean_best_epochs(run.results, self.best_index_)
        if epochs is None:
            raise ValueError(
                "refit_epochs='cv' needs the learning curves of the best candidate, but no fit of "
                f"{self.best_params_} has any; set refit_epochs=None"
            )
        return epochs

    def explain(self) -> str:
        """Describe which fits trained together, which did not and why, and where the time went.

        Returns
        -------
        str
            A table of the groups; for each, how it differs from the group that is most like it; a line for
            each reason why fits were not stacked; the seconds, summed over threads and workers that run at
            the same time, so that they may exceed the elapsed time; and how many functions were traced,
            compiled, or loaded from the program cache.
        """
        check_is_fitted(self, "plan_")
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds_.items())
        lines = (self.plan_, f"seconds, summed over threads and workers: {times}", self.preparation_)
        return "\n".join(map(str, (*lines, program_cache_description())))

    def report(
        self, path: Any, *, title: str | None = None, metric: str | None = None, n_top: int = 20
    ) -> Path:
        """Write one page of HTML: the space, the results, the course of the search, and what to do next.

        The best candidate, a leaderboard, the plots of `kerashp.plotting` (that of learning rates where the
        best candidate's moves), the diagnosis of the best candidate's curves, the plan, where the time went,
        and versions. The page is self-contained and runs no code. matplotlib has to be installed (the extra
        `plot`).

        Parameters
        ----------
        path : str or path-like
            The file, in a folder that exists. The write is atomic.
        title : str, default=None
            The title of the page; the names of the search and its estimator if None.
        metric : str, default=None
            The score to show, where there are several; the one that `refit` names if None.
        n_top : int, default=20
            How many candidates the leaderboard shows.

        Returns
        -------
        pathlib.Path
            The path of the file.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If the folder of the file does not exist, or an argument is out of its range.
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


def check_single_score(search: Any) -> None:
    """Refuse several scores of which `refit` names none."""
    if isinstance(search.scoring, list | tuple | set | dict) and not isinstance(search.refit, str):
        raise ValueError(
            f"{type(search).__name__} ranks candidates by one score while it searches, but scoring names "
            f"several, and refit={search.refit!r} names none of them. Set refit to the name of one"
        )


def single_score(search: Any, results: dict[str, Any]) -> dict[str, Any]:
    """Candidates of `cv_results_`, with means and ranks of the score that ranks them as of a single score."""
    name = search.refit if f"mean_test_{search.refit}" in results else "score"
    if f"mean_test_{name}" not in results:
        raise ValueError(
            f"{type(search).__name__} ranks candidates by one score while it searches, but scoring "
            f"returns several, and refit={search.refit!r} names none of them. Set refit to the name of one"
        )
    columns = {f"{kind}_test_score": results[f"{kind}_test_{name}"] for kind in ("mean", "rank")}
    return {"params": results["params"], **columns}
