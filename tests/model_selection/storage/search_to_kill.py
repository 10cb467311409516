"""A search that keeps a journal, to be run, killed and run again; see test_journal_kills.py."""

import os
import signal
from typing import Any

import numpy as np

from kerashp import KerasMLPRegressor
from kerashp.model_selection import RandomizedSearchCV
from kerashp.model_selection._storage.records import Records

N_CANDIDATES, N_SPLITS, EPOCHS = 6, 2, 24


def searched(folder: str, n_jobs: int | None = None) -> Any:
    """Search on from what is in the folder.

    Each fit is a group of its own, whose state is kept between any two calls of its training.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)).astype("float32")
    y = X[:, 0] - X[:, 1] + 0.3 * rng.normal(size=60).astype("float32")
    estimator = KerasMLPRegressor(1, 6, dropout=0.2, epochs=EPOCHS, early_stopping=True, patience=6)
    search = RandomizedSearchCV(
        estimator,
        {"learning_rate": np.geomspace(0.003, 0.1, 50)},
        n_iter=N_CANDIDATES,
        cv=N_SPLITS,
        refit=False,
        n_jobs=n_jobs,
        max_memory=1,
        journal=folder,
        journal_every=0.0,
    )
    return search.fit(X, y)


def _tell_and_kill(told: Any, kill_at: int) -> None:
    """Tell of every write, and kill this process in one of them."""
    written, put = [0], Records.put

    def counted(self: Records, kind: str, contents: Any) -> None:
        written[0] += 1
        told.send(kind)
        if written[0] == kill_at:
            with self._lock:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute("DELETE FROM records")
                os.kill(os.getpid(), signal.SIGKILL)
        put(self, kind, contents)

    Records.put = counted  # type: ignore[method-assign]


if __name__ == "__run__":
    os.setsid()  # a terminal of its own
    os.environ["KERASHP_CACHE"] = globals()["cache"]
    folder, kill_at, told, n_jobs = (globals()[name] for name in ("folder", "kill_at", "told", "n_jobs"))
    _tell_and_kill(told, kill_at)
    searched(folder, n_jobs)
    told.send("end")
