"""The fixed cost of an epoch: 100 epochs of 442 rows compared with one epoch of 44,200 rows.

Both train the same number of steps by the same compiled function; the difference is what the epochs cost.

python benchmarks/small_data.py [runs]
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import heading, in_turn
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

from kerashp import build_model, fit

BATCH_SIZE = 34  # 13 whole batches of 442 rows, so that both sides have the same steps
EPOCHS = 100


def main(runs: int = 11) -> None:
    """Print the table."""
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X).astype("float32"), scale(y)[:, None].astype("float32")
    many, targets = np.tile(X, (EPOCHS, 1)), np.tile(y, (EPOCHS, 1))
    model = build_model(1, 30, 1e-3, input_shape=10)
    for data in ((X, y), (many, targets)):
        fit(model, *data, BATCH_SIZE, verbose=0, fallback="error")
    sides = {
        "100 epochs of 442 rows": lambda: fit(model, X, y, BATCH_SIZE, EPOCHS, verbose=0),
        "1 epoch of 44,200 rows": lambda: fit(model, many, targets, BATCH_SIZE, 1, verbose=0),
        "100 epochs, validated": lambda: fit(
            model, X, y, BATCH_SIZE, EPOCHS, verbose=0, validation_data=(X[:88], y[:88])
        ),
    }
    sides["100 epochs, validated"]()
    times = in_turn(sides, runs)
    print(heading(runs, "442 rows x 10 features (diabetes), 1 x 30, SGD, 13 steps an epoch"))
    for side, value in times.items():
        print(f"  {side:24s} {value * 1e3:8.1f} ms")
    overhead = (times["100 epochs of 442 rows"] - times["1 epoch of 44,200 rows"]) / EPOCHS
    print(f"  an epoch beyond its steps {overhead * 1e3:6.3f} ms  (reach: 0.3)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
