"""What the benchmarks share: data, processes, older revisions, and runs of several sides in turn."""

import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import results

ROOT = Path(__file__).parents[1]
HOUSING = Path(__file__).parents[2] / "shared" / "data" / "housing.csv"
# Programs that other processes have left on disk would take the compiling out of what is measured.
os.environ.setdefault("KERASHP_CACHE", "off")


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


def run_script(
    script: str, *arguments: Any, root: Path = ROOT, cache: Path | str = "off", limit: float | None = None
) -> dict[str, Any]:
    """What a script prints as JSON in a new process, with kerashp and its programs from these folders.

    After `limit` seconds the process is stopped, with a `subprocess.TimeoutExpired`.
    """
    environment = os.environ | {"PYTHONPATH": str(root), "KERASHP_CACHE": str(cache)}
    command = [sys.executable, script, *map(str, arguments)]
    process = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=limit
    )
    if process.returncode:
        sys.exit(process.stderr)
    return json.loads(process.stdout.splitlines()[-1])


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A temporary folder with an older revision of kerashp."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", revision, "kerashp"]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def heading(runs: int = 1, *about: str) -> str:
    """Versions, machine and runs, for the top of a table."""
    measured = results.conditions(runs)
    rate = f"backend {measured['backend']}, sgemm {measured['machine']['sgemm_gflops']} GFLOP/s"
    medians = f"; medians of {runs} runs in turn" if runs > 1 else ""
    return "\n".join([results.described(measured), f"{rate}{medians}", *about])
