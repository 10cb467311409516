"""A search whose candidates an oracle of keras-tuner proposes."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_random_state

from kerashp._compat.sklearn import BaseSearchCV, HasMethods, Interval, StrOptions, is_scorer, row_count
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost, path_to
from kerashp.estimators._training.convergence import epochs_of
from kerashp.model_selection._base import CONSTRAINTS, TogetherMixin, check_one_decides, deciding
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._fits.task import Resource
from kerashp.model_selection._oracle_adapter import NAMES, Proposal, Proposer, ends, joined, named

_COUNT = Interval(Integral, 1, None, closed="left")


class OracleSearchCV(TogetherMixin):
    """An oracle of keras-tuner proposes candidates; `batch` of them at a time train together, on all folds.

    Mean test scores go back to the oracle, which proposes the next ones by them. A candidate that failed is
    told as a failed trial. The oracle prints nothing and writes no files.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    space : dict, list of dict, keras_tuner.HyperParameters or None, default=None
        What to search, by parameter: lists or distributions that `kerashp.spaces.to_hyperparameters` knows.
        None: the hyperparameters of an oracle that is given. It may have some, and `space` others.
    oracle : {"bayesian", "hyperband", "random", "grid"} or keras_tuner.Oracle, default="bayesian"
        Who proposes.

        - "bayesian": Gaussian process with an upper confidence bound, after random trials: 3 for each
          parameter, or a third of all if that is fewer. Trials of a batch that have no score yet count as
          somewhat worse than expected; a proposal that is nearly one of them (within a hundredth of each
          parameter's range), or has been tried, gives way to a random one.
        - "hyperband": many candidates for few epochs, the best of them for more; `epochs` of the estimator,
          alone or at the end of pipelines, is the most. Those that go on do so from their weights; see
          `HalvingRandomSearchCV`.
        - "random": independent draws, none twice.
        - "grid": all combinations; of a distribution all integers of a `randint`, else 10 values or fewer.

        An instance is copied; its objective is to be maximized. Trials that it has finished count. A journal
        needs it to have the same `seed` when the search is called again.
    n_trials : int, default=None
        The most candidates. None: 10 for "bayesian" and "random", else as many as the oracle has in it. A
        search ends before where the oracle does. Where "hyperband" ends within a bracket, whose best would
        have gone on to more epochs, a `UserWarning` says how many candidates all brackets have.
    batch : int, default=8
        The most candidates at a time: more train faster together, fewer let the oracle learn earlier.
    random_state : int, RandomState instance or None, default=None
        Seed of the oracle. An instance has its own.
    others
        See `GridSearchCV`, also for the other attributes, errors and notes.

    Attributes
    ----------
    cv_results_ : dict
        Has each candidate's `batch`, and with Hyperband `bracket`, `round`, `n_resources` (epochs) and
        `parent`, the position of the candidate of the same parameters in the round before, or -1. What an
        oracle proposes twice is in it, and is trained, once.
    epochs_saved_ : int
        With Hyperband, how many epochs, over all fits, training anew in every round would have cost more.

    Raises
    ------
    TypeError, ValueError
        If space and oracle do not fit together, a part of the space cannot be translated, or there are
        several scores and `refit` names none of them, before anything is trained. If all candidates failed,
        or all of the first batch where `scoring` is a function: how many scores it returns is not known yet.

    Notes
    -----
    `error_score` decides what a failure does; `max_retries_per_trial` and `max_consecutive_failed_trials` of
    an oracle make no difference.

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

    _most_epochs: int | None = None  # of the estimator, where it is one of kerashp's
    _like: Any = None  # the scores of a fit that did not fail

    _varied = True

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

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """As `GridSearchCV.fit`. With Hyperband, `epochs` is none of `params`."""
        if self.oracle != "hyperband" and not hasattr(self.oracle, "hyperband_iterations"):
            return super().fit(X, y, **params)
        told = [name for name in params if name.rpartition("__")[2] == "epochs"]
        if told:
            raise ValueError(
                f"OracleSearchCV: hyperband decides for how many epochs to train; got {told[0]}="
                f"{params[told[0]]!r} in fit. Set the estimator's epochs, the most that it may be, instead"
            )
        if isinstance(innermost(self.estimator), BaseKerasEstimator):
            self._most_epochs = epochs_of(innermost(self.estimator), row_count(X))
            most = getattr(self.oracle, "max_epochs", self._most_epochs)
            self._goes_on_by = Resource(path_to(self.estimator, "epochs"), most, narrows=False)
        return super().fit(X, y, **params)

    def _translation(self, space: Any) -> Any:
        return space  # which is keras-tuner's own

    def _search(self, evaluate_candidates: Callable[..., Any], callback_ctx: Any) -> None:
        check_one_decides(self)
        proposer = Proposer(self._own_oracle())
        try:
            self._propose(proposer, evaluate_candidates)
        finally:
            proposer.close()

    def _propose(self, proposer: Proposer, evaluate_candidates: Callable[..., dict[str, Any]]) -> None:
        places: dict[str, int] = {}  # of trials among the candidates
        results: dict[str, Any] = {}
        scores = np.array([])
        batch = 0
        while not proposer.stopped and proposer.n_asked != self.n_trials:
            left = self.batch if self.n_trials is None else self.n_trials - proposer.n_asked
            proposals = proposer.batch(min(self.batch, left))
            if not proposals:
                continue
            places |= {one.trial_id: place for place, one in enumerate(proposals, len(places))}
            candidates = [self._candidate(one) for one in proposals]
            results = evaluate_candidates(candidates, more_results=_columns(proposals, batch, places))
            scores = deciding(self, results)["mean_test_score"]
            if len(scores) < len(places):  # the search has been stopped
                return
            proposer.tell(proposals, scores[-len(proposals) :].tolist())
            batch += 1
        if self._like is None or not np.isfinite(scores).any():
            raise ValueError(
                f"OracleSearchCV: all {len(places)} candidates failed; the warnings before this say why, and "
                "error_score='raise' raises the first error"
            )
        if proposer.max_epochs:
            self._warn_of_few_epochs(proposer, max(results.get("n_resources", [0])))

    def _warn_of_few_epochs(self, proposer: Proposer, longest: int) -> None:
        """Say so where Hyperband ended before its best candidates were trained to the end."""
        if proposer.ran_out and longest < proposer.max_epochs:
            warnings.warn(
                "OracleSearchCV: hyperband ran out of different candidates; none was trained for more than "
                f"{longest} of {proposer.max_epochs} epochs. Use HalvingGridSearchCV, or oracle='grid'",
                stacklevel=2,
            )
        elif proposer.cut_short and not proposer.ran_out:
            asked, most, epochs = proposer.n_asked, proposer.n_of_all_brackets, proposer.max_epochs
            warnings.warn(
                f"OracleSearchCV: hyperband ended after {asked} candidates, within a bracket of which more "
                f"were to go on; the longest training had {longest} of {epochs} epochs. All brackets have "
                f"{most} candidates: set n_trials={most}, or use fewer epochs or another oracle",
                stacklevel=2,
            )

    def _own_oracle(self) -> Any:
        """The oracle, which is nobody else's."""
        if not isinstance(self.oracle, str):
            return self._joined_oracle()
        if self.space is None:
            raise ValueError(f"OracleSearchCV: oracle={self.oracle!r} needs a space, got space=None")
        seed = check_random_state(self.random_state).randint(1, np.iinfo(np.int32).max)
        max_epochs = self._max_epochs() if self.oracle == "hyperband" else None
        return named(self.oracle, self.space, self.n_trials, int(seed), max_epochs)

    def _joined_oracle(self) -> Any:
        if self.random_state is not None:
            raise ValueError(
                f"OracleSearchCV: got random_state={self.random_state!r} for an oracle that has a seed of"
                " its own; give the seed to the oracle, and leave random_state None"
            )
        oracle = joined(self.oracle, self.space)
        if self.n_trials is None and not ends(oracle):
            raise ValueError(
                f"OracleSearchCV: {type(oracle).__name__} does not end by itself; set n_trials, or its"
                " max_trials"
            )
        return oracle

    def _max_epochs(self) -> int:
        own = self.estimator.get_params()[self._epochs_name()]
        epochs = own if self._most_epochs is None else self._most_epochs
        if epochs < 2:
            raise ValueError(
                f"OracleSearchCV: hyperband trains candidates for parts of the estimator's epochs; got "
                f"epochs={epochs}. Set it to the most that a candidate is to be trained"
            )
        return int(epochs)

    def _candidate(self, proposal: Proposal) -> dict[str, Any]:
        if proposal.epochs is None:
            return proposal.params
        name = self._epochs_name()
        if name in proposal.params:
            raise ValueError(f"OracleSearchCV: hyperband decides {name!r}; leave it out of space")
        return {**proposal.params, name: proposal.epochs}

    def _epochs_name(self) -> str:
        """What the estimator's parameter is called that says for how long to train."""
        name = path_to(self.estimator, "epochs")
        if name not in self.estimator.get_params():
            raise ValueError(
                f"OracleSearchCV: hyperband decides for how many epochs to train, but {self.estimator!r} has "
                f"no parameter {name!r}; use another oracle"
            )
        return name

    def _received(self, results: list[FitResult]) -> list[FitResult]:
        """Lets the search go on where all of a batch failed, which scikit-learn takes for the end."""
        results = super()._received(results)
        done = [result.test_scores for result in results if result.fit_error is None]
        self._like = done[0] if done else self._like
        unknown = self._like is None and callable(self.scoring) and not is_scorer(self.scoring)
        if done or unknown:
            return results
        reason = str(results[-1].fit_error).strip().splitlines()[-1]
        warnings.warn(
            f"All {len(results)} fits of a batch failed, the last by: {reason}",
            FitFailedWarning,
            stacklevel=2,
        )
        return [replace(result, fit_error=None, **self._error_scores(result)) for result in results]

    def _error_scores(self, result: FitResult) -> dict[str, Any]:
        """One for each of the scores, where a function has shown how many there are."""
        if not isinstance(self._like, dict):
            return {}
        names = ["test_scores"] if result.train_scores is None else ["test_scores", "train_scores"]
        return {name: dict.fromkeys(self._like, self.error_score) for name in names}


def _columns(proposals: list[Proposal], batch: int, places: Mapping[Any, int]) -> dict[str, list[Any]]:
    """Of `cv_results_`, beyond scikit-learn's."""
    columns: dict[str, list[Any]] = {"batch": [batch] * len(proposals)}
    if proposals[0].epochs is None:
        return columns
    return columns | {
        "bracket": [one.bracket for one in proposals],
        "round": [one.round for one in proposals],
        "n_resources": [one.epochs for one in proposals],
        "parent": [places.get(one.parent, -1) for one in proposals],
    }
