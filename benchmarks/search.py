"""A whole search, from fit to the refitted best, compared with other libraries: time, memory and its parts.

python benchmarks/search.py [--n-iter 10] [--epochs 100] [--data housing] [--sides kerashp ...] [--runs 1]
    [--before REVISION]

Each side runs in a process of its own, one after the other. The slow ones run some of the fits, spread evenly
over candidates, and are scaled to all of them: the table says how many were run. "kerashp" starts with an
empty folder for its programs, and "cached" is a new process with that folder. `--before` adds an older
revision of kerashp.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results
from common import ROOT, checkout, heading, housing, run_script, seconds
from scipy.stats import reciprocal
from sklearn import model_selection
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold, ParameterSampler
from sklearn.neural_network import MLPClassifier, MLPRegressor

from kerashp import KerasClassifier, KerasRegressor
from kerashp import model_selection as together

N_FOLDS, BATCH_SIZE, SEED, DROPOUT = 3, 32, 42, 0.2
SPACE = {
    "n_hidden": [0, 1, 2, 3],
    "n_neurons": list(range(1, 100)),
    "learning_rate": reciprocal(3e-4, 3e-2),
}
MOST_FITS = {"scikeras": 6, "keras-tuner": 3, "scikit-learn": 30, "MLP": 30}  # run by one side
OLDER = "kerashp at"  # a revision
REACH = {  # how often the seconds of a side are those of kerashp
    "housing, 10 candidates, 100 epochs": {"MLP": 14, "scikeras": 100},
    "housing, 100 candidates, 100 epochs": {"MLP": 18, "scikeras": 130},
    "digits, 10 candidates, 100 epochs": {"scikeras": 50},
    "housing, 1000 candidates, 10 epochs": {OLDER: 3},
}
MOST_MB = 2048  # of kerashp


def perceptron(n_hidden: int = 1, n_neurons: int = 30, learning_rate: float = 3e-3) -> Any:
    """The textbook's model of housing."""
    model = keras.models.Sequential([keras.layers.InputLayer(shape=[8])])
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=learning_rate))
    return model


def with_dropout(n_hidden: int = 1, n_neurons: int = 30, learning_rate: float = 3e-3) -> Any:
    """A model of digits, with dropout and Adam."""
    model = keras.models.Sequential([keras.layers.InputLayer(shape=[64])])
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
        model.add(keras.layers.Dropout(DROPOUT))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(learning_rate))
    return model


def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    if name == "housing":
        X, y, _ = housing()
        return X, y.ravel()
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype("float32"), y


