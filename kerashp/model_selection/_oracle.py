"""A search whose candidates are proposed by an oracle of keras-tuner."""

import warnings
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state

from kerashp._compat.sklearn import BaseSearchCV, HasMethods, Interval, StrOptions
from kerashp.model_selection._base import CONSTRAINTS, check_single_score, single_score
from kerashp.model_selection._batch_search import BatchSearchMixin
from kerashp.model_selection._fits.task import Resource
from kerashp.model_selection._oracles.adapter import (
    NAMES,
    OracleAdapter,
    Proposal,
    is_bounded,
    joined_oracle,
    new_oracle,
)
from kerashp.model_selection._search_state import RunningSearch

_COUNT = Interval(Integral, 1, None, closed="left")


class OracleSearchCV(BatchSearchMixin):
    """An oracle of keras-tuner proposes candidates; `batch` of them at a time train together, on all folds.

    The oracle gets the mean test scores, from which it proposes the next candidates. A candidate that failed
    is reported as a failed trial, unless `error_score` is a number, which is its score then. The oracle
    prints nothing and writes no files.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    space : dict, list of dict, keras_tuner.HyperParameters or None, default=None
        What to search, by parameter: lists or distributions that `kerashp.spaces.to_hyperparameters`
        supports. They are joined with the hyperparameters of an oracle that is an instance; None: no others.
    oracle : {"bayesian", "hyperband", "random", "grid"} or keras_tuner.Oracle, default="bayesian"
        What proposes candidates.

        - "bayesian": Gaussian process with an upper confidence bound, after random trials: 3 for each
          parameter, or a third of all if that is fewer. Trials of a batch that have no score yet count as
          somewhat worse than expected; a proposal that is nearly equal to one of them (within a hundredth of
          each parameter's range), or has been tried, is replaced by a random one.
        - "hyperband": many candidates for few epochs, the best of them for more, up to the `epochs` of the
          estimator, which may be at the end of pipelines. Candidates continue from their weights; see
          `HalvingRandomSearchCV`.
        - "random": independent draws without repetition.
        - "grid": all combinations; all integers of a `randint`, at most 10 values of other distributions.

        An instance is copied; its objective has to be maximized. Trials that it has finished count. With a
        journal, it must have the same `seed` when the search is called again.
    n_trials : int, default=None
        The most candidates. None: 10 for "bayesian" and "random", else as many as the oracle proposes. The
        search ends earlier if the oracle does. If "hyperband" ends before the last round of a bracket, a
        `UserWarning` says how many candidates all brackets have.
    batch : int, default=8
        The most candidates at a time: large batches train faster, small ones let the oracle learn earlier.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; the estimator's own score if None. A score that is not finite counts as a failure.
    n_jobs : int, default=None
        Workers of joblib. 1, or None outside of `joblib.parallel_config`, trains in this process, which keeps
        all its cores busy; with more, each worker trains whole groups and returns scores and curves. A worker
        that is killed costs its own group, which is trained again. Under `joblib.parallel_config("dask")` or
        `("ray")`, the workers are those of a cluster, and None takes them all.
    refit : bool, str or callable, default=True
        As in scikit-learn: whether, and by which score, the best candidate is trained on all rows.
    cv : int, splitter or iterable, default=None
        As in scikit-learn; 5 folds if None.
    verbose : int, default=0
        From 1 on, a progress bar (lines in a log): the epochs of all fits, the best score so far and the time
        left; from 2 on, also what scikit-learn prints of each fit.
    pre_dispatch : int or str, default="2*n_jobs"
        Without effect, since all fits are evaluated at once; accepted as in scikit-learn.
    random_state : int, RandomState instance or None, default=None
        The seed of the oracle; None for an instance, which has a seed itself.
    error_score : "raise" or number, default=nan
        The score of a fit that fails, diverges or has a score that is not finite, with a `FitFailedWarning`.
        "raise" raises the error, with candidate and split in its notes. If no candidate has a finite score on
        all splits, candidates are compared by their means over some of the splits, with a warning.
    return_train_score : bool, default=False
        Whether to score the training rows too.
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
    cv_results_ : dict
        Has each candidate's `batch`, and with Hyperband `bracket`, `round`, `n_resources` (epochs) and
        `parent`, the position of the candidate of the same parameters in the round before, or -1. A candidate
        that the oracle proposes twice is trained once.
    epochs_saved_ : int
        With Hyperband, how many more epochs, over all fits, training anew in every round would have cost.

    Raises
    ------
    TypeError, ValueError
        If space and oracle contradict each other, a parameter of the space cannot be translated, or there are
        several scores and `refit` names none of them; then nothing was trained. If all candidates failed, or
        all of the first batch and `scoring` is a function, of which the number of scores is not known then.

    See Also
    --------
    GridSearchCV : Has the same further attributes and errors; its notes say how fits train.

    Notes
    -----
    `error_score` decides what a failure does; `max_retries_per_trial` and `max_consecutive_failed_trials` of
    an oracle have no effect.

    References
    ----------
    keras-tuner's documentation, "Oracles".
    L. Li et al., Hyperband: a novel bandit-based approach to hyperparameter optimization, JMLR 18, 2018.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import OracleSearchCV
    >>> from kerashp.spaces import loguniform
    >>> X, y = make_regression(200, 8, random_state=0)
    >>> regressor = KerasMLPRegressor(1, 8, epochs=9, random_state=0)
    >>> space = {"learning_rate": loguniform(1e-4, 1e-1)}
    >>> search = OracleSearchCV(regressor, space, oracle="hyperband", batch=9, cv=3, random_state=0)
    >>> search = search.fit(X, y / y.std())
    >>> search.cv_results_["n_resources"].tolist()[:13], search.epochs_saved_
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3], 36)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        **CONSTRAINTS,
        "space": [Mapping, list, tuple, HasMethods(["conditional_scope"]), None],
        "oracle": [StrOptions(set(NAMES)), HasMethods(["create_trial", "update_trial", "end_trial"])],
        "n_trials": [_COUNT, None],
        "batch": [_COUNT],
        "random_state": ["random_state"],
    }

    _decides_epochs, _without_epochs = "hyperband", "use another oracle"

    def __init__(
        self,
        estimator: Any,
        space: Any = None,
        *,
        oracle: Any = "bayesian",
        n_trials: int | None = None,
        batch: int = 8,
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
        loggers: Any = None,
    ):
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.oracle = oracle
        self.n_trials = n_trials
        self.batch = batch
        self.random_state = random_state
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout
        self.loggers = loggers

    def _resource(self, X: Any, params: dict[str, Any]) -> Resource | None:
        if self.oracle != "hyperband" and not hasattr(self.oracle, "hyperband_iterations"):
            return None
        most = getattr(self.oracle, "max_epochs", None)
        return self._epochs_resource(X, params, narrows=False, most=most)

    def _search(self, run: RunningSearch, evaluate_candidates: Callable[..., Any], callback_ctx: Any) -> None:
        check_single_score(self)
        adapter = OracleAdapter(self._new_oracle(run.resource))
        try:
            self._propose(run, adapter, evaluate_candidates)
        finally:
            adapter.close()

    def _propose(
        self, run: RunningSearch, adapter: OracleAdapter, evaluate_candidates: Callable[..., dict[str, Any]]
    ) -> None:
        positions: dict[str, int] = {}  # of trials among the candidates
        results: dict[str, Any] = {}
        scores = np.array([])
        batch = 0
        while not adapter.stopped and adapter.n_trials != self.n_trials:
            n_left = self.batch if self.n_trials is None else self.n_trials - adapter.n_trials
            proposals = adapter.batch(min(self.batch, n_left))
            if not proposals:
                continue
            positions |= {
                proposal.trial_id: index for index, proposal in enumerate(proposals, len(positions))
            }
            candidates = [self._with_epochs(proposal.params, proposal.epochs) for proposal in proposals]
            results = evaluate_candidates(candidates, more_results=_columns(proposals, batch, positions))
            scores = single_score(self, results)["mean_test_score"]
            if len(scores) < len(positions):  # the search has been stopped
                return
            adapter.report(proposals, scores[-len(proposals) :].tolist())
            batch += 1
        self._check_some_scored(run, scores, len(positions))
        if adapter.max_epochs:
            self._warn_of_few_epochs(adapter, max(results.get("n_resources", [0])))

    def _warn_of_few_epochs(self, adapter: OracleAdapter, longest: int) -> None:
        """Warn where Hyperband ended before its best candidates got all epochs."""
        if adapter.ran_out and longest < adapter.max_epochs:
            warnings.warn(
                "OracleSearchCV: hyperband ran out of different candidates; none was trained for more than "
                f"{longest} of {adapter.max_epochs} epochs. Use HalvingGridSearchCV, or oracle='grid'",
                stacklevel=2,
            )
        elif adapter.was_cut_short and not adapter.ran_out:
            n_trials, most, epochs = adapter.n_trials, adapter.n_of_all_brackets, adapter.max_epochs
            warnings.warn(
                f"OracleSearchCV: hyperband ended after {n_trials} candidates, before the last round of a "
                f"bracket; the longest training had {longest} of {epochs} epochs. All brackets have {most} "
                f"candidates: set n_trials={most}, or use fewer epochs or another oracle",
                stacklevel=2,
            )

    def _new_oracle(self, resource: Resource | None) -> Any:
        """An oracle that no other search has."""
        if not isinstance(self.oracle, str):
            return self._copied_oracle()
        if self.space is None:
            raise ValueError(f"OracleSearchCV: oracle={self.oracle!r} needs a space; got space=None")
        seed = check_random_state(self.random_state).randint(1, np.iinfo(np.int32).max)
        max_epochs = self._max_epochs(resource) if self.oracle == "hyperband" else None
        return new_oracle(self.oracle, self.space, self.n_trials, int(seed), max_epochs)

    def _copied_oracle(self) -> Any:
        if self.random_state is not None:
            raise ValueError(
                f"OracleSearchCV: random_state={self.random_state!r} has no effect on an instance of an "
                "oracle, which has a seed itself. Pass the seed to the oracle, and leave random_state=None"
            )
        oracle = joined_oracle(self.oracle, self.space)
        if self.n_trials is None and not is_bounded(oracle):
            raise ValueError(
                f"OracleSearchCV: {type(oracle).__name__} proposes trials without end; set n_trials, or its "
                "max_trials"
            )
        return oracle


def _columns(proposals: list[Proposal], batch: int, positions: Mapping[str, int]) -> dict[str, list[Any]]:
    """The columns of `cv_results_` that scikit-learn's searches lack."""
    columns: dict[str, list[Any]] = {"batch": [batch] * len(proposals)}
    if proposals[0].epochs is None:
        return columns
    return columns | {
        "bracket": [proposal.bracket for proposal in proposals],
        "round": [proposal.round for proposal in proposals],
        "n_resources": [proposal.epochs for proposal in proposals],
        "parent": [
            -1 if proposal.parent is None else positions.get(proposal.parent, -1) for proposal in proposals
        ],
    }
