"""Rounds of random search, each in a narrower space around the best candidates so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import ParameterSampler
from sklearn.utils import check_random_state

from kerashp._compat.sklearn import BaseSearchCV, Interval
from kerashp.model_selection._base import (
    CONSTRAINTS,
    PopulationSearchMixin,
    check_single_score,
    single_score,
)
from kerashp.model_selection._search_state import RunningSearch
from kerashp.spaces import zoom
from kerashp.spaces._search_space import single_space

_COUNT = Interval(Integral, 1, None, closed="left")


@dataclass(frozen=True)
class Round:
    """One round of a search from coarse to fine.

    Attributes
    ----------
    space : dict from str to distribution or list
        The space from which its candidates were drawn.
    candidates : range
        The positions of its candidates in `cv_results_`.
    best_params : dict
        The best candidate so far, in this round or in one before it.
    best_score : float
        Its mean test score.

    Examples
    --------
    >>> from kerashp.model_selection import Round
    >>> one = Round({"n_neurons": [4, 8]}, range(2), best_params={"n_neurons": 8}, best_score=0.9)
    >>> f"candidates {one.candidates.start} to {one.candidates.stop - 1}, the best {one.best_score}"
    'candidates 0 to 1, the best 0.9'
    """

    space: dict[str, Any]
    candidates: range
    best_params: dict[str, Any]
    best_score: float


class CoarseToFineSearchCV(PopulationSearchMixin):
    r"""Rounds of random search, each zoomed around the best candidates of all rounds so far.

    Round $k = 0, 1, \ldots$ draws from a space that is $\mathrm{shrink}^k$ times as wide as the first, each
    parameter on its own scale, centred on the median of the `top` best candidates and inside of the first
    space; see `kerashp.spaces.zoom`. The candidates of a round train together, on all folds.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    space : dict or keras_tuner.HyperParameters
        What to draw from, by parameter: lists, or distributions that `kerashp.spaces.zoom` supports;
        `HyperParameters` without conditions are translated, see `kerashp.spaces.from_hyperparameters`.
    n_iter : int, default=10
        The number of candidates of a round.
    n_rounds : int, default=3
        The number of rounds; a search of 1 round is a `RandomizedSearchCV`.
    shrink : float in (0, 1], default=0.5
        The width of a round's space as a share of the space of the round before.
    top : int, default=3
        How many of the best candidates to zoom around.
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
        Draws the candidates.
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
    rounds_ : list of Round
        The space and the best candidate of each round; `cv_results_["round"]` is the round of a candidate.

    Raises
    ------
    TypeError, ValueError
        If a parameter of the space cannot be narrowed, or there are several scores and `refit` names none of
        them. Then nothing was trained.

    See Also
    --------
    GridSearchCV : Has the same further attributes and errors; its notes say how fits train.

    References
    ----------
    I. Goodfellow, Y. Bengio and A. Courville, Deep Learning, 2016, section 11.4.3.
    A. Géron, Hands-On Machine Learning, ch. 10, "Fine-Tuning Neural Network Hyperparameters".

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import CoarseToFineSearchCV
    >>> X, y = make_regression(200, 8, random_state=0)
    >>> regressor = KerasMLPRegressor(1, 8, epochs=20, random_state=0)
    >>> space = {"learning_rate": loguniform(1e-4, 1e-1)}
    >>> search = CoarseToFineSearchCV(regressor, space, n_iter=4, n_rounds=2, cv=3, random_state=0)
    >>> rounds = search.fit(X, y / y.std()).rounds_
    >>> [float(one.space["learning_rate"].support()[1] / one.space["learning_rate"].support()[0]).__round__()
    ...  for one in rounds]
    [1000, 32]
    >>> rounds[1].best_score >= rounds[0].best_score
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        **CONSTRAINTS,
        "space": [Mapping],
        "n_iter": [_COUNT],
        "n_rounds": [_COUNT],
        "shrink": [Interval(Real, 0, 1, closed="right")],
        "top": [_COUNT],
        "random_state": ["random_state"],
    }

    _widths_vary = True

    def __init__(
        self,
        estimator: Any,
        space: Any,
        *,
        n_iter: int = 10,
        n_rounds: int = 3,
        shrink: float = 0.5,
        top: int = 3,
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
        self.n_iter = n_iter
        self.n_rounds = n_rounds
        self.shrink = shrink
        self.top = top
        self.random_state = random_state
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout
        self.loggers = loggers

    def _sklearn_space(self) -> Any:
        return single_space("CoarseToFineSearchCV", self.space)

    def _search(self, run: RunningSearch, evaluate_candidates: Callable[..., Any], callback_ctx: Any) -> None:
        random = check_random_state(self.random_state)
        space = dict(self.space)
        _check_space(space)
        check_single_score(self)
        self.rounds_: list[Round] = []
        for number in range(self.n_rounds):
            candidates = list(ParameterSampler(space, self.n_iter, random_state=random))
            results = evaluate_candidates(candidates, more_results={"round": [number] * len(candidates)})
            ranked = single_score(self, results)
            best = int(np.argmin(ranked["rank_test_score"]))
            score = float(ranked["mean_test_score"][best])
            indices = np.flatnonzero(results["round"] == number)
            positions = range(indices[0], indices[-1] + 1)
            self.rounds_.append(Round(space, positions, ranked["params"][best], score))
            if number + 1 < self.n_rounds:
                space = zoom(self.space, ranked, self.shrink ** (number + 1), n_best=self.top)


def _check_space(space: dict[str, Any]) -> None:
    """Let `zoom` refuse a space that it cannot narrow, before anything is trained."""
    (candidate,) = ParameterSampler(space, 1, random_state=0)
    zoom(space, {"params": [candidate], "mean_test_score": [0.0], "rank_test_score": [1]})
