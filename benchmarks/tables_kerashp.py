"""kerashp's side of benchmarks/tables.py: one search, its winner and its ensemble.

`tables_sides.RUNS[OURS].recipe` is its version: raise it with every change here, so that it is run again.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from tables_data import Table
from tables_scores import Outcome, loss_of, predicted
from tables_sides import ENSEMBLE, OURS

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.model_selection import RandomizedSearchCV
from kerashp.presets import realmlp
from kerashp.spaces import realmlp_space

N_FOLDS, N_MEMBERS = 4, 5
EPOCHS, WIDTH = 32, 64
SEARCH = 0.6  # of the budget; the rest is for the refit and the ensemble
ROWS_A_SECOND = 40_000  # that one network trains on, roughly
FEWEST, MOST = 2, 32  # candidates


def searched(table: Table, budget: float) -> list[Outcome]:
    """The best candidate of a random search, and the ensemble of the candidates.

    If none is finished in time, both are one network with the preset.
    """
    kind = KerasMLPRegressor if table.is_regression else KerasMLPClassifier
    preset = realmlp(table.task) | {"epochs": EPOCHS, "patience": EPOCHS, "n_neurons": WIDTH}
    network = kind(**preset, random_state=table.split)
    search = RandomizedSearchCV(
        network,
        realmlp_space(table.task) | {"n_neurons": [WIDTH]},
        n_iter=n_candidates(len(table.X), budget),
        cv=N_FOLDS,
        scoring="neg_mean_squared_error" if table.is_regression else "neg_log_loss",
        random_state=table.split,
        timeout=SEARCH * budget,
    )
    began = time.perf_counter()
    try:
        search.fit(table.X, table.y)
    except TimeoutError:
        predictions = predicted(network.fit(table.X, table.y), table)
        seconds = time.perf_counter() - began
        return [Outcome(side, predictions, seconds, details={"candidates": 0}) for side in (OURS, ENSEMBLE)]
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    ensemble = search.ensemble(N_MEMBERS)
    with_ensemble = seconds + time.perf_counter() - began
    details = {"candidates": len(search.cv_results_["params"]), "params": search.best_params_}
    members = {"members": len(ensemble.members_)}
    return [
        Outcome(OURS, predicted(search, table), seconds, loss_of(search.best_score_, table), details),
        Outcome(
            ENSEMBLE,
            predicted(ensemble, table),
            with_ensemble,
            loss_of(ensemble.selection_scores_[-1], table),
            members,
        ),
    ]


def n_candidates(n_rows: int, budget: float) -> int:
    return int(np.clip(SEARCH * budget * ROWS_A_SECOND / (n_rows * EPOCHS * N_FOLDS), FEWEST, MOST))
