"""Estimators at their defaults and a search of the recommended space, beside scikit-learn's estimators.

python benchmarks/defaults.py [--data iris diabetes] [--seeds 0 1 2] [--parts defaults searched speed]
    [--sides ...] [--results benchmarks/results/defaults.jsonl] [--table]

Results are appended to the file and not computed again, so the program may be stopped and resumed.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import results
from common import heading, in_turn
from defaults_data import NAMES, Data, data
from defaults_tables import (
    ENSEMBLE,
    LINEAR,
    LINEAR_SCALED,
    MLP,
    MLP_SCALED,
    MLP_SEARCHED,
    N_CANDIDATES,
    N_INNER_FOLDS,
    OURS,
    OURS_SCALED,
    SEARCHED,
    SEARCHED_FOLDS,
    SIDES,
    SPEED_ROWS,
    SPEED_RUNS,
    TREES,
    Row,
    markdown,
)
from scipy.stats import loguniform
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification, make_friedman1
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import RandomizedSearchCV as PeersRandomizedSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.model_selection import RandomizedSearchCV
from kerashp.spaces import recommended_space

PARTS = ["defaults", "searched", "speed"]
N_MEMBERS = 10
WIDTHS = np.geomspace(32, 256, 10).round().astype(int).tolist()
PEERS_SPACE = {
    "hidden_layer_sizes": [(width,) * depth for depth in (1, 2) for width in WIDTHS],
    "learning_rate_init": loguniform(1e-4, 1e-1),
    "alpha": loguniform(1e-5, 10),
    "batch_size": [16, 64, "auto"],
}


# The sides.


def ours(regression: bool, seed: int) -> Any:
    return (KerasMLPRegressor if regression else KerasMLPClassifier)(random_state=seed)


def perceptron(regression: bool, seed: int) -> Any:
    return (MLPRegressor if regression else MLPClassifier)(random_state=seed)


def linear(regression: bool, _seed: int) -> Any:
    return Ridge() if regression else LogisticRegression(max_iter=1000)


def trees(regression: bool, seed: int) -> Any:
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    return kind(random_state=seed)


def scaled(make: Callable[[bool, int], Any]) -> Callable[[bool, int], Any]:
    """The same on scaled features and targets."""

    def made(regression: bool, seed: int) -> Any:
        pipeline = make_pipeline(StandardScaler(), make(regression, seed))
        if not regression:
            return pipeline
        return TransformedTargetRegressor(pipeline, transformer=StandardScaler())

    return made


DEFAULTS: dict[str, Callable[[bool, int], Any]] = {
    OURS: ours,
    OURS_SCALED: scaled(ours),
    MLP: perceptron,
    MLP_SCALED: scaled(perceptron),
    LINEAR: linear,
    LINEAR_SCALED: scaled(linear),
    TREES: trees,
}


def our_search(rows: Data, n_samples: int, seed: int) -> Any:
    """Random candidates of the recommended space."""
    task = "regression" if rows.is_regression else "binary" if len(np.unique(rows.y)) == 2 else "multiclass"
    return RandomizedSearchCV(
        ours(rows.is_regression, seed),
        recommended_space(rows.X.shape[1], n_samples, task),
        n_iter=N_CANDIDATES,
        cv=N_INNER_FOLDS,
        random_state=seed,
    )


def peers_search(rows: Data, seed: int) -> Any:
    """As many of scikit-learn's, on scaled data."""
    prefix = "regressor__mlpregressor__" if rows.is_regression else "mlpclassifier__"
    return PeersRandomizedSearchCV(
        scaled(perceptron)(rows.is_regression, seed),
        {prefix + name: values for name, values in PEERS_SPACE.items()},
        n_iter=N_CANDIDATES,
        cv=N_INNER_FOLDS,
        random_state=seed,
        n_jobs=-1,
    )


# The runs.


def fitted(estimator: Any, X: Any, y: Any) -> tuple[Any, float]:
    """The estimator, and the seconds of its fit."""
    began = time.perf_counter()
    return estimator.fit(X, y), time.perf_counter() - began


def made_for(side: str, rows: Data, seed: int) -> Any:
    """A side's estimator; trees take one target each."""
    estimator = DEFAULTS[side](rows.is_regression, seed)
    return MultiOutputRegressor(estimator) if side == TREES and rows.y.ndim > 1 else estimator


