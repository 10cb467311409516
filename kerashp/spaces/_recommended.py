"""A first space to search."""

from typing import Any

from scipy.stats import loguniform, uniform

from kerashp.spaces._checks import positive_integer
from kerashp.spaces._distributions import int_loguniform

_TASKS = ("regression", "binary", "multiclass", "multilabel")
_LEAST_MAX_NEURONS = 32


def recommended_space(n_features: int, n_samples: int, task: str) -> dict[str, Any]:
    """A first search space for `KerasMLPClassifier` and `KerasMLPRegressor`.

    Args:
        n_features: the input's width (columns after preprocessing), 1 or more. `n_neurons` runs from
            n_features / 4 (at least 1) to 4 n_features (at least 32).
        n_samples: training rows, 1 or more. `batch_size` runs from 10 to min(1000, n_samples); with 10 rows
            or fewer it is the list `[n_samples]`.
        task: "regression", "binary", "multiclass" or "multilabel"; all four share one space.

    Returns:
        Parameter name -> distribution or list.

    Raises:
        TypeError: `n_features` or `n_samples` is not an integer.
        ValueError: one of them is below 1, or the task is unknown.

    >>> space = recommended_space(n_features=20, n_samples=500, task="binary")
    >>> space["n_neurons"], space["batch_size"]
    (int_loguniform(low=5, high=80), int_loguniform(low=10, high=500))

    Source: the log scales follow Bengio, Practical Recommendations for Gradient-Based Training of Deep
    Architectures, 2012 (arXiv:1206.5533); the ends are kerashp's.
    """
    n_features = positive_integer("recommended_space", "n_features", n_features)
    n_samples = positive_integer("recommended_space", "n_samples", n_samples)
    if task not in _TASKS:
        raise ValueError(f"recommended_space: task must be one of {', '.join(_TASKS)}; got {task!r}")
    return {
        "learning_rate": loguniform(1e-4, 1.0),
        "n_hidden": [0, 1, 2, 3],
        "n_neurons": int_loguniform(max(1, n_features // 4), max(4 * n_features, _LEAST_MAX_NEURONS)),
        "dropout": uniform(0.1, 0.4),
        "l2": loguniform(1e-5, 1e-1),
        "batch_size": int_loguniform(10, min(1000, n_samples)) if n_samples > 10 else [n_samples],
    }
