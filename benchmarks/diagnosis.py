"""Verdicts of `diagnose` on real training runs with a known ailment.

python benchmarks/diagnosis.py [--half tune|kept|both] [--curves FILE] [--seed N]

Half of the runs ("kept") is not used to choose the thresholds. FILE stores the curves for later calls. The
runs of seeds 0 and 1, and others of seeds from 100 on, were used while the rules were written, those of
seed 2 only afterwards: diagnosis.md has their tables.
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results
from common import housing
from diagnosis_tables import BASELINES, CLASSES, CURVES, table
from sklearn.datasets import load_breast_cancer, load_digits, make_friedman1
from sklearn.preprocessing import StandardScaler, scale

from kerashp import build_model
from kerashp.diagnostics import diagnose
from kerashp.diagnostics._learning_curves.findings import AILMENTS
from kerashp.estimators._data.losses import trivial_loss
from kerashp.training import Member, Population

EXPECTED = {
    "overfit": "overfitting",
    "underfit": "underfitting",
    "rate too high": "fluctuation",
    "rate too low": "too slow",
    "diverged": "divergence",
    "healthy": "healthy",
    "rate too high, dropout": "fluctuation",
    "rate too low, dropout": "too slow",
    "healthy, dropout": "healthy",
}
EPOCHS = 150
# Of each data set. SGD on squared errors goes from good to diverged within a factor of ten.
RUNS = {
    "SGD": {"overfit": 4, "underfit": 4, "rate too low": 4, "diverged": 8, "healthy": 4},
    "Adam": {
        "overfit": 4,
        "underfit": 4,
        "rate too low": 4,
        "rate too high": 8,
        "healthy": 4,
        "rate too high, dropout": 4,
        "rate too low, dropout": 4,
        "healthy, dropout": 4,
    },
}
WIDTH = 16
DROPOUT = 0.2
FEW_ROWS, MANY_UNITS = 80, 64
STRONG = (0.1, 0.3, 1.0)  # penalties that leave little of the weights
HALVES = ("tune", "kept")


@dataclass(frozen=True)
class Data:
    """The rows of a problem, and targets with and without noise."""

    X: np.ndarray
    y: np.ndarray
    noisy: np.ndarray
    task: str
    n_outputs: int = 1

    def loss_of_guessing(self) -> float | None:
        """The cross-entropy of guessing among equally frequent classes."""
        return None if self.task == "regression" else float(np.log(len(np.unique(self.y))))


@dataclass(frozen=True)
class Run:
    """A training with its ailment by construction, and its curves."""

    ailment: str
    data: str
    optimizer: str
    baseline: float
    of_classes: float | None
    curves: dict[str, list[float]]

    def history(self) -> keras.callbacks.History:
        """The curves with a model that has dropout, or has none."""
        history = keras.callbacks.History()
        history.set_model(build_model(1, 1, dropout=DROPOUT if "dropout" in self.ailment else 0.0))
        history.history = self.curves
        return history


def classes(X: np.ndarray, y: np.ndarray, rng: np.random.Generator, share: float = 0.3) -> Data:
    """A classification problem; a share of the noisy labels is drawn at random."""
    n_classes = len(np.unique(y))
    is_noisy = rng.random(len(y)) < share
    noisy = np.where(is_noisy, rng.integers(0, n_classes, len(y)), y)
    is_binary = n_classes == 2
    return Data(
        StandardScaler().fit_transform(X),
        y,
        noisy,
        "binary" if is_binary else "multiclass",
        1 if is_binary else n_classes,
    )


def numbers(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Data:
    """A regression problem; the noise has the standard deviation of the targets."""
    return Data(StandardScaler().fit_transform(X), y, y + y.std() * rng.normal(size=len(y)), "regression")


def problems(seed: int) -> dict[str, Data]:
    """The four data sets, with rows drawn by the seed."""
    rng = np.random.default_rng([seed, 1])
    X, y, _ = housing(20_000)
    rows = rng.permutation(len(X))[:1500]
    friedman = make_friedman1(1500, noise=1.0, random_state=seed)
    return {
        "digits": classes(*load_digits(return_X_y=True), rng),
        "breast cancer": classes(*load_breast_cancer(return_X_y=True), rng),
        "friedman": numbers(friedman[0], scale(friedman[1]), rng),
        "housing": numbers(X[rows], y[rows, 0], rng),
    }


def settings(ailment: str, optimizer: str, repeat: int, data: Data) -> dict[str, Any]:
    """The parameters of a model that cause the ailment."""
    rate = 0.003 if optimizer == "Adam" else 0.03 if data.task == "regression" else 0.1
    good = {"n_neurons": WIDTH, "learning_rate": rate, "l2": 3e-3 if data.task == "binary" else 1e-3}
    cause = ailment.removesuffix(", dropout")
    dropout = {"dropout": DROPOUT} if cause != ailment else {}
    bottleneck = {"n_neurons": 1} if data.task == "multiclass" else {"n_neurons": 2, "l2": STRONG[0]}
    return (
        good
        | dropout
        | {
            "healthy": {},
            "overfit": {"n_neurons": MANY_UNITS, "l2": 0.0},
            "underfit": bottleneck if repeat == len(STRONG) else {"l2": STRONG[repeat % len(STRONG)]},
            "rate too low": {"learning_rate": rate / 100},
            "rate too high": {"learning_rate": rate * (30, 50)[repeat % 2]},
            "diverged": {"learning_rate": rate * 1000},
        }[cause]
    )


def member(ailment: str, optimizer: str, repeat: int, data: Data, rng: np.random.Generator) -> Member:
    """A model with the ailment; the rows of the data come first, then those with noise."""
    parameters = settings(ailment, optimizer, repeat, data)
    keras.utils.set_random_seed(int(rng.integers(2**31)))
    instance = getattr(keras.optimizers, optimizer)()
    model = build_model(
        2,
        **parameters,
        input_shape=data.X.shape[1:],
        task=data.task,
        n_outputs=data.n_outputs,
        optimizer=instance,
    )
    rows = rng.permutation(len(data.X))
    n_valid = len(rows) // 4
    valid, train = rows[:n_valid], rows[n_valid:]
    if ailment == "overfit":
        valid, train = valid + len(rows), train[:FEW_ROWS] + len(rows)
    return Member(model, train, valid, random_state=int(rng.integers(2**31)))


def train_runs(seed: int) -> Iterator[Run]:
    """Train all runs; those of a data set and optimizer train together."""
    for index, (name, data) in enumerate(problems(seed).items()):
        X = np.concatenate([data.X, data.X]).astype("float32")
        y = np.concatenate([data.y, data.noisy]).astype("float32")
        for optimizer, runs in RUNS.items():
            rng = np.random.default_rng([seed, 2, index, len(optimizer)])
            causes = [(ailment, repeat) for ailment, times in runs.items() for repeat in range(times)]
            members = [member(ailment, optimizer, repeat, data, rng) for ailment, repeat in causes]
            results = Population(members, X, y, batch_size=32).train(EPOCHS)
            for (ailment, _), run, result in zip(causes, members, results, strict=True):
                baseline = trivial_loss(run.model, y[run.rows], None)
                yield Run(ailment, name, optimizer, baseline, data.loss_of_guessing(), result.history)


def stored_or_new_runs(path: Path | None, seed: int) -> list[Run]:
    """The runs of this seed from the file, or new ones, which are written to it."""
    if path is not None and path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["seed"] == seed:
            return [Run(**run) for run in stored["runs"]]
    runs = list(train_runs(seed))
    if path is not None:
        stored = {"seed": seed, "runs": [asdict(run) for run in runs]}
        path.write_text(json.dumps(stored), encoding="utf-8")
    return runs


def halves(runs: list[Run], seed: int) -> dict[str, list[Run]]:
    """Divide the runs into halves with equal numbers of each ailment and data set."""
    rng = np.random.default_rng([seed, 3])
    parts: dict[str, list[Run]] = {half: [] for half in HALVES}
    for ailment, data in sorted({(run.ailment, run.data) for run in runs}):
        cases = [run for run in runs if (run.ailment, run.data) == (ailment, data)]
        for place, index in enumerate(rng.permutation(len(cases))):
            parts[HALVES[place % 2]].append(cases[index])
    return parts


def counted(runs: list[Run], sources: list[Any], baselines: list[float | None]) -> results.Figures:
    """The numbers of verdicts by ailment, and of those that are right."""
    verdicts = [
        diagnose(source, baseline=baseline).verdict
        for source, baseline in zip(sources, baselines, strict=True)
    ]
    counts = Counter(zip((run.ailment for run in runs), verdicts, strict=True))
    lines = {ailment: {name: counts[ailment, name] for name in AILMENTS} for ailment in EXPECTED}
    right = sum(counts[pair] for pair in EXPECTED.items())
    return {**lines, "all": {"right": right, "runs": len(runs)}}


def main() -> None:
    """Print a confusion table for each half, with and without the baseline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=(*HALVES, "both"), default="both")
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    parts = halves(stored_or_new_runs(options.curves, options.seed), options.seed)
    for half in HALVES if options.half == "both" else (options.half,):
        runs = parts[half]
        models, curves = [run.history() for run in runs], [run.curves for run in runs]
        for information, (sources, baselines) in {
            BASELINES: (
                models,
                [run.baseline for run in runs],
            ),
            CLASSES: (models, [run.of_classes for run in runs]),
            CURVES: (curves, [None] * len(runs)),
        }.items():
            found, part = counted(runs, sources, baselines), f"{half} half, {information}"
            print(f"\n{part}\n{table(found)}")
            results.write("diagnosis", part, found, 1, seed=options.seed)


if __name__ == "__main__":
    main()
