"""kerashp's sides of benchmarks/quality.py: for each budget a search that ends, with the refit, within it."""

import time
from collections.abc import Callable
from typing import Any

from quality_data import EPOCHS, N_FOLDS, PATIENCE, SPACE, Data, Outcome, network

from kerashp import KerasClassifier, KerasRegressor
from kerashp.model_selection import (
    CoarseToFineSearchCV,
    HalvingRandomSearchCV,
    OptunaSearchCV,
    OracleSearchCV,
    RandomizedSearchCV,
)

REFIT = 2.5  # seconds for the refit
REFITS, SHARE = 10.0, 0.2  # seconds for the refits of an ensemble, and their largest share of the budget
N_MEMBERS = 5  # picks
MANY = 60  # candidates


def n_candidates(budget: float) -> int:
    """About the number of candidates of a random search on two slow cores; `timeout` ends longer searches.

    More than in proportion to the time, since some depths are compiled separately.
    """
    return round(12 * (budget / 15) ** 1.35)


def random(estimator: Any, n_iter: int) -> Any:
    return RandomizedSearchCV(estimator, SPACE, n_iter=n_iter)


def halving(estimator: Any, n_iter: int) -> Any:
    """Iterations of 11, 33 and 99 epochs; fewer candidates if the last one takes most of the time."""
    return HalvingRandomSearchCV(
        estimator,
        SPACE,
        n_candidates=3 * n_iter // (4 if n_iter < MANY else 2),
        min_resources=11,
        return_train_score=False,
    )


def coarse_to_fine(estimator: Any, n_iter: int) -> Any:
    n_rounds = 2 if n_iter < MANY else 3
    return CoarseToFineSearchCV(estimator, SPACE, n_iter=n_iter // n_rounds, n_rounds=n_rounds)


def bayesian(estimator: Any, n_iter: int) -> Any:
    """Half as many candidates: many are at the ends of the space, where networks are widest."""
    return OracleSearchCV(estimator, SPACE, n_trials=n_iter // 2, batch=max(5, n_iter // 8))


def tree_parzen(estimator: Any, n_iter: int) -> Any:
    return OptunaSearchCV(estimator, SPACE, n_trials=2 * n_iter // 3, batch=max(4, n_iter // 6))


def tree_parzen_pruned(estimator: Any, n_iter: int) -> Any:
    """Compared after 11 and 33 epochs, as by `halving`."""
    import optuna

    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=11, reduction_factor=3)
    return OptunaSearchCV(estimator, SPACE, pruner=pruner, n_trials=n_iter, batch=max(6, n_iter // 4))


def searched(make: Callable[[Any, int], Any], data: Data, budget: float) -> Outcome:
    """The best candidate, refitted on all rows, and the ensemble."""
    began = time.perf_counter()
    kind = KerasRegressor if data.is_regression else KerasClassifier
    estimator = kind(network, epochs=EPOCHS, early_stopping=True, patience=PATIENCE, random_state=data.seed)
    search = make(estimator, n_candidates(budget))
    search.set_params(
        cv=N_FOLDS,
        scoring="neg_mean_squared_error" if data.is_regression else "neg_log_loss",
        refit_epochs="cv",
        random_state=data.seed,
        timeout=budget - REFIT - min(REFITS, SHARE * budget),
    )
    try:
        search.fit(data.X, data.y)
    except TimeoutError:
        return Outcome(budget, {}, {}, 0, {})
    ended = {"winner": time.perf_counter() - began}
    predictors = {"winner": search.predict}
    predictors["ensemble"] = search.ensemble(N_MEMBERS).predict
    ended["ensemble"] = time.perf_counter() - began
    found = len(search.cv_results_["params"])
    errors = {name: data.error(predict) for name, predict in predictors.items()}
    return Outcome(budget, errors, ended, found, search.best_params_)
