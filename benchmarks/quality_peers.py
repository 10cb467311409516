"""The peers of benchmarks/quality.py: each runs once, for the largest budget.

What a peer had found when a smaller one was over is what it would have returned. Training it again, on all
rows for as many epochs as were best, is not counted, in the peers' favour.
"""

import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import repeat
from typing import Any

import keras
import numpy as np
from joblib import Parallel, cpu_count, delayed
from quality_data import (
    BATCHES,
    EPOCHS,
    HIDDEN,
    N_FOLDS,
    OPTIMIZERS,
    PATIENCE,
    PENALTIES,
    RATES,
    SPACE,
    WIDTHS,
    Data,
    Outcome,
)
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import ParameterSampler, cross_validate, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

from kerashp.spaces import loguniform

HELD_OUT = 0.2  # of the rows, for validation
ENDLESS = 10**6
PERCEPTRONS = {
    "hidden_layer_sizes": [
        (width,) * depth
        for depth in HIDDEN
        for width in np.geomspace(*WIDTHS, 13).round().astype(int).tolist()
    ],
    "learning_rate_init": loguniform(*RATES),
    # scikit-learn halves the penalty, and divides it by the rows of the batch.
    "alpha": loguniform(2 * BATCHES[0] * PENALTIES[0], 2 * BATCHES[-1] * PENALTIES[-1]),
    "batch_size": BATCHES,
    "solver": OPTIMIZERS,
}


class OutOfTime(BaseException):
    """Not an `Exception`, which would count as a failed trial."""


class Deadline(keras.callbacks.Callback):
    """Ends a training when the budget is spent."""

    def __init__(self, at: float):
        super().__init__()
        self.at = at

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if time.perf_counter() > self.at:
            raise OutOfTime


@dataclass(frozen=True)
class Tried:
    """A finished candidate of a peer: its score, greater is better, and the model that is judged."""

    seconds: float
    score: float
    params: dict[str, Any]
    judged: dict[str, Callable[[], float]]


def outcomes(tried: Sequence[Tried], budgets: Sequence[float]) -> list[Outcome]:
    """The best candidate within each budget."""
    found = []
    for budget in budgets:
        within = [one for one in tried if one.seconds <= budget]
        if within:
            best = max(within, key=lambda one: one.score)
            errors = {name: judge() for name, judge in best.judged.items()}
            seconds = dict.fromkeys(errors, budget)
            found.append(Outcome(budget, errors, seconds, len(within), best.params))
        else:
            found.append(Outcome(budget, {}, {}, 0, {}))
    return found


def early_stopping(**options: Any) -> Any:
    return keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, **options)


def refitted(data: Data, params: dict[str, Any], epochs: int) -> float:
    """The error of a model that is trained on all rows for the best number of epochs."""
    keras.utils.set_random_seed(data.seed)
    model = data.built(params)
    model.fit(data.X, data.y, params["batch_size"], epochs, verbose=0)
    return data.error_of(model)


def objective(data: Data) -> tuple[str, str, int]:
    """The objective without penalties, its direction for keras-tuner and Optuna, and a sign."""
    return ("val_mse", "min", -1) if data.is_regression else ("val_accuracy", "max", 1)


