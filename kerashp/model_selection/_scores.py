"""Scores that are no numbers count as failures."""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import FitFailedWarning

from kerashp.model_selection._task import Result, Task

_REMEDY = "Look at the predictions that the scorer was given, or lower the learning rate"


def checked(result: Result, task: Task) -> Result:
    """The result with `error_score` in place of every score that is not finite.

    scikit-learn ranks an infinite score best, and lets a search pass in which all scores are NaN. Where no
    finite score is left, the fit counts as failed.

    Raises
    ------
    ValueError
        If a score is not finite and `error_score="raise"`.
    """
    if result["fit_error"] is not None:
        return result
    error_score = task.keywords["error_score"]
    bad = {kind: _bad(result[kind]) for kind in ("test_scores", "train_scores") if kind in result}
    if not any(bad.values()):
        return result
    words = ", ".join(f"{kind}: {', '.join(found)}" for kind, found in bad.items() if found)
    message = f"Scores are not finite ({words}). {_REMEDY}."
    if error_score == "raise":
        raise ValueError(f"{message} {task.described()}")
    result = result | {kind: _replaced(result[kind], error_score) for kind in bad}
    if len(bad["test_scores"]) == len(_items(result["test_scores"])):
        return result | {"fit_error": message}
    warnings.warn(message, FitFailedWarning, stacklevel=2)
    return result


def _items(scores: Any) -> Any:
    return list(scores.items()) if isinstance(scores, dict) else [("score", scores)]


def _bad(scores: Any) -> list[str]:
    return [f"{name} is {value}" for name, value in _items(scores) if not np.isfinite(value)]


def _replaced(scores: Any, error_score: float) -> Any:
    if not isinstance(scores, dict):
        return scores if np.isfinite(scores) else error_score
    return {name: _replaced(value, error_score) for name, value in scores.items()}
