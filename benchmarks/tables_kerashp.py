"""kerashp's side of benchmarks/tables.py: one search, its winner and its ensemble.

`tables_sides.RUNS[OURS].recipe` is its version: raise it with every change here, so that it is run again.
"""

import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import optuna
from scipy.stats import loguniform
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from tables_data import Table
from tables_scores import Outcome, loss_of, predicted
from tables_sides import ENSEMBLE, OURS

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.model_selection import OptunaSearchCV
from kerashp.presets import realmlp
from kerashp.spaces import realmlp_space

EPOCHS, DEPTH, WIDTH = 64, 3, 128
MOST = 400  # candidates
FEW_ROWS, MANY_ROWS = 1_500, 5_000  # for training
N_FOLDS, HELD_OUT = 4, 0.2  # with many rows, one split instead of folds
N_MEMBERS = 10  # picks
RESERVE = 6.0  # seconds of the budget, in which the ensembles are made


def searched(table: Table, budget: float) -> list[Outcome]:
    """The networks of the best candidate's splits, and the ensemble of those of several candidates.

    If no candidate is finished in time, both are one network with the preset.
    """
    began = time.perf_counter()
    network, search = network_of(table), search_of(table, budget)
    try:
        search.fit(table.X, table.y)
    except TimeoutError:
        predictions = predicted(network.fit(table.X, table.y), table)
        seconds = time.perf_counter() - began
        return [Outcome(side, predictions, seconds, details={"candidates": 0}) for side in (OURS, ENSEMBLE)]
    found = {"candidates": len(search.cv_results_["params"]), "params": search.best_params_}
    return [
        outcome(table, OURS, search.ensemble(1, refit=False), time.perf_counter() - began, found),
        outcome(table, ENSEMBLE, search.ensemble(N_MEMBERS, refit=False), time.perf_counter() - began, {}),
    ]


def outcome(table: Table, side: str, ensemble: Any, seconds: float, details: dict[str, Any]) -> Outcome:
    details = details | {"members": len(ensemble.members_)}
    validation = loss_of(ensemble.selection_scores_[-1], table)
    return Outcome(side, predicted(ensemble, table), seconds, validation, details)


def network_of(table: Table) -> Any:
    """A smaller RealMLP with a quarter of its epochs, all of which it trains: nothing is held out."""
    kind = KerasMLPRegressor if table.is_regression else KerasMLPClassifier
    preset = realmlp(table.task) | {"n_hidden": DEPTH, "n_neurons": WIDTH, "epochs": EPOCHS}
    if not table.is_regression:
        preset["label_smoothing"] = 0.0  # the log-loss counts
    return kind(**preset | {"early_stopping": False}, random_state=table.split)


def search_of(table: Table, budget: float) -> OptunaSearchCV:
    """Batches by Optuna's default sampler, which is tree-structured Parzen, until the time is over."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = realmlp_space(table.task)
    numbers = {name: space[name] for name in ("beta_2", "dropout", "embedding_sigma", "weight_decay")}
    return OptunaSearchCV(
        network_of(table),
        numbers | {"input_scale_rate": space["input_scale_rate"], "learning_rate": loguniform(0.003, 0.2)},
        n_trials=MOST,
        batch=4 if FEW_ROWS <= len(table.X) < MANY_ROWS else 8,  # so that several batches fit into a minute
        cv=splitter(table),
        scoring="neg_mean_squared_error" if table.is_regression else "neg_log_loss",
        refit=False,
        random_state=table.split,
        timeout=budget - RESERVE,
    )


def splitter(table: Table) -> Any:
    if len(table.X) < MANY_ROWS:
        return N_FOLDS
    kind = ShuffleSplit if table.is_regression else StratifiedShuffleSplit
    return kind(1, test_size=HELD_OUT, random_state=table.split)
