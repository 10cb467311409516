"""A search whose candidates an Optuna study proposes."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state

from kerashp._compat.sklearn import BaseSearchCV, HasMethods, Interval
from kerashp.model_selection._base import CONSTRAINTS, check_single_score, single_score
from kerashp.model_selection._batch_search import BatchSearchMixin
from kerashp.model_selection._fits.seeds import seed_of
from kerashp.model_selection._fits.task import Resource
from kerashp.model_selection._optuna.adapter import CandidateScores, Proposal, StudyAdapter
from kerashp.model_selection._optuna.halving import bounded, halving_of
from kerashp.model_selection._optuna.studies import (
    StudyArguments,
    check_distributions,
    default_sampler,
    ends_by_itself,
    opened_study,
    quiet_optuna,
)
from kerashp.model_selection._optuna.trials import score_attributes
from kerashp.model_selection._search_state import RunningSearch
from kerashp.spaces._optuna_space import OptunaSpace
from kerashp.spaces._search_space import search_space

_COUNT = Interval(Integral, 1, None, closed="left")
_DEFAULT_BATCHES = 4


class OptunaSearchCV(BatchSearchMixin):
    """A sampler of Optuna proposes candidates; `batch` of them at a time train together, on all folds.

    The study gets the mean test scores, from which the sampler proposes the next candidates. A candidate that
    failed is a failed trial, unless `error_score` is a number, which is its score then; one that the sampler
    proposes twice is trained once. With a pruner, the candidates of a batch train for some of the epochs, and
    the better ones go on.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    space : dict, list of dict or keras_tuner.HyperParameters
        What to search, by parameter: lists, ranges, the distributions that
        `kerashp.spaces.to_hyperparameters` supports, and those of `optuna.distributions`. Of several dicts,
        the sampler chooses one, too.
    sampler : optuna.samplers.BaseSampler, default=None
        What proposes candidates; it is copied. None: a `TPESampler` with `constant_liar=True`, so that the
        candidates of a batch differ, and a quarter of the trials, at most 10, at random. With a journal, a
        sampler needs a seed.
    pruner : SuccessiveHalvingPruner or HyperbandPruner of optuna.pruners, default=None
        After how many epochs candidates are compared; see the notes. None: all train for all epochs.
    n_trials : int, default=None
        The most trials of the study, those included that it had before. None: four batches, or as many as
        the sampler proposes if it is a `GridSampler` or a `BruteForceSampler`.
    batch : int, default=8
        The most candidates at a time: large batches train faster, small ones let the sampler learn earlier.
    study : optuna.Study, default=None
        The study to add trials to, with its sampler and pruner; it has to maximize. Of its pruners,
        `MedianPruner`, which Optuna gives each study, has no effect.
    storage : str or optuna.storages.BaseStorage, default=None
        Where the study is kept, such as "sqlite:///study.db"; None: in memory.
    study_name : str, default=None
        The name of the study. If the storage has a study of this name, the search continues it. None: a new
        study for each call of `fit`, which nested cross-validation needs.
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
        The seed of the default sampler; None with another, which has a seed itself.
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
    study_ : optuna.Study
        The study, for `optuna.visualization` and the like. Trials have the scores of each split and the
        seconds as user attributes. `to_study` makes one with learning curves.
    cv_results_ : dict
        Has each candidate's `batch`, and with a pruner `bracket` (0 but for Hyperband), `round`,
        `n_resources` (epochs) and `parent`, the position of the same candidate in the round before, or -1.
    epochs_saved_ : int
        With a pruner, how many more epochs, over all fits, training anew in every round would have cost.

    Raises
    ------
    ImportError
        If Optuna is not installed (the extra `optuna`).
    TypeError, ValueError
        If arguments contradict each other, a parameter of the space cannot be translated, the storage cannot
        be opened, the study has trials with another kind of distribution of a parameter, or there are several
        scores and `refit` names none of them; then nothing was trained. If all candidates failed, or
        all of the first batch and `scoring` is a function, of which the number of scores is not known then.
        If the study has `n_trials` trials already, and none of them is of this space.

    See Also
    --------
    GridSearchCV : Has the same further attributes and errors; its notes say how fits train.
    OracleSearchCV : Has the oracles of keras-tuner.

    Notes
    -----
    A study that had trials before, by `study` or by `storage` and `study_name`, informs the sampler. The best
    of these trials is trained again with the first batch, so that `best_params_` is the best of the whole
    study; otherwise `cv_results_` has the candidates of this call alone. With `journal`, it has those of all
    calls of this search, and none is trained twice: only then are the results those of an uninterrupted
    search. If a search is stopped by its timeout, Ctrl-C or an error, trials that were not finished end as
    failed ones, which do not count.

    If there are several scores, the study maximizes the one that `refit` names. With `NSGAIISampler` or
    `NSGAIIISampler`, or a study of several objectives, it maximizes all of them, and `refit` chooses the
    candidate to refit; `study_.best_trials` are those that no other one dominates.

    With a pruner, each batch trains for the epochs of the first rung, then the better ones for those of the
    next one, until the estimator's epochs. At a rung, all candidates of a batch get their scores first; then
    those go on that are among the best 1/`reduction_factor` of all candidates that have reached the rung so
    far, and at least the best of fewer, as in asynchronous successive halving. They continue from their
    weights. The others are pruned trials. The brackets of Hyperband are those that Optuna gives to trials.

    `one_minus_loguniform` is the parameter "1 - ..." of the study. Values that Optuna cannot hold, such as
    tuples and functions, are the parameter "position of ...".

    References
    ----------
    T. Akiba et al., Optuna: a next-generation hyperparameter optimization framework, KDD 2019.
    S. Watanabe, Tree-structured Parzen estimator: understanding its algorithm components and their roles for
    better empirical performance, 2023.
    L. Li et al., A system for massively parallel hyperparameter tuning, MLSys 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import OptunaSearchCV
    >>> from kerashp.spaces import loguniform
    >>> X, y = make_regression(200, 8, random_state=0)
    >>> regressor = KerasMLPRegressor(1, 8, epochs=9, random_state=0)
    >>> space = {"learning_rate": loguniform(1e-4, 1e-1), "n_neurons": range(4, 33, 4)}
    >>> search = OptunaSearchCV(regressor, space, n_trials=12, batch=6, cv=3, random_state=0)
    >>> search = search.fit(X, y / y.std())
    >>> search.cv_results_["batch"].tolist(), search.study_.best_params == search.best_params_
    ([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        **CONSTRAINTS,
        "space": [Mapping, list, tuple, HasMethods(["conditional_scope"])],
        "sampler": [HasMethods(["sample_relative", "sample_independent"]), None],
        "pruner": [HasMethods(["prune"]), None],
        "n_trials": [_COUNT, None],
        "batch": [_COUNT],
        "study": [HasMethods(["ask", "tell"]), None],
        "storage": [str, HasMethods(["create_new_study"]), None],
        "study_name": [str, None],
        "random_state": ["random_state"],
    }

    _decides_epochs, _without_epochs = "the pruner", "leave pruner=None"

    study_: Any

    def __init__(
        self,
        estimator: Any,
        space: Any,
        *,
        sampler: Any = None,
        pruner: Any = None,
        n_trials: int | None = None,
        batch: int = 8,
        study: Any = None,
        storage: Any = None,
        study_name: str | None = None,
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
        self.sampler = sampler
        self.pruner = pruner
        self.n_trials = n_trials
        self.batch = batch
        self.study = study
        self.storage = storage
        self.study_name = study_name
        self.random_state = random_state
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout
        self.loggers = loggers

    def _arguments(self) -> StudyArguments:
        return StudyArguments(
            self.study, self.sampler, self.pruner, self.storage, self.study_name, self.random_state
        )

    def _resource(self, X: Any, params: dict[str, Any]) -> Resource | None:
        if self._arguments().halving_pruner() is None:
            return None
        return self._epochs_resource(X, params, narrows=True)

    def _search(self, run: RunningSearch, evaluate_candidates: Callable[..., Any], callback_ctx: Any) -> None:
        arguments = self._arguments()
        arguments.check()
        objectives = arguments.objectives(self.scoring)
        if not objectives:
            check_single_score(self)
        with closing(self._adapter(run, arguments, objectives)) as adapter:
            self._propose(run, adapter, objectives, evaluate_candidates)

    def _adapter(self, run: RunningSearch, arguments: StudyArguments, objectives: list[str]) -> StudyAdapter:
        """The study, which is created or opened, ready to be asked."""
        space = OptunaSpace(search_space(self.space))
        pruner = arguments.halving_pruner()
        if pruner is not None:
            if objectives:
                raise ValueError(
                    f"OptunaSearchCV: {type(pruner).__name__} compares candidates by one score, but the "
                    f"study has the objectives {objectives}. Leave pruner=None, or maximize one of them"
                )
            most = self._max_epochs(run.resource)
            pruner = bounded(pruner, most)
        seed = int(check_random_state(self.random_state).randint(1, np.iinfo(np.int32).max))
        name = None if self.journal is None else run.search_id
        sampler_of = None
        if arguments.has_default_sampler:  # anew for each batch, so that a search continues with any of them
            sampler_of = partial(_sampler_of_batch, seed, self._most_trials())
        with quiet_optuna(self.verbose > 0):
            sampler = sampler_of(0) if sampler_of is not None else self.sampler
            self.study_ = opened_study(arguments, sampler, pruner, objectives)
        check_distributions(self.study_, space.distributions())
        halving = None if pruner is None else halving_of(self.study_, most)
        decisive = objectives.index(self.refit) if self.refit in objectives else 0
        return StudyAdapter(self.study_, space, halving, name, sampler_of, decisive)

    def _most_trials(self) -> float:
        if self.n_trials is not None:
            return self.n_trials
        sampler = self.sampler if self.study is None else self.study.sampler
        return math.inf if ends_by_itself(sampler) else _DEFAULT_BATCHES * self.batch

    def _propose(
        self,
        run: RunningSearch,
        adapter: StudyAdapter,
        objectives: Sequence[str],
        evaluate_candidates: Callable[..., dict[str, Any]],
    ) -> None:
        most = self._most_trials()
        for batch in itertools.count():
            n_left = max(0, most - adapter.n_trials)
            proposals = adapter.batch(int(min(self.batch, n_left)))
            for number in itertools.count():
                if not proposals:
                    break
                candidates = [self._with_epochs(each.params, each.epochs[number]) for each in proposals]
                columns = self._columns(proposals, batch, number)
                results = evaluate_candidates(candidates, more_results=columns)
                finished = run.evaluation.finished[-len(proposals) :]
                ended = list(itertools.compress(proposals, finished))
                proposals = adapter.report(ended, number, self._scores(results, objectives, ended))
                if not all(finished):  # the search has been stopped
                    return
            if adapter.stopped or adapter.n_trials >= most:
                break
        if run.results is None:
            raise ValueError(
                f"OptunaSearchCV: the study {self.study_.study_name!r} has {adapter.n_trials} trials already,"
                f" and n_trials={self.n_trials} allows no more. Raise n_trials, or pass another study_name"
            )
        scores = [found.objectives[0] for found in self._scores(run.results, objectives)]
        self._check_some_scored(run, np.array(scores), len(scores))

    def _scores(
        self, results: dict[str, Any], objectives: Sequence[str], ended: Sequence[Proposal] | None = None
    ) -> list[CandidateScores]:
        """The scores of the last candidates, which are those of the proposals, or of all."""
        if objectives:
            means = [results[f"mean_test_{name}"] for name in objectives]
        else:
            means = [single_score(self, results)["mean_test_score"]]
        n_candidates = len(results["params"])
        rows = range(0 if ended is None else n_candidates - len(ended), n_candidates)
        for row, proposal in zip(rows, ended or (), strict=False):
            proposal.position = row
        return [
            CandidateScores(tuple(float(mean[row]) for mean in means), score_attributes(results, row))
            for row in rows
        ]

    def _columns(self, proposals: Sequence[Proposal], batch: int, number: int) -> dict[str, list[Any]]:
        """The columns of `cv_results_` that scikit-learn's searches lack."""
        columns: dict[str, list[Any]] = {"batch": [batch] * len(proposals)}
        if proposals[0].epochs == (None,):
            return columns
        return columns | {
            "bracket": [proposal.bracket for proposal in proposals],
            "round": [number] * len(proposals),
            "n_resources": [proposal.epochs[number] for proposal in proposals],
            "parent": [proposal.position for proposal in proposals],
        }


def _sampler_of_batch(seed: int, n_trials: float, batch: int) -> Any:
    return default_sampler(seed_of(seed, batch), n_trials)
