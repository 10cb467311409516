"""Networks of many kinds: `kerashp.fit` compared with `Model.fit`, and kerashp's search with scikit-learn's.

python benchmarks/zoo.py [--networks LSTM "Conv2D 16/32" ...] [--parts epoch search] [--runs 3]

Each network has a process of its own, in which both sides run in turn. An epoch is warm, of a model that has
trained before; cached, of a new model of a kind that has; or cold, where nothing has. A search is cached or
cold. The last column is our time by theirs: below 1 is faster.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import results
from common import heading, seconds
from sklearn import model_selection
from zoo_networks import NETWORKS, USUAL, Network

from kerashp import KerasClassifier, fit
from kerashp import model_selection as together
from kerashp.training import clear_cache

BATCH_SIZE, EPOCHS, N_FOLDS = 32, 3, 3
RATES = [0.03, 0.01, 0.003, 0.001]
GOAL = 1.05
SIDES = ("kerashp", "peer")
Runs = dict[str, Callable[[], Any]]  # by side
_ROW = "{:28s}{:8s}{:8s}{:>10s}{:>10s}{:>8s}"


def epochs(network: Network) -> Iterator[tuple[str, Runs]]:
    """An epoch of `kerashp.fit` and of `Model.fit`: cold, cached and warm."""
    X, y = network.rows()

    def ours(model: Any) -> None:
        fit(model, X, y, BATCH_SIZE, verbose=0, fallback="error")

    def theirs(model: Any) -> None:
        model.fit(X, y, BATCH_SIZE, verbose=0)

    def cold() -> None:
        clear_cache()
        ours(network.model())

    yield "cold", {"kerashp": cold, "peer": lambda: theirs(network.model())}
    ours(network.model())
    yield "cached", {"kerashp": lambda: ours(network.model()), "peer": lambda: theirs(network.model())}
    one, other = network.model(), network.model()
    ours(one)
    theirs(other)
    yield "warm", {"kerashp": lambda: ours(one), "peer": lambda: theirs(other)}


def searches(network: Network) -> Iterator[tuple[str, Runs]]:
    """kerashp's search and scikit-learn's over the same estimator: 4 candidates x 3 folds, and the refit."""
    X, y = network.rows()
    rows = np.concatenate(X, axis=1) if isinstance(X, list) else X
    estimator = KerasClassifier(
        lambda learning_rate: network.one_array(USUAL, learning_rate),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        random_state=0,
    )
    space = {"model__learning_rate": RATES}

    def ours() -> None:
        together.GridSearchCV(estimator, space, cv=N_FOLDS).fit(rows, y)

    def theirs() -> None:
        model_selection.GridSearchCV(estimator, space, cv=N_FOLDS).fit(rows, y)

    def after(clearing: Callable[[], None], run: Callable[[], None]) -> Callable[[], None]:
        def both() -> None:
            clearing()
            run()

        return both

    yield "cold", {"kerashp": after(clear_cache, ours), "peer": after(clear_cache, theirs)}
    ours()
    theirs()
    yield "cached", {"kerashp": ours, "peer": theirs}


PARTS = {"epoch": epochs, "search": searches}


def child(name: str, options: argparse.Namespace) -> None:
    """Run one network and print its times as lines of JSON."""
    warnings.simplefilter("ignore")
    for part in options.parts:
        for state, sides in PARTS[part](NETWORKS[name]):
            times: dict[str, list[float]] = {side: [] for side in SIDES}
            for _ in range(options.runs):
                for side in SIDES:
                    times[side].append(seconds(sides[side]))
            medians = {side: median(own) for side, own in times.items()}
            print(json.dumps({"part": part, "state": state, **medians}), flush=True)


def measured(name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The times of one network in a separate process."""
    command = [
        sys.executable,
        __file__,
        "--child",
        name,
        "--runs",
        str(options.runs),
        "--parts",
        *options.parts,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from map(json.loads, process.stdout)
    if process.returncode:
        sys.exit(f"{name}: the process ended with {process.returncode}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", choices=NETWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options)
        return
    about = (
        f"{USUAL.n_rows} rows, batches of {BATCH_SIZE}; searches: {len(RATES)} candidates x {N_FOLDS} folds"
    )
    print(heading(options.runs, f"{about} and a refit, {EPOCHS} epochs each"))
    print(_ROW.format("\nnetwork", "part", "state", "ours, s", "peer's, s", "ratio"))
    slower = []
    for name in options.networks:
        found: dict[str, results.Figures] = {part: {} for part in options.parts}
        for row in measured(name, options):
            ratio = row["kerashp"] / row["peer"]
            own = f"{row['kerashp']:.3f}", f"{row['peer']:.3f}", f"{ratio:.2f}"
            print(_ROW.format(name, row["part"], row["state"], *own), flush=True)
            figures = {"seconds": row["kerashp"], "peer": row["peer"], "ratio": ratio}
            found[row["part"]][row["state"]] = figures
            if ratio > GOAL and (row["part"], row["state"]) != ("epoch", "cold"):
                slower.append(f"{name}, {row['part']} {row['state']}: {ratio:.2f}")
        for part, own in found.items():
            results.write("zoo", f"{name}, {part}", own, options.runs)
    print(f"\nmore than {GOAL} times the peer's: {'; '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()