def run_defaults(name: str, seed: int, sides: list[str]) -> Iterator[Row]:
    """Scores and seconds of all folds, by side."""
    rows = data(name)
    for side in sides:
        scores, seconds = [], []
        for train, test in rows.folds(seed):
            estimator, took = fitted(made_for(side, rows, seed), rows.X[train], rows.y[train])
            scores.append(float(estimator.score(rows.X[test], rows.y[test])))
            seconds.append(took)
        yield {"side": side, "scores": scores, "seconds": seconds}


def run_searched(name: str, seed: int, sides: list[str]) -> Iterator[Row]:
    """The best candidate of each search, and the ensemble of ours, on the first folds."""
    rows = data(name)
    found: dict[str, Row] = {side: {"side": side, "scores": [], "seconds": []} for side in sides}

    def note(side: str, estimator: Any, test: np.ndarray, seconds: float) -> None:
        if side in found:
            found[side]["scores"].append(float(estimator.score(rows.X[test], rows.y[test])))
            found[side]["seconds"].append(seconds)

    for train, test in rows.folds(seed)[:SEARCHED_FOLDS]:
        X, y = rows.X[train], rows.y[train]
        if {SEARCHED, ENSEMBLE} & {*sides}:
            search, took = fitted(our_search(rows, len(train), seed), X, y)
            note(SEARCHED, search, test, took)
            began = time.perf_counter()
            ensemble = search.ensemble(N_MEMBERS)
            note(ENSEMBLE, ensemble, test, took + time.perf_counter() - began)
        if MLP_SEARCHED in sides:
            search, took = fitted(peers_search(rows, seed), X, y)
            note(MLP_SEARCHED, search, test, took)
    yield from found.values()


def run_speed(sides: list[str]) -> Iterator[Row]:
    """Median seconds of a fit on 500 rows, in turn, compiled beforehand."""
    made = {
        "classification": make_classification(SPEED_ROWS, 20, n_informative=10, random_state=0),
        "regression": make_friedman1(SPEED_ROWS, noise=1.0, random_state=0),
    }
    for name, (X, y) in made.items():
        timed = {
            side: lambda make=DEFAULTS[side], X=X, y=y, name=name: make(name == "regression", 0).fit(X, y)
            for side in sides
        }
        for run in timed.values():
            run()
        for side, took in in_turn(timed, SPEED_RUNS).items():
            yield {"data": name, "side": side, "seconds": [took]}


def run_all(options: argparse.Namespace) -> None:
    """Run what the file does not have."""
    warnings.simplefilter("ignore")  # of what has not converged
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers of a search
    done = {
        (row["part"], row.get("data"), row["side"], row.get("seed"))
        for row in results.read_rows(options.results)
        if "part" in row
    }
    with options.results.open("a") as file:
        write = lambda row: print(json.dumps(row), file=file, flush=True)  # noqa: E731
        write({"heading": heading(SPEED_RUNS), "conditions": results.conditions(SPEED_RUNS)})
        if "speed" in options.parts and not any(part == "speed" for part, *_ in done):
            for row in run_speed(SIDES["speed"]):
                write({"part": "speed"} | row)
        for part in [part for part in ("defaults", "searched") if part in options.parts]:
            run = {"defaults": run_defaults, "searched": run_searched}[part]
            for seed in options.seeds:
                for name in options.data:
                    wanted = [side for side in SIDES[part] if not options.sides or side in options.sides]
                    missing = [side for side in wanted if (part, name, side, seed) not in done]
                    for row in run(name, seed, missing) if missing else ():
                        write({"part": part, "data": name, "seed": seed} | row)
                        said = f"{part}, {name}, seed {seed}, {row['side']}: {mean(row['scores']):.4f}"
                        print(f"{said} in {mean(row['seconds']):.2f} s", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=results.FOLDER / "defaults.jsonl")
    parser.add_argument("--table", action="store_true", help="print what the file has, and run nothing")
    parser.add_argument("--data", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sides", nargs="+", choices=[side for sides in SIDES.values() for side in sides])
    options = parser.parse_args()
    if options.table:
        print(markdown(results.read_rows(options.results)), end="")
    else:
        run_all(options)


if __name__ == "__main__":
    main()
