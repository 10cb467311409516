"""A randomized search on small data: kerashp compared with scikit-learn's MLP in two processes.

python benchmarks/small_data.py [--data diabetes "breast cancer" digits] [--runs 3] [--before REVISION]

20 candidates (depths 1 to 3, widths 1 to 99, learning rates) x 3 folds and the refit, 60 epochs in batches
of 32 with Adam. Both sides have the same candidates and scaled data, and none stops early. In each run, the
sides have new processes, one after the other, whose imports are not counted: kerashp with an empty folder
for its programs, where the second search has the same candidates, but another `random_state` of the
networks; scikit-learn's search, after a tiny one that starts its workers; kerashp again in a new process
with that folder. `--before` adds an older revision.
"""

import argparse
import json
import os
import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import results
from common import checkout, heading, run_script, seconds
from scipy.stats import loguniform
from sklearn import model_selection
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import ParameterSampler
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

DATA = {"diabetes": load_diabetes, "breast cancer": load_breast_cancer, "digits": load_digits}
EPOCHS, BATCH_SIZE, N_CANDIDATES, N_FOLDS, N_PROCESSES = 60, 32, 20, 3, 2
SPACE = {"n_hidden": [1, 2, 3], "n_neurons": range(1, 100), "learning_rate": loguniform(3e-4, 3e-2)}
FIRST, CACHED, SECOND = "first search of a process", "new process, programs cached", "second search"
MLP = "MLP"
REACH = {  # times the speed of scikit-learn's MLP
    FIRST: {"diabetes": 1.5, "breast cancer": 1.5, "digits": 3},
    CACHED: {"diabetes": 4, "breast cancer": 4, "digits": 4.5},
    SECOND: {"diabetes": 8, "breast cancer": 8, "digits": 5},
}
REACH_OF_JAX = REACH | {FIRST: dict.fromkeys(DATA, 1)}


def rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Scaled features, and labels or scaled targets."""
    X, y = DATA[name](return_X_y=True)
    return scale(X).astype("float32"), scale(y) if name == "diabetes" else y


def candidates() -> list[dict[str, Any]]:
    return list(ParameterSampler(SPACE, N_CANDIDATES, random_state=0))


def listed(space: list[dict[str, Any]]) -> list[dict[str, list[Any]]]:
    """A space of these candidates only, all of which a random search takes."""
    return [{name: [value] for name, value in candidate.items()} for candidate in space]


def kerashp(name: str) -> dict[str, Any]:
    """The seconds of two searches in this process, and how the first one spent them."""
    from kerashp import KerasMLPClassifier, KerasMLPRegressor
    from kerashp.model_selection import RandomizedSearchCV

    kind = KerasMLPRegressor if name == "diabetes" else KerasMLPClassifier
    X, y = rows(name)

    all_epochs = {"tol": None} if "tol" in kind().get_params() else {}  # older revisions never stop early

    def search(random_state: int) -> Any:
        estimator = kind(epochs=EPOCHS, batch_size=BATCH_SIZE, random_state=random_state, **all_epochs)
        options = {"n_iter": N_CANDIDATES, "cv": N_FOLDS, "random_state": 0}
        return RandomizedSearchCV(estimator, listed(candidates()), **options)

    first, second = search(0), search(1)
    times = {"first": seconds(lambda: first.fit(X, y)), "second": seconds(lambda: second.fit(X, y))}
    return times | {"parts": first.seconds_, "parts of the second": second.seconds_}


def mlp(name: str) -> dict[str, Any]:
    """The seconds of scikit-learn's search, whose workers are there."""
    kind = MLPRegressor if name == "diabetes" else MLPClassifier
    X, y = rows(name)

    def search(space: list[dict[str, Any]], epochs: int) -> Any:
        estimator = kind(
            batch_size=BATCH_SIZE, max_iter=epochs, n_iter_no_change=epochs + 1, tol=0.0, random_state=0
        )
        options = {"n_iter": len(space), "cv": N_FOLDS, "random_state": 0, "n_jobs": N_PROCESSES}
        return model_selection.RandomizedSearchCV(estimator, listed(space), **options)

    space = [
        {
            "hidden_layer_sizes": (candidate["n_neurons"],) * candidate["n_hidden"],
            "learning_rate_init": candidate["learning_rate"],
        }
        for candidate in candidates()
    ]
    search(space[:2], 1).fit(X, y)
    timed = search(space, EPOCHS)
    took = seconds(lambda: timed.fit(X, y))
    assert timed.best_estimator_.n_iter_ == EPOCHS
    return {"seconds": took}


def run(name: str, times: dict[str, list[float]], before: dict[str, Path]) -> dict[str, Any]:
    """Add the times of one run of all sides; return the parts of kerashp's."""
    measured = lambda side, **options: run_script(__file__, "--child", side, "--data", name, **options)  # noqa: E731
    note = lambda side, took: times.setdefault(side, []).append(took)  # noqa: E731
    with tempfile.TemporaryDirectory() as cache:
        ours = measured("kerashp", cache=cache)
        theirs = measured("MLP")
        again = measured("kerashp", cache=cache)
    note(FIRST, ours["first"])
    note(CACHED, again["first"])
    note(SECOND, ours["second"])
    for revision, root in before.items():
        older = measured("kerashp", root=root)
        note(f"{FIRST}, {revision}", older["first"])
        note(f"{SECOND}, {revision}", older["second"])
    note(MLP, theirs["seconds"])
    return {FIRST: ours["parts"], SECOND: ours["parts of the second"], CACHED: again["parts"]}


def figures(times: dict[str, list[float]], parts: dict[str, Any]) -> results.Figures:
    """By side: seconds, how often they are in those of scikit-learn, and their parts."""
    theirs = median(times[MLP])
    return {
        side: {
            "seconds": median(own),
            "least": min(own),
            "largest": max(own),
            "times": theirs / median(own),
            **({"parts": parts[side]} if side in parts else {}),
        }
        for side, own in times.items()
    }


def show(name: str, found: results.Figures) -> None:
    """Print the lines of one data set."""
    print(f"\n{name}")
    for side, own in found.items():
        reaches = REACH_OF_JAX if results.backend() == "jax" else REACH
        goal = reaches.get(side, {}).get(name)
        reach = f"  (reach: {goal:g})" if goal else ""
        ranges = f"{own['seconds']:7.2f} s [{own['least']:.2f}, {own['largest']:.2f}]"
        parts = ", ".join(f"{part} {took:.1f}" for part, took in own.get("parts", {}).items())
        print(f"  {side:40s}{ranges}{own['times']:7.1f} times{reach}  {parts}", flush=True)


def main() -> None:
    """Print the table and store it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--before", help="an older revision, which runs as well")
    parser.add_argument("--child", choices=["kerashp", "MLP"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers
        print(json.dumps({"kerashp": kerashp, "MLP": mlp}[options.child](*options.data)))
        return
    about = f"{N_CANDIDATES} candidates x {N_FOLDS} folds, {EPOCHS} epochs in batches of {BATCH_SIZE}"
    print(heading(options.runs, f"{about}; times: scikit-learn's seconds by those of the side"))
    with ExitStack() as stack:
        before = {options.before: stack.enter_context(checkout(options.before))} if options.before else {}
        for name in options.data:
            times: dict[str, list[float]] = {}
            for _ in range(options.runs):
                parts = run(name, times, before)
            found = figures(times, parts)
            show(name, found)
            X, _ = rows(name)
            part = f"{name}, {results.backend()}"
            results.write("small_data", part, found, options.runs, rows=len(X), features=X.shape[1])


if __name__ == "__main__":
    main()
