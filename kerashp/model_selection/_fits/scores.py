"""A score that is not finite, or a scorer that raises, counts as a failure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kerashp.model_selection._fits.failures import shortened
from kerashp.model_selection._fits.result import FitResult, Scores

_KINDS = ("test_scores", "train_scores")
_DIVERGED = "The training loss is not finite either: lower the learning rate"
_UNDEFINED = "The predictions are finite: check for which targets and predictions the scorer is defined"


def checked(
    result: FitResult, scorer_errors: Sequence[dict[str, str]], error_score: Any, description: str
) -> FitResult:
    """The result with `error_score` in place of every score that is not finite.

    scikit-learn ranks an infinite score best, and lets a search pass in which all scores are NaN. Where no
    score is left, the fit counts as failed; otherwise `score_errors` names what failed.

    Parameters
    ----------
    result : FitResult
    scorer_errors : list of dict from str to str
        The printed exceptions of the scorer's calls, for the test rows and the training rows, by score.
    error_score : "raise" or number
    description : str
        Candidate and split, for the error.

    Raises
    ------
    ValueError
        If a score is not finite and `error_score="raise"`.
    """
    if result.fit_error is not None:
        return result
    scores = {"test_scores": result.test_scores}
    if result.train_scores is not None:
        scores["train_scores"] = result.train_scores
    raised = {kind: errors for kind, errors in zip(_KINDS, scorer_errors, strict=False) if errors}
    not_finite = {kind: _scores_not_finite(scores[kind], raised.get(kind, {})) for kind in scores}
    if not raised and not any(not_finite.values()):
        return result
    texts = [_scorer_failure(name, text) for errors in raised.values() for name, text in errors.items()]
    if any(not_finite.values()):
        texts.append(_score_failure(not_finite, result.history))
    if error_score == "raise":
        raise ValueError(f"{texts[0]} {description}")
    finite: dict[str, Any] = {kind: _replaced(scores[kind], error_score) for kind in scores}
    result = replace(result, **finite)
    n_failed = len(raised.get("test_scores", {})) + len(not_finite["test_scores"])
    if n_failed == len(_by_name(result.test_scores)):
        return replace(result, fit_error="\n".join(dict.fromkeys(texts)))
    return replace(result, score_errors=tuple(dict.fromkeys(texts)))


def _scorer_failure(name: str, text: str) -> str:
    of_several = "" if name == "score" else f" of {name!r}"
    return f"The scorer{of_several} failed:\n{shortened(text)}"


def _score_failure(not_finite: Mapping[str, list[str]], history: dict[str, list[float]] | None) -> str:
    words = ", ".join(f"{kind}: {', '.join(values)}" for kind, values in not_finite.items() if values)
    diverged = history is not None and not np.isfinite(history["loss"]).all()
    return f"Scores are not finite ({words}). {_DIVERGED if diverged else _UNDEFINED}."


def _by_name(scores: Scores) -> dict[str, float]:
    return scores if isinstance(scores, dict) else {"score": scores}


def _scores_not_finite(scores: Scores, raised: Mapping[str, str]) -> list[str]:
    """The scores that are not finite, in words, without those of scorers that raised."""
    values = [(name, value) for name, value in _by_name(scores).items() if name not in raised]
    return [f"{name} is {value}" for name, value in values if not np.isfinite(value)]


def _replaced(scores: Scores, error_score: float) -> Scores:
    if not isinstance(scores, dict):
        return scores if np.isfinite(scores) else error_score
    return {name: value if np.isfinite(value) else error_score for name, value in scores.items()}
