"""What is not training: a first fit in a new process, a search of the recommended space, and an epoch.

python benchmarks/fixed_costs.py [--parts fit search epoch] [--runs N] [--before REVISION]

fit: `KerasMLPRegressor().fit` on diabetes in a new process, whose imports are not counted: with an empty
folder for its programs, and with the programs of the former process. search: 20 candidates of
`recommended_space` on digits, in the same two ways, and its number of groups. epoch: 100 epochs of 442 rows
compared with one epoch of 44,200 rows, which has the same steps: the difference is what epochs cost.
`--before` adds an older revision to the first two.
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
from common import checkout, heading, in_turn, run_script, seconds
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import scale

COLD, CACHED = "nothing cached", "programs cached"
N_CANDIDATES = 20
EPOCH_BATCH = 34  # 13 whole batches of 442 rows, so that both sides have the same steps
EPOCHS = 100
RUNS = {"fit": 5, "search": 3, "epoch": 11}
REACH = {
    "fit": "0.25 s with programs cached",
    "search": "4 groups, a quarter of the seconds at 97c3816",
    "epoch": "0.0003 s beyond its steps",
}
ABOUT = {
    "fit": "KerasMLPRegressor().fit on diabetes in a new process",
    "search": f"{N_CANDIDATES} candidates of recommended_space on digits",
    "epoch": "442 rows x 10 features (diabetes), 1 x 30, SGD, 13 steps an epoch",
}


def first_fit() -> dict[str, Any]:
    from kerashp import KerasMLPRegressor

    X, y = load_diabetes(return_X_y=True)
    return {"seconds": seconds(lambda: KerasMLPRegressor().fit(X, y))}


def recommended() -> dict[str, Any]:
    from kerashp import KerasMLPClassifier
    from kerashp.model_selection import RandomizedSearchCV
    from kerashp.spaces import recommended_space

    X, y = load_digits(return_X_y=True)
    mlp = KerasMLPClassifier(early_stopping=True, random_state=0)
    space = recommended_space(n_features=X.shape[1], n_samples=len(X), task="multiclass")
    search = RandomizedSearchCV(mlp, space, n_iter=N_CANDIDATES, random_state=0)
    took = seconds(lambda: search.fit(X, y))
    return {"seconds": took, "groups": len(search.plan_.groups), "parts": search.seconds_}


CHILDREN = {"fit": first_fit, "search": recommended}


def in_processes(part: str, runs: int, before: dict[str, Path]) -> results.Figures:
    """The figures of a part that needs new processes: the median seconds, and the rest of the last run."""
    times: dict[str, list[float]] = {}
    found: results.Figures = {}

    def note(side: str, **options: Any) -> None:
        own = run_script(__file__, "--child", part, **options)
        times.setdefault(side, []).append(own["seconds"])
        found[side] = own | {"seconds": median(times[side]), "least": min(times[side])}

    for _ in range(runs):
        with tempfile.TemporaryDirectory() as cache:
            note(COLD, cache=cache)
            note(CACHED, cache=cache)
        for revision, root in before.items():
            note(f"at {revision}", root=root)
    return found


def epoch(runs: int) -> results.Figures:
    """Seconds of both sides, with validation too, and what an epoch costs beyond its steps."""
    from kerashp import build_model, fit

    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X).astype("float32"), scale(y)[:, None].astype("float32")
    many, targets = np.tile(X, (EPOCHS, 1)), np.tile(y, (EPOCHS, 1))
    model = build_model(1, 30, 1e-3, input_shape=10)
    for data in ((X, y), (many, targets)):
        fit(model, *data, EPOCH_BATCH, verbose=0, fallback="error")
    sides = {
        "100 epochs of 442 rows": lambda: fit(model, X, y, EPOCH_BATCH, EPOCHS, verbose=0),
        "1 epoch of 44,200 rows": lambda: fit(model, many, targets, EPOCH_BATCH, 1, verbose=0),
        "100 epochs, validated": lambda: fit(
            model, X, y, EPOCH_BATCH, EPOCHS, verbose=0, validation_data=(X[:88], y[:88])
        ),
    }
    sides["100 epochs, validated"]()
    times = in_turn(sides, runs)
    beyond = (times["100 epochs of 442 rows"] - times["1 epoch of 44,200 rows"]) / EPOCHS
    return {
        **{side: {"seconds": value} for side, value in times.items()},
        "an epoch beyond its steps": {"seconds": beyond},
    }


def main() -> None:
    """Print the figures and store them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=ABOUT, default=list(ABOUT))
    parser.add_argument("--runs", type=int, help=f"by default {RUNS}")
    parser.add_argument("--before", help="an older revision, which runs as well")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        warnings.simplefilter("ignore")
        print(json.dumps(CHILDREN[options.child]()))
        return
    print(heading())
    with ExitStack() as stack:
        before = {options.before: stack.enter_context(checkout(options.before))} if options.before else {}
        for part in options.parts:
            runs = options.runs or RUNS[part]
            found = epoch(runs) if part == "epoch" else in_processes(part, runs, before)
            print(f"\n{ABOUT[part]}, medians of {runs} runs in turn (reach: {REACH[part]})")
            for side, own in found.items():
                groups = f", {own['groups']} groups" if "groups" in own else ""
                parts = ", ".join(f"{name} {took:.1f}" for name, took in own.get("parts", {}).items())
                print(f"  {side:28s} {own['seconds']:9.4f} s{groups}  {parts}", flush=True)
            results.write("fixed_costs", part, found, runs)


if __name__ == "__main__":
    main()
