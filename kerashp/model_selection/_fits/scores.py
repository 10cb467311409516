"""Scores that are no numbers, and scorers that raise, count as failures."""

from typing import Any

import numpy as np

from kerashp.model_selection._fits.failures import shortened
from kerashp.model_selection._fits.task import Result, Task

_KINDS = ("test_scores", "train_scores")
_DIVERGED = "The loss is not finite either: lower the learning rate"
_UNDEFINED = "The predictions are finite: look for what rows and predictions the scorer is defined"


def checked(result: Result, task: Task) -> Result:
    """The result with `error_score` in place of every score that is not finite.

    scikit-learn ranks an infinite score best, and lets a search pass in which all scores are NaN. Where no
    score is left, the fit counts as failed; otherwise `score_errors` says what failed.

    Raises
    ------
    ValueError
        If a score is not finite and `error_score="raise"`.
    """
    errors = result.pop("scorer_errors", [])
    if result["fit_error"] is not None:
        return result
    raised = {kind: found for kind, found in zip(_KINDS, errors, strict=False) if found}
    bad = {kind: _bad(result[kind], raised.get(kind, {})) for kind in _KINDS if kind in result}
    if not raised and not any(bad.values()):
        return result
    texts = [_failed(name, text) for found in raised.values() for name, text in found.items()]
    if any(bad.values()):
        texts.append(_not_finite(bad, result["history"]))
    error_score = task.keywords["error_score"]
    if error_score == "raise":
        raise ValueError(f"{texts[0]} {task.described()}")
    result = result | {kind: _replaced(result[kind], error_score) for kind in bad}
    n_failed = len(raised.get("test_scores", {})) + len(bad["test_scores"])
    if n_failed == len(_items(result["test_scores"])):
        return result | {"fit_error": "\n".join(dict.fromkeys(texts))}
    return result | {"score_errors": list(dict.fromkeys(texts))}


def _failed(name: str, text: str) -> str:
    of_several = "" if name == "score" else f" of {name!r}"
    return f"The scorer{of_several} failed:\n{shortened(text)}"


def _not_finite(bad: dict[str, list[str]], history: Any) -> str:
    words = ", ".join(f"{kind}: {', '.join(found)}" for kind, found in bad.items() if found)
    diverged = history is not None and not np.isfinite(history["loss"]).all()
    return f"Scores are not finite ({words}). {_DIVERGED if diverged else _UNDEFINED}."


def _items(scores: Any) -> Any:
    return list(scores.items()) if isinstance(scores, dict) else [("score", scores)]


def _bad(scores: Any, raised: dict[str, str]) -> list[str]:
    values = [(name, value) for name, value in _items(scores) if name not in raised]
    return [f"{name} is {value}" for name, value in values if not np.isfinite(value)]


def _replaced(scores: Any, error_score: float) -> Any:
    if not isinstance(scores, dict):
        return scores if np.isfinite(scores) else error_score
    return {name: _replaced(value, error_score) for name, value in scores.items()}
