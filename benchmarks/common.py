"""What the benchmarks share: data, the machine, and runs of several sides in turn."""

import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import keras
import numpy as np

HOUSING = Path(__file__).parents[2] / "shared" / "data" / "housing.csv"
PACKAGES = ("kerashp", "tensorflow", "jax", "keras", "scikit-learn", "numpy")


def housing(n_rows: int = 7680, csv: Path = HOUSING) -> tuple[np.ndarray, np.ndarray, str]:
    """Eight scaled features, the median value, and where they are from: California or made up alike."""
    if not csv.exists():
        rng = np.random.default_rng(0)
        X = rng.normal(size=(n_rows, 8))
        y = 2 + X[:, :1] + np.tanh(X[:, 1:2] * X[:, 2:3]) + 0.5 * rng.normal(size=(n_rows, 1))
        return X.astype("float32"), y.astype("float32"), "synthetic data of housing's shape"
    import pandas as pd

    blocks = pd.read_csv(csv).dropna()
    homes = blocks.households
    columns = [
        blocks.median_income,
        blocks.housing_median_age,
        blocks.total_rooms / homes,
        blocks.total_bedrooms / homes,
        blocks.population,
        blocks.population / homes,
        blocks.latitude,
        blocks.longitude,
    ]
    X = np.column_stack(columns)[:n_rows]
    y = blocks.median_house_value.to_numpy()[:n_rows, None] / 1e5
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype("float32"), y.astype("float32"), csv.name


def sgemm_rate(size: int = 2000, runs: int = 5) -> float:
    """GFLOP/s of a matrix product in float32, the best of several runs."""
    matrix = np.random.default_rng(0).random((size, size), "float32")
    return max(2 * size**3 / 1e9 / seconds(lambda: matrix @ matrix) for _ in range(runs))


def seconds(run: Callable[[], object]) -> float:
    """The wall time of one run."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def in_turn(sides: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """The median seconds of each side; a round runs them all, one after the other."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, run in sides.items():
            times[name].append(seconds(run))
    return {name: statistics.median(values) for name, values in times.items()}


def heading(runs: int, *about: str) -> str:
    """Versions, machine and runs, for the top of a table."""
    installed = {distribution.name: distribution.version for distribution in distributions()}
    versions = ", ".join(f"{name} {installed[name]}" for name in PACKAGES if name in installed)
    python = f"Python {platform.python_version()}, backend {keras.backend.backend()}"
    machine = f"{python}, sgemm {sgemm_rate():.0f} GFLOP/s"
    return "\n".join([versions, f"{machine}; medians of {runs} runs in turn", *about])
