"""`kerashp.fit` compared with `Model.fit` and scikit-learn's MLPRegressor: one epoch, and 100 with compiling.

python benchmarks/fit.py [runs]
"""

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results
from common import heading, housing, in_turn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from kerashp import build_model, fit
from kerashp.training import clear_cache

BATCH_SIZE = 32
EPOCHS = {"kerashp.fit": 200, "MLPRegressor": 3}  # of a run; its time is divided by them
NETWORKS: dict[str, dict[str, Any]] = {
    "1 x 30": {"n_hidden": 1, "n_neurons": 30},
    "3 x 100": {"n_hidden": 3, "n_neurons": 100},
    "1 x 30, dropout 0.2": {"n_hidden": 1, "n_neurons": 30, "dropout": 0.2},
}
REACH = {"1 x 30": (100, 10), "3 x 100": (20, 4), "1 x 30, dropout 0.2": (15, None)}


def model(network: dict[str, Any], **compiled: Any) -> Any:
    """A network, compiled."""
    made = build_model(**network, learning_rate=1e-3, input_shape=8)
    made.compile(keras.optimizers.SGD(1e-3), "mse", **compiled)
    return made


def by_keras(network: dict[str, Any], X: np.ndarray, y: np.ndarray, **compiled: Any) -> Callable[[], Any]:
    """An epoch of Model.fit, traced beforehand."""
    made = model(network, **compiled)
    run = lambda: made.fit(X, y, BATCH_SIZE, 1, verbose=0)  # noqa: E731
    run()
    return run


def by_us(network: dict[str, Any], X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Epochs of kerashp.fit, compiled beforehand."""
    made = model(network)
    run = lambda: fit(made, X, y, BATCH_SIZE, EPOCHS["kerashp.fit"], verbose=0, fallback="error")  # noqa: E731
    run()
    return run


def by_scikit_learn(network: dict[str, Any], X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Epochs of MLPRegressor."""
    peer = MLPRegressor(
        hidden_layer_sizes=[network["n_neurons"]] * network["n_hidden"],
        solver="sgd",
        momentum=0,
        alpha=0,
        batch_size=BATCH_SIZE,
        learning_rate_init=1e-3,
        max_iter=EPOCHS["MLPRegressor"],
        n_iter_no_change=1000,
    )
    return lambda: peer.fit(X, y[:, 0])


def steady(name: str, X: np.ndarray, y: np.ndarray, runs: int) -> None:
    """Print milliseconds an epoch, everything compiled beforehand."""
    network = NETWORKS[name]
    steps = -(-len(X) // BATCH_SIZE)
    sides = {
        "kerashp.fit": by_us(network, X, y),
        "Model.fit": by_keras(network, X, y),
        "Model.fit, steps_per_execution": by_keras(network, X, y, steps_per_execution=steps),
        "Model.fit, jit_compile": by_keras(network, X, y, jit_compile=True),
    }
    if "dropout" not in network:
        sides["MLPRegressor"] = by_scikit_learn(network, X, y)
    times = {side: value / EPOCHS.get(side, 1) for side, value in in_turn(sides, runs).items()}
    reach = dict(zip(("Model.fit", "MLPRegressor"), REACH[name], strict=True))
    print(f"\n{name}: an epoch of {steps} steps")
    for side, value in times.items():
        goal = f"  (reach: {reach[side]})" if reach.get(side) else ""
        print(f"  {side:32s} {value * 1e3:9.2f} ms  {value / times['kerashp.fit']:7.1f} times{goal}")
    results.write("fit", name, figures(times), runs, rows=len(X))


def whole(name: str, X: np.ndarray, y: np.ndarray, runs: int) -> None:
    """Print seconds of 100 epochs of a new model, compiling included."""

    def ours() -> None:
        clear_cache()
        fit(model(NETWORKS[name]), X, y, BATCH_SIZE, 100, verbose=0, fallback="error")

    sides = {
        "kerashp.fit": ours,
        "Model.fit": lambda: model(NETWORKS[name]).fit(X, y, BATCH_SIZE, 100, verbose=0),
    }
    times = in_turn(sides, runs)
    print(f"\n{name}: 100 epochs of a new model, compiling included")
    for side, value in times.items():
        goal = "  (reach: 40)" if side == "Model.fit" else ""
        print(f"  {side:32s} {value:9.2f} s   {value / times['kerashp.fit']:7.1f} times{goal}")
    results.write("fit", f"{name}, 100 epochs of a new model", figures(times), runs, rows=len(X))


def figures(times: dict[str, float]) -> results.Figures:
    """Seconds, and how often they are those of kerashp."""
    return {side: {"seconds": value, "times": value / times["kerashp.fit"]} for side, value in times.items()}


def main(runs: int = 5) -> None:
    """Print both tables."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, source = housing()
    print(heading(runs, f"{len(X)} rows x {X.shape[1]} features ({source}), batches of {BATCH_SIZE}, SGD"))
    for name in NETWORKS:
        steady(name, X, y, runs)
    whole("1 x 30", X, y, runs)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
