"""What all searches share: the call from candidates to `cv_results_`, and the rule of the one score."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
from kerashp.estimators._training.handover import scheduling_for, training_for
from kerashp.model_selection._ensembles.search_mixin import EnsemblingMixin
from kerashp.model_selection._fits.curves import History, columns, histories, mean_best_epochs
from kerashp.model_selection._fits.deadline import CTRL_C, Deadline, Stopped
from kerashp.model_selection._fits.failures import reported
from kerashp.model_selection._fits.heldout_predictions import predictions_by_candidate
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._fits.seeds import drawing_from, new_seed
from kerashp.model_selection._fits.task import Resource
from kerashp.model_selection._planning.plan import Plan
from kerashp.model_selection._ranking import Comparison, check_some_is_best, compared
from kerashp.model_selection._running.call import check_call
from kerashp.model_selection._running.evaluation import Evaluation
from kerashp.model_selection._running.joblib_backend import AllAtOnce
from kerashp.model_selection._running.processes import workers
from kerashp.model_selection._running.trial import Trial, check_finite
from kerashp.model_selection._storage.journal import Journal
from kerashp.model_selection._storage.memory import MemoryStorage
from kerashp.model_selection._storage.protocol import SearchStorage
from kerashp.spaces._search_space import search_space
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
        with self._storage() as storage, drawing_from(storage.seed if self.journal is not None else None):
            how = *workers(self.n_jobs), storage, limit, self._goes_on_by, self._varied
            trial = Trial(self.scoring, self.refit, whole=not self._varied)
            evaluation = Evaluation(self.max_memory, self.verbose > 0, *how, trial=trial)
            self._evaluation, self._limit = evaluation, limit
            storage.limit_predictions(self.refit)
            all_at_once = AllAtOnce(
                lambda tasks: counted_results(
                    [result.for_sklearn() for result in self._received(evaluation.results(tasks))], len(tasks)
                )
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

    def _storage(self) -> AbstractContextManager[SearchStorage]:
        """Where results and states are kept."""
        goes_on = self._goes_on_by is not None
        if self.journal is not None:
            return Journal(self.journal, self.journal_every, keeps_finished=goes_on)
        return nullcontext(MemoryStorage(goes_on, new_seed() if goes_on else None))

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

    def _received(self, results: list[FitResult]) -> list[FitResult]:
        """The results of some tasks, before scikit-learn sees them."""
        return reported(results, self.error_score)

    def _format_results(
        self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None
    ) -> dict[str, Any]:
        finished, out = self._evaluation.finished, present_results(out)
        more = {name: list(compress(values, finished)) for name, values in (more_results or {}).items()}
        candidates = list(compress(candidate_params, finished))
        results = super()._format_results(candidates, n_splits, out, more)
        fits = [entries["result"] for entries in out]
        self.histories_ = histories(fits, n_splits)
        self._held_out = predictions_by_candidate(fits, n_splits)
        self._comparisons = compared(results, n_splits)
        self._unconverged = [text for result in fits for text in result.unconverged], len(fits)
        self._found = results | columns(fits, n_splits)
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


def check_one_decides(search: Any) -> None:
    """Refuse several scores of which `refit` names none."""
    if isinstance(search.scoring, list | tuple | set | dict) and not isinstance(search.refit, str):
        raise ValueError(
            f"{type(search).__name__} goes by one score while it searches; got several, and "
            f"refit={search.refit!r}. Set refit to the name of one"
        )


def deciding(search: Any, results: dict[str, Any]) -> dict[str, Any]:
    """What `cv_results_` says of the candidates by that score, under the names of a single one."""
    name = search.refit if f"mean_test_{search.refit}" in results else "score"
    if f"mean_test_{name}" not in results:
        raise ValueError(
            f"{type(search).__name__} goes by one score while it searches; scoring returns several, and "
            f"refit={search.refit!r}. Set refit to the name of one"
        )
    columns = {f"{what}_test_score": results[f"{what}_test_{name}"] for what in ("mean", "rank")}
    return {"params": results["params"], **columns}
