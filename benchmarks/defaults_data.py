"""The data sets of benchmarks/defaults.py, bundled with scikit-learn or generated; none is downloaded.

Linnerud is not among them: no R2 of four of its twenty rows tells one estimator from another.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold

N_FOLDS = 5


class Data(NamedTuple):
    """Rows and targets."""

    X: np.ndarray
    y: np.ndarray
    is_regression: bool

    def folds(self, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Indices of the rows to train and to test on, by fold."""
        kind = KFold if self.is_regression else StratifiedKFold
        return list(kind(N_FOLDS, shuffle=True, random_state=seed).split(self.X, self.y))


def housing_like() -> tuple[np.ndarray, np.ndarray]:
    """Features of 1e-3 to 1e5, some with long tails, and prices near 200,000."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(1000, 8))
    value = 2 + latent[:, 0] + np.tanh(latent[:, 1] * latent[:, 2]) + 0.3 * latent[:, 3]
    X = latent * np.geomspace(1e-3, 1e5, 8) + np.geomspace(1e-2, 1e5, 8)
    X[:, 5:7] = np.exp(latent[:, 5:7]) * [1e2, 1e3]
    return X, 1e5 * (value + 0.5 * rng.normal(size=len(X)))


def unscaled_classes() -> tuple[np.ndarray, np.ndarray]:
    """Five classes; the features' scales go from 1e-3 to 1e4."""
    X, y = datasets.make_classification(
        2400, 20, n_informative=10, n_classes=5, n_clusters_per_class=2, class_sep=1.5, random_state=0
    )
    return X * np.geomspace(1e-3, 1e4, 20), y


def imbalanced() -> tuple[np.ndarray, np.ndarray]:
    """Two classes, one of them an eighth of the rows."""
    return datasets.make_classification(
        2500, 15, n_informative=8, n_clusters_per_class=3, weights=[0.88], flip_y=0.02, random_state=1
    )


def surface() -> tuple[np.ndarray, np.ndarray]:
    """5,000 rows of a smooth function of six features, with noise."""
    rng = np.random.default_rng(2)
    X = rng.uniform(-2, 2, size=(5000, 6))
    value = np.sin(2 * X[:, 0]) * X[:, 1] + np.exp(-(X[:, 2] ** 2)) * 2 + X[:, 3] * X[:, 4]
    return X, value + 0.3 * rng.normal(size=len(X))


def outputs() -> tuple[np.ndarray, np.ndarray]:
    """Three targets of 1e-2 to 1e4."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(800, 10))
    targets = np.column_stack([X[:, 0] + X[:, 1] ** 2, np.tanh(2 * X[:, 2]) * X[:, 3], X[:, 4:8].sum(axis=1)])
    return X, (targets + 0.2 * rng.normal(size=targets.shape)) * [1e-2, 1, 1e4] + [0, 50, -1e4]


def bundled(
    load: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return lambda: load(return_X_y=True)


CLASSES = {
    "iris": bundled(datasets.load_iris),
    "wine": bundled(datasets.load_wine),
    "breast cancer": bundled(datasets.load_breast_cancer),
    "digits": bundled(datasets.load_digits),
    "moons": lambda: datasets.make_moons(500, noise=0.2, random_state=0),
    "circles": lambda: datasets.make_circles(500, noise=0.1, factor=0.5, random_state=0),
    "imbalanced": imbalanced,
    "unscaled classes": unscaled_classes,
}
VALUES = {
    "diabetes": bundled(datasets.load_diabetes),
    "Friedman 1": lambda: datasets.make_friedman1(500, noise=1.0, random_state=0),
    "Friedman 2": lambda: datasets.make_friedman2(500, noise=100.0, random_state=0),
    "Friedman 3": lambda: datasets.make_friedman3(500, noise=0.1, random_state=0),
    "like housing": housing_like,
    "sparse linear": lambda: datasets.make_regression(500, 50, n_informative=5, noise=30.0, random_state=0),
    "surface": surface,
    "several outputs": outputs,
}
NAMES = [*CLASSES, *VALUES]


@cache
def data(name: str) -> Data:
    """The data set of that name."""
    X, y = {**CLASSES, **VALUES}[name]()
    return Data(np.asarray(X, float), np.asarray(y), name in VALUES)
