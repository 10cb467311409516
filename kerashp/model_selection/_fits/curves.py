"""How the training of each fit went, in the results of a search."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.model_selection._fits.task import Result

History = dict[str, list[float]]


def with_history(result: Result) -> Result:
    """The result with the curves of the estimator in it, in place of the estimator."""
    estimator = innermost(result.pop("estimator"))
    trained = isinstance(estimator, BaseKerasEstimator) and "history_" in vars(estimator)
    names = {"history": "history_", "best_epoch": "best_epoch_", "stopped_early": "stopped_early_"}
    return result | {name: getattr(estimator, own) if trained else None for name, own in names.items()}


def histories(results: Sequence[Result], n_splits: int) -> list[list[History | None]]:
    """The curves by candidate and split; None for a fit that never trained."""
    curves = [result["history"] for result in results]
    return [curves[first : first + n_splits] for first in range(0, len(curves), n_splits)]


def columns(results: Sequence[Result], n_splits: int) -> dict[str, Any]:
    """`split{i}_best_epoch`, `_epochs` and `_stopped_early`, masked where a fit never trained.

    None if none did.
    """
    missing = [result["history"] is None for result in results]
    if all(missing):
        return {}
    trained = [None if none else result for none, result in zip(missing, results, strict=True)]
    values: dict[str, list[Any]] = {
        "best_epoch": [own["best_epoch"] if own else 0 for own in trained],
        "epochs": [len(own["history"]["loss"]) if own else 0 for own in trained],
        "stopped_early": [own["stopped_early"] if own else False for own in trained],
    }
    return {
        f"split{split}_{name}": np.ma.array(own[split::n_splits], mask=missing[split::n_splits])
        for name, own in values.items()
        for split in range(n_splits)
    }


def mean_best_epochs(results: dict[str, Any], candidate: int) -> int | None:
    """How many epochs a candidate took to its best, on average over the splits; None if it never trained."""
    names = [name for name in results if name.startswith("split") and name.endswith("_best_epoch")]
    best = [results[name][candidate] for name in names if results[name][candidate] is not np.ma.masked]
    return round(float(np.mean(best))) + 1 if best else None
