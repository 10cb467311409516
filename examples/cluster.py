"""A search on a cluster: groups of fits are sent to workers, and results return when a group ends.

    python examples/cluster.py          # Dask, on two local workers: pip install "kerashp[dask]"
    python examples/cluster.py --ray    # Ray: pip install "kerashp[ray]"

For an existing cluster, pass its address to `Client` or to `ray.init`.
"""

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import startup

startup.load_tensorflow()

import joblib
import numpy as np
from sklearn.datasets import load_digits

from kerashp import KerasMLPClassifier
from kerashp.model_selection import RandomizedSearchCV
from kerashp.spaces import loguniform

# Each worker has one core; by default TensorFlow would use all cores of the machine in each worker.
ONE_CORE = {"TF_NUM_INTRAOP_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def worker_and_accuracy(estimator: KerasMLPClassifier, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """A scorer, which runs in the process that trained the fit."""
    return {"accuracy": estimator.score(X, y), "process": float(os.getpid())}


@contextmanager
def dask_cluster() -> Iterator[None]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            env=ONE_CORE,
            preload=[startup.__file__],
            silence_logs=logging.ERROR,  # a worker that takes seconds to end is not an error
            dashboard_address=":0",
        ) as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        yield


@contextmanager
def ray_cluster() -> Iterator[None]:
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    with (
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": ONE_CORE},
        ),
        joblib.parallel_config("ray"),
    ):
        yield


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ray", action="store_true", help="use Ray instead of Dask")
    parser.add_argument("--n-iter", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args(arguments)
    X, y = load_digits(return_X_y=True)
    search = RandomizedSearchCV(
        KerasMLPClassifier(epochs=options.epochs, tol=None, random_state=0),
        {"n_hidden": [1, 2, 3], "n_neurons": range(8, 64), "learning_rate": loguniform(1e-3, 0.3)},
        n_iter=options.n_iter,
        cv=3,
        scoring=worker_and_accuracy,
        refit="accuracy",
        random_state=0,
    )
    with ray_cluster() if options.ray else dask_cluster():
        search.fit(X / 16, y)
    print(search.explain())
    for number, group in enumerate(search.plan_.groups):
        candidate, split = group.fits[0]
        process = search.cv_results_[f"split{split}_test_process"][candidate]
        print(f"group {number} was trained by process {process:.0f}")
    print(f"this is process {os.getpid()}; the best was refitted here: {search.best_params_}")
    print(f"accuracy by cross-validation: {search.best_score_:.3f}")


if __name__ == "__main__":
    main()
