"""Our sides of benchmarks/quality.py: a search for each budget, which ends, refitted, before it is over."""

import time
from collections.abc import Callable
from typing import Any

from quality_data import EPOCHS, N_FOLDS, PATIENCE, SPACE, Data, Outcome, network

from kerashp import KerasClassifier, KerasRegressor
from kerashp.model_selection import (
    CoarseToFineSearchCV,
    HalvingRandomSearchCV,
    OracleSearchCV,
    RandomizedSearchCV,
)

# As many candidates as two slow cores try in a second of the budget; `timeout` ends what takes longer.
CANDIDATES = {"housing": 0.6, "digits": 1.5}
RESERVE, LEAST_RESERVE = 0.12, 2.0  # left to the refits: a share of the budget, and seconds
N_MEMBERS = 10


def random(estimator: Any, n_iter: int) -> Any:
    return RandomizedSearchCV(estimator, SPACE, n_iter=n_iter)


def halving(estimator: Any, n_iter: int) -> Any:
    """Of three times as many candidates, since few of them are trained to the end."""
    resources = {"n_candidates": 3 * n_iter, "min_resources": 11}
    return HalvingRandomSearchCV(estimator, SPACE, return_train_score=False, **resources)


def coarse_to_fine(estimator: Any, n_iter: int) -> Any:
    return CoarseToFineSearchCV(estimator, SPACE, n_iter=-(-n_iter // 3))


def bayesian(estimator: Any, n_iter: int) -> Any:
    return OracleSearchCV(estimator, SPACE, n_trials=n_iter, batch=max(8, n_iter // 6))


def searched(make: Callable[[Any, int], Any], data: Data, budget: float) -> Outcome:
    """The winner, refitted to all rows, and the ensemble."""
    began = time.perf_counter()
    kind = KerasRegressor if data.is_regression else KerasClassifier
    estimator = kind(network, epochs=EPOCHS, early_stopping=True, patience=PATIENCE, random_state=data.seed)
    search = make(estimator, max(4, round(CANDIDATES[data.name] * budget)))
    search.set_params(
        cv=N_FOLDS,
        scoring="neg_mean_squared_error" if data.is_regression else "neg_log_loss",
        refit_epochs="cv",
        random_state=data.seed,
        timeout=budget - max(LEAST_RESERVE, RESERVE * budget),
    )
    try:
        search.fit(data.X, data.y)
    except TimeoutError:
        return Outcome(budget, {}, {}, 0, {})
    ended = {"winner": time.perf_counter() - began}
    predictors = {"winner": search.predict}
    if hasattr(search, "ensemble"):
        predictors["ensemble"] = search.ensemble(N_MEMBERS).predict
        ended["ensemble"] = time.perf_counter() - began
    errors = {name: data.error(predict) for name, predict in predictors.items()}
    return Outcome(budget, errors, ended, len(search.cv_results_["params"]), search.best_params_)
