"""Memory over many fits of estimators: five alternating shapes in one process.

python benchmarks/memory.py [fits]
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import results
from common import heading

from kerashp import KerasMLPRegressor

SHAPES = [(1, 10), (1, 20), (2, 10), (2, 20), (3, 10)]
FIRST = 50


def resident() -> float:
    """The resident memory of the process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(fits: int = 1000) -> None:
    """Print the memory during the fits, and its slope."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 5)), rng.normal(size=200)
    print(heading(1, f"{fits} fits of KerasMLPRegressor, 3 epochs each, {len(SHAPES)} shapes in turn"))
    held = {}
    for count in range(1, fits + 1):
        n_hidden, n_neurons = SHAPES[count % len(SHAPES)]
        estimator = KerasMLPRegressor(n_hidden, n_neurons, epochs=3, tol=None, random_state=count)
        estimator.fit(X, y).predict(X)
        if count == FIRST or count % 100 == 0:
            held[count] = resident()
            print(f"  after {count:5d} fits {held[count]:8.1f} MB", flush=True)
    grown = held[max(held)] - held[FIRST]
    slope = grown / (max(held) - FIRST)
    print(f"  from {FIRST} to {max(held)}: {grown:+.1f} MB (reach: under 200), {slope * 1e3:.0f} kB a fit")
    found = {f"after {count} fits": {"MB": megabytes} for count, megabytes in held.items()}
    results.write("memory", "fits", found | {"a fit": {"kB": slope * 1e3}}, 1, fits=fits)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