class Search:
    """The data and settings of all sides."""

    def __init__(self, name: str, n_iter: int, epochs: int):
        self.name, self.n_iter, self.epochs = name, n_iter, epochs
        self.X, self.y = data(name)
        self.model = perceptron if name == "housing" else with_dropout
        self.candidates = list(ParameterSampler(SPACE, n_iter, random_state=SEED))
        self.folds = list(KFold(N_FOLDS).split(self.X))
        self.n_fits = n_iter * N_FOLDS + 1  # with the refit

    def some(self, side: str) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Up to a third of the fits: pairs of a candidate and its training rows."""
        at_most = min(MOST_FITS[side], max(1, self.n_fits // 3))
        chosen = np.linspace(0, self.n_iter - 1, at_most).round().astype(int)
        return [(self.candidates[c], self.folds[i % N_FOLDS][0]) for i, c in enumerate(chosen)]

    def scaled(self, side: str, run: Callable[[dict[str, Any], np.ndarray], Any]) -> dict[str, Any]:
        """Run some of the fits with their scoring, and scale the time to all fits."""
        fits = self.some(side)
        took = seconds(lambda: [run(candidate, rows) for candidate, rows in fits])
        return self.result(took, len(fits))

    def result(self, took: float, n_run: int) -> dict[str, Any]:
        """The seconds of so many fits, scaled to all."""
        return {"seconds": took / n_run * self.n_fits, "fits": n_run, "of": self.n_fits}

    def estimator(self) -> Any:
        wrapper = KerasRegressor if self.name == "housing" else KerasClassifier
        return wrapper(self.model, epochs=self.epochs, batch_size=BATCH_SIZE, random_state=SEED)


def kerashp(search: Search) -> dict[str, Any]:
    ours = together.RandomizedSearchCV(
        search.estimator(), SPACE, n_iter=search.n_iter, cv=N_FOLDS, random_state=SEED
    )
    took = seconds(lambda: ours.fit(search.X, search.y))
    parts = ours.seconds_ | {"refit": ours.refit_time_}
    return search.result(took, search.n_fits) | {"plan": ours.explain(), "parts": parts}


def scikeras(search: Search) -> dict[str, Any]:
    from scikeras import wrappers

    wrapper = wrappers.KerasRegressor if search.name == "housing" else wrappers.KerasClassifier

    def run(candidate: dict[str, Any], rows: np.ndarray) -> None:
        own = {f"model__{name}": value for name, value in candidate.items()}
        estimator = wrapper(
            search.model, epochs=search.epochs, batch_size=BATCH_SIZE, verbose=0, random_state=SEED, **own
        )
        estimator.fit(search.X[rows], search.y[rows]).predict(search.X)

    return search.scaled("scikeras", run)


def keras_tuner(search: Search) -> dict[str, Any]:
    import keras_tuner

    def build(hp: Any) -> Any:
        return search.model(
            hp.Int("n_hidden", 0, 3),
            hp.Int("n_neurons", 1, 99),
            hp.Float("learning_rate", 3e-4, 3e-2, sampling="log"),
        )

    n_fits = len(search.some("keras-tuner"))
    train, test = search.folds[0]
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(build, "val_loss", max_trials=n_fits, seed=SEED, directory=folder)
        held_out = (search.X[test], search.y[test])
        options = {
            "epochs": search.epochs,
            "batch_size": BATCH_SIZE,
            "verbose": 0,
            "validation_data": held_out,
        }
        took = seconds(lambda: tuner.search(search.X[train], search.y[train], **options))
    return search.result(took, n_fits)


def scikit_learn(search: Search) -> dict[str, Any]:
    """scikit-learn's search over kerashp's estimator."""
    n_iter = min(search.n_iter, MOST_FITS["scikit-learn"] // N_FOLDS)
    theirs = model_selection.RandomizedSearchCV(
        search.estimator(), SPACE, n_iter=n_iter, cv=N_FOLDS, random_state=SEED
    )
    took = seconds(lambda: theirs.fit(search.X, search.y))
    return search.result(took, n_iter * N_FOLDS + 1)


def mlp(search: Search) -> dict[str, Any]:
    """scikit-learn's perceptron in two processes, with the same number of epochs."""
    n_iter = min(search.n_iter, MOST_FITS["MLP"] // N_FOLDS)
    solver = {"solver": "sgd", "momentum": 0.0} if search.name == "housing" else {"solver": "adam"}
    kind = MLPRegressor if search.name == "housing" else MLPClassifier
    estimator = kind(
        batch_size=BATCH_SIZE,
        max_iter=search.epochs,
        n_iter_no_change=search.epochs + 1,
        alpha=0.0,
        random_state=SEED,
        **solver,
    )
    space = [
        {
            "hidden_layer_sizes": [(candidate["n_neurons"],) * candidate["n_hidden"]],
            "learning_rate_init": [candidate["learning_rate"]],
        }
        for candidate in search.candidates[:n_iter]
    ]
    theirs = model_selection.GridSearchCV(estimator, space, cv=N_FOLDS, n_jobs=2)
    took = seconds(lambda: theirs.fit(search.X, search.y))
    return search.result(took, n_iter * N_FOLDS + 1)


SIDES = {
    "kerashp": kerashp,
    "cached": kerashp,
    "scikeras": scikeras,
    "keras-tuner": keras_tuner,
    "scikit-learn": scikit_learn,
    "MLP": mlp,
}


def run(side: str, options: argparse.Namespace) -> None:
    """Run one side and print its results as JSON."""
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    result = SIDES[side](Search(options.data, options.n_iter, options.epochs))
    result["whole"] = time.perf_counter() - began
    result["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def measured(options: argparse.Namespace, before: dict[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """The results of all sides in separate processes, in turn."""
    arguments = ["--n-iter", options.n_iter, "--epochs", options.epochs, "--data", options.data]
    found: dict[str, list[dict[str, Any]]] = {}

    def note(side: str, child_side: str, root: Path = ROOT, cache: str = "off") -> None:
        own = run_script(__file__, *arguments, "--child", child_side, root=root, cache=cache)
        found.setdefault(side, []).append(own)
        print(f"{side} {own['seconds']:.1f} s", file=sys.stderr, flush=True)

    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as cache:
            for side in options.sides:
                note(side, side, cache=cache)
        for revision, root in before.items():
            note(f"{OLDER} {revision}", "kerashp", root=root)
    return found


def figures(found: dict[str, list[dict[str, Any]]]) -> results.Figures:
    """By side: the median seconds, how often they are those of kerashp, the peak of memory, and the fits."""
    times = {side: median(own["seconds"] for own in runs) for side, runs in found.items()}
    return {
        side: {
            "seconds": times[side],
            "times": times[side] / times["kerashp"] if "kerashp" in times else None,
            "MB": max(own["MB"] for own in runs),
            "fits": runs[0]["fits"],
            "of": runs[0]["of"],
            **({"parts": runs[-1]["parts"]} if "parts" in runs[-1] else {}),
        }
        for side, runs in found.items()
    }


def show(part: str, found: results.Figures) -> None:
    """Print the table of a part, with what is to be reached."""
    print(f"\n{'':20s}{'seconds':>10s}{'times ours':>12s}{'MB':>8s}  fits")
    for side, own in found.items():
        ratio = f"{own['times']:12.1f}" if own["times"] else f"{'':12s}"
        goal = REACH.get(part, {}).get(OLDER if side.startswith(OLDER) else side)
        reach = f"  (reach: {goal} times)" if goal else ""
        reach += f"  (reach: under {MOST_MB:,} MB)" if side == "kerashp" else ""
        fits = f"{own['fits']} of {own['of']}"
        print(f"{side:20s}{own['seconds']:10.1f}{ratio}{own['MB']:8.0f}  {fits}{reach}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n-iter", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--data", choices=["housing", "digits"], default="housing")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--before", help="an older revision, which runs as well")
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run(options.child, options)
        return
    part = f"{options.data}, {options.n_iter} candidates, {options.epochs} epochs"
    print(heading(options.runs, f"{part}; {N_FOLDS} folds and a refit, batches of {BATCH_SIZE}"))
    with ExitStack() as stack:
        before = {options.before: stack.enter_context(checkout(options.before))} if options.before else {}
        found = measured(options, before)
    show(part, figures(found))
    for last in found.get("kerashp", [])[-1:]:
        refit = f"refit {last['parts']['refit']:.1f} s of {last['seconds']:.1f} s"
        print(f"\nThe last run of kerashp, {refit}:\n{last['plan']}")
    source = housing()[2] if options.data == "housing" else options.data
    results.write("search", part, figures(found), options.runs, data=source)


if __name__ == "__main__":
    main()
