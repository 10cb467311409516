"""Estimators at their defaults and a search of the recommended space, beside scikit-learn's estimators.

python benchmarks/defaults.py --results defaults.jsonl [--data iris diabetes] [--seeds 0 1 2]
    [--parts defaults searched speed] [--sides ...]
python benchmarks/defaults.py --results defaults.jsonl --table > benchmarks/defaults.md

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
from statistics import mean, median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import heading, in_turn
from defaults_data import NAMES, Data, data
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
N_CANDIDATES, N_INNER_FOLDS, N_MEMBERS = 20, 3, 10
SEARCHED_FOLDS = 1  # of the five of each seed
SPEED_RUNS, SPEED_ROWS = 9, 500
WIDTHS = np.geomspace(32, 256, 10).round().astype(int).tolist()
PEERS_SPACE = {
    "hidden_layer_sizes": [(width,) * depth for depth in (1, 2) for width in WIDTHS],
    "learning_rate_init": loguniform(1e-4, 1e-1),
    "alpha": loguniform(1e-5, 10),
    "batch_size": [16, 64, "auto"],
}
OURS, OURS_SCALED = "kerashp, raw", "kerashp, scaled"
MLP, MLP_SCALED = "MLP, raw", "MLP, scaled"
LINEAR, LINEAR_SCALED, TREES = "linear, raw", "linear, scaled", "HistGradientBoosting"
SEARCHED, ENSEMBLE, MLP_SEARCHED = "kerashp, best", "kerashp, ensemble", "MLP, best"
ABOUT = """\
`benchmarks/defaults.py`: means of 5 folds x {n_seeds} seeds, which determine the division of the rows and
the weights; the accuracy of classifiers, the R2 of regressors, all with their defaults. "Scaled": features,
and targets of regressors, are scaled by `StandardScaler`; "raw": they are not. "Linear" is
`LogisticRegression(max_iter=1000)` or `Ridge`. Seconds are medians of one fit; the first fit of kerashp
compiles."""
SEARCH_ABOUT = """\
`RandomizedSearchCV(recommended_space(...), n_iter={n_candidates})` and its ensemble, compared with the same
number of candidates of scikit-learn's MLP on scaled data, also over depths, widths, learning rates,
penalties and batch sizes; both with {n_inner} inner folds, on all cores. All figures are means over the
first fold of each seed."""
Row = dict[str, Any]


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


SIDES = {
    "defaults": [*DEFAULTS],
    "searched": [SEARCHED, ENSEMBLE, MLP_SEARCHED],
    "speed": [OURS, MLP, MLP_SCALED],
}


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_all(options: argparse.Namespace) -> None:
    """Run what the file does not have."""
    warnings.simplefilter("ignore")  # of what has not converged
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the workers of a search
    done = {
        (row["part"], row.get("data"), row["side"], row.get("seed"))
        for row in read(options.results)
        if "part" in row
    }
    with options.results.open("a") as file:
        write = lambda row: print(json.dumps(row), file=file, flush=True)  # noqa: E731
        write({"heading": heading(SPEED_RUNS)})
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


# The table.


class Results:
    """What the file has, by part, data set and side."""

    def __init__(self, rows: list[Row]):
        self.headings = [row["heading"] for row in rows if "heading" in row]
        self._rows = [row for row in rows if "part" in row]
        self.n_seeds = len({row["seed"] for row in self._rows if row["part"] == "defaults"})

    def of(self, part: str, name: str, side: str) -> list[Row]:
        return [row for row in self._rows if (row["part"], row["data"], row["side"]) == (part, name, side)]

    def names(self, part: str) -> list[str]:
        """The data sets on which all sides of a part were run."""
        return [name for name in NAMES if all(self.of(part, name, side) for side in SIDES[part])]

    def score(self, part: str, name: str, side: str, n_folds: int | None = None) -> float:
        return mean(mean(row["scores"][:n_folds]) for row in self.of(part, name, side))

    def seconds(self, part: str, name: str, side: str) -> float:
        return median(took for row in self.of(part, name, side) for took in row["seconds"])

    def searched(self, name: str) -> dict[str, float]:
        """Scores of the searches, and of the defaults on the same rows."""
        seeds = {row["seed"] for row in self.of("searched", name, ENSEMBLE)}
        scores = {side: self.score("searched", name, side) for side in SIDES["searched"]}
        for side in (OURS, MLP_SCALED):
            rows = [row for row in self.of("defaults", name, side) if row["seed"] in seeds]
            if rows:
                scores[side] = mean(mean(row["scores"][:SEARCHED_FOLDS]) for row in rows)
        return scores


def lines(heads: list[str], body: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *body])


def with_mean(scores: dict[str, dict[str, float]], sides: list[str]) -> str:
    """A table of scores, a data set a line, and the mean of all."""
    body = [[name, *(f"{own[side]:.3f}" for side in sides)] for name, own in scores.items()]
    body.append(["mean", *(f"{mean(own[side] for own in scores.values()):.3f}" for side in sides)])
    return lines(["score", *sides], body)


def reached(goal: str, gaps: dict[str, float], least: float = 0.0) -> str:
    """Whether no gap is below what is allowed; the smallest, or those that are."""
    short = {name: gap for name, gap in gaps.items() if gap < least}
    worst = min(gaps, key=lambda name: gaps[name])
    if not short:
        return f"- {goal}: met, by {gaps[worst]:+.3f} ({worst}) at the least."
    return f"- {goal}: **not met**: " + ", ".join(f"{name} {gap:+.3f}" for name, gap in short.items()) + "."


def gaps_of(scores: dict[str, dict[str, float]], side: str, peer: str) -> dict[str, float]:
    return {name: own[side] - own[peer] for name, own in scores.items()}


def better_in_mean(scores: dict[str, dict[str, float]], side: str, peer: str) -> dict[str, float]:
    return {"mean": mean(gaps_of(scores, side, peer).values())}


def defaults_text(results: Results) -> Iterator[str]:
    """Scores and seconds at defaults, and what they reach."""
    names, sides = results.names("defaults"), SIDES["defaults"]
    scores = {name: {side: results.score("defaults", name, side) for side in sides} for name in names}
    yield "## Defaults"
    yield with_mean(scores, sides)
    unlike = {name: -abs(gap) for name, gap in gaps_of(scores, OURS, OURS_SCALED).items()}
    yield "\n".join(
        [
            reached("At least MLP, scaled, less 0.01", gaps_of(scores, OURS, MLP_SCALED), -0.01),
            reached("Better than MLP, scaled, in the mean", better_in_mean(scores, OURS, MLP_SCALED)),
            reached("Nowhere 0.03 below linear, raw", gaps_of(scores, OURS, LINEAR), -0.03),
            reached("Nowhere 0.03 below linear, scaled", gaps_of(scores, OURS, LINEAR_SCALED), -0.03),
            reached("On raw data the same as on scaled data to 0.01", unlike, -0.01),
        ]
    )
    seconds = [
        [name, *(f"{results.seconds('defaults', name, side):.2f}" for side in sides)] for name in names
    ]
    yield lines(["seconds of a fit", *sides], seconds)


def speed_text(results: Results) -> Iterator[str]:
    """Seconds of fits that are compiled, and what they reach."""
    sides, kinds = SIDES["speed"], ("classification", "regression")
    took = {kind: {side: results.seconds("speed", kind, side) for side in sides} for kind in kinds}
    yield f"## A fit on {SPEED_ROWS} rows, compiled beforehand"
    body = [[kind, *(f"{own[side]:.3f}" for side in sides)] for kind, own in took.items()]
    yield lines([f"seconds, medians of {SPEED_RUNS}", *sides], body)
    saved = {f"{kind} than {peer}": own[peer] - own[OURS] for kind, own in took.items() for peer in sides[1:]}
    yield reached("Less time than the MLP, seconds", saved)


def searched_text(results: Results) -> Iterator[str]:
    """Scores and seconds of searches, and what they reach."""
    names, sides = results.names("searched"), SIDES["searched"]
    scores = {name: results.searched(name) for name in names}
    peers = (OURS, MLP_SEARCHED)
    yield "## Searched"
    yield SEARCH_ABOUT.format(n_candidates=N_CANDIDATES, n_inner=N_INNER_FOLDS)
    yield with_mean(scores, [*sides, OURS, MLP_SCALED])
    below = [reached(f"Nowhere 0.02 below {peer}", gaps_of(scores, ENSEMBLE, peer), -0.02) for peer in peers]
    better = [
        reached(f"Better than {peer}, in the mean", better_in_mean(scores, ENSEMBLE, peer)) for peer in peers
    ]
    yield "\n".join(better + below)
    seconds = [
        [name, *(f"{results.seconds('searched', name, side):.1f}" for side in sides)] for name in names
    ]
    yield lines(["seconds of a search", *sides], seconds)


def print_table(path: Path) -> None:
    results = Results(read(path))
    text = ["# Defaults and the recommended space", ABOUT.format(n_seeds=results.n_seeds)]
    text.append(f"```\n{results.headings[0]}\n```")
    if results.names("defaults"):
        text += defaults_text(results)
    if results.of("speed", "regression", OURS):
        text += speed_text(results)
    if results.names("searched"):
        text += searched_text(results)
    print("\n\n".join(text))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("defaults.jsonl"))
    parser.add_argument("--table", action="store_true", help="print what the file has, and run nothing")
    parser.add_argument("--data", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sides", nargs="+", choices=[side for sides in SIDES.values() for side in sides])
    options = parser.parse_args()
    if options.table:
        print_table(options.results)
    else:
        run_all(options)


if __name__ == "__main__":
    main()