def tuner(name: str, data: Data, budgets: Sequence[float]) -> list[Outcome]:
    """keras-tuner, as in its guides."""
    import keras_tuner

    class Model(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            params = {
                "n_hidden": hp.Int("n_hidden", HIDDEN[0], HIDDEN[-1]),
                "n_neurons": hp.Int("n_neurons", *WIDTHS, sampling="log"),
                "learning_rate": hp.Float("learning_rate", *RATES, sampling="log"),
                "l2": hp.Float("l2", *PENALTIES, sampling="log"),
                "optimizer": hp.Choice("optimizer", OPTIMIZERS),
            }
            return data.built(params)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            return model.fit(*args, batch_size=hp.Choice("batch_size", BATCHES), **kwargs)

    monitor, direction, sign = objective(data)
    tried: list[Tried] = []

    class Noting(getattr(keras_tuner, name)):  # type: ignore[misc]
        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            if trial.score is None:
                return
            params = {one: trial.hyperparameters.values[one] for one in SPACE}
            judged = {
                "kept": cache(lambda: data.error_of(self.load_model(trial))),
                "refitted": cache(partial(refitted, data, params, trial.best_step + 1)),
            }
            tried.append(Tried(time.perf_counter() - began, sign * trial.score, params, judged))

    own, epochs = {"max_trials": ENDLESS}, {"epochs": EPOCHS}
    if name == "Hyperband":
        own, epochs = {"max_epochs": EPOCHS, "hyperband_iterations": ENDLESS}, {}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        search = Noting(
            Model(), keras_tuner.Objective(monitor, direction), seed=data.seed, directory=folder, **own
        )
        callbacks = [early_stopping(), Deadline(began + max(budgets))]
        with suppress(OutOfTime):
            search.search(data.X, data.y, validation_split=HELD_OUT, callbacks=callbacks, verbose=0, **epochs)
        return outcomes(tried, budgets)


def optuna(data: Data, budgets: Sequence[float]) -> list[Outcome]:
    """Optuna's tree-structured Parzen estimator with median pruning."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError('this peer is Optuna; install it: pip install "kerashp[benchmark]"') from error

    monitor, direction, sign = objective(data)
    stratify = None if data.is_regression else data.y
    X, X_valid, y, y_valid = train_test_split(
        data.X, data.y, test_size=HELD_OUT, random_state=data.seed, stratify=stratify
    )
    tried: list[Tried] = []

    class Pruning(keras.callbacks.Callback):
        """The same as the callback of optuna-integration."""

        def __init__(self, trial: Any):
            super().__init__()
            self.trial = trial

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.trial.report(logs[monitor], epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def run(trial: Any) -> float:
        params = {
            "n_hidden": trial.suggest_int("n_hidden", HIDDEN[0], HIDDEN[-1]),
            "n_neurons": trial.suggest_int("n_neurons", *WIDTHS, log=True),
            "learning_rate": trial.suggest_float("learning_rate", *RATES, log=True),
            "l2": trial.suggest_float("l2", *PENALTIES, log=True),
            "batch_size": trial.suggest_categorical("batch_size", BATCHES),
            "optimizer": trial.suggest_categorical("optimizer", OPTIMIZERS),
        }
        keras.backend.clear_session()
        model = data.built(params)
        stopping = early_stopping(restore_best_weights=True)
        callbacks = [stopping, Pruning(trial), Deadline(began + max(budgets))]
        held_out = (X_valid, y_valid)
        history = model.fit(
            X, y, params["batch_size"], EPOCHS, 0, callbacks=callbacks, validation_data=held_out
        ).history
        best = stopping.best_epoch
        judged = {
            "kept": cache(lambda: data.error_of(model)),
            "refitted": cache(partial(refitted, data, params, best + 1)),
        }
        score = history[monitor][best]
        tried.append(Tried(time.perf_counter() - began, sign * score, params, judged))
        return score

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.perf_counter()
    study = optuna.create_study(
        direction={"min": "minimize", "max": "maximize"}[direction],
        sampler=optuna.samplers.TPESampler(seed=data.seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    with suppress(OutOfTime):
        study.optimize(run, timeout=max(budgets))
    return outcomes(tried, budgets)


def perceptrons(data: Data, budgets: Sequence[float]) -> list[Outcome]:
    """RandomizedSearchCV with scikit-learn's perceptron, on all cores, judged after each candidate."""
    kind = MLPRegressor if data.is_regression else MLPClassifier
    estimator = kind(max_iter=EPOCHS, early_stopping=True, n_iter_no_change=PATIENCE, random_state=data.seed)
    random = np.random.RandomState(data.seed)
    drawn = (next(iter(ParameterSampler(PERCEPTRONS, 1, random_state=random))) for _ in repeat(None))
    scoring = "neg_mean_squared_error" if data.is_regression else "accuracy"
    options = {"cv": N_FOLDS, "scoring": scoring, "return_estimator": True}
    tried: list[Tried] = []
    began = time.perf_counter()
    parallel = Parallel(n_jobs=cpu_count(), return_as="generator_unordered", pre_dispatch="2*n_jobs")
    work = delayed(cross_validate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is stopped while workers are running
        for done in parallel(
            work(clone(estimator).set_params(**params), data.X, data.y, **options) for params in drawn
        ):
            seconds = time.perf_counter() - began
            if seconds > max(budgets):
                break
            chosen = done["estimator"][0].get_params()
            params = {name: chosen[name] for name in PERCEPTRONS}
            judged = {"refitted": cache(partial(fitted_error, clone(done["estimator"][0]), data))}
            tried.append(Tried(seconds, float(done["test_score"].mean()), params, judged))
    return outcomes(tried, budgets)


def fitted_error(estimator: Any, data: Data) -> float:
    return data.error(estimator.fit(data.X, data.y).predict)


def trees(data: Data) -> Outcome:
    """HistGradientBoosting with its defaults, without a search."""
    kind = HistGradientBoostingRegressor if data.is_regression else HistGradientBoostingClassifier
    began = time.perf_counter()
    fitted = kind(random_state=data.seed).fit(data.X, data.y)
    seconds = {"winner": time.perf_counter() - began}
    return Outcome(None, {"winner": data.error(fitted.predict)}, seconds, 1, {})
