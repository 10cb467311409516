"""How the training of each fit went, in the results of a search."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.model_selection._fits.result import FitResult

History = dict[str, list[float]]


def training_record(estimator: Any) -> dict[str, Any]:
    """The learning curves of an estimator, by the attributes of `FitResult`; None where it never trained."""
    inner = innermost(estimator)
    trained = isinstance(inner, BaseKerasEstimator) and "history_" in vars(inner)
    names = ("history", "best_epoch", "stopped_early")
    return {name: getattr(inner, f"{name}_") if trained else None for name in names}


def histories(results: Sequence[FitResult], n_splits: int) -> list[list[History | None]]:
    """The curves by candidate and split; None for a fit that never trained."""
    curves = [result.history for result in results]
    return [curves[first : first + n_splits] for first in range(0, len(curves), n_splits)]


def columns(results: Sequence[FitResult], n_splits: int) -> dict[str, Any]:
    """`split{i}_best_epoch`, `_epochs` and `_stopped_early`, masked where a fit never trained.

    There are no such columns if no fit trained.
    """
    untrained = [result.history is None for result in results]
    if all(untrained):
        return {}
    values: dict[str, list[Any]] = {
        "best_epoch": [0 if result.history is None else result.best_epoch for result in results],
        "epochs": [0 if result.history is None else len(result.history["loss"]) for result in results],
        "stopped_early": [False if result.history is None else result.stopped_early for result in results],
    }
    return {
        f"split{split}_{name}": np.ma.array(column[split::n_splits], mask=untrained[split::n_splits])
        for name, column in values.items()
        for split in range(n_splits)
    }


def mean_best_epochs(results: dict[str, Any], candidate: int) -> int | None:
    """How many epochs a candidate took to its best, on average over the splits; None if it never trained."""
    names = [name for name in results if name.startswith("split") and name.endswith("_best_epoch")]
    best = [results[name][candidate] for name in names if results[name][candidate] is not np.ma.masked]
    return round(float(np.mean(best))) + 1 if best else None
