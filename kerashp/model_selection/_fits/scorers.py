"""Scorers that keep their errors, so that a search can report each cause once."""

from traceback import format_exc
from typing import Any

from kerashp._compat.sklearn import MultimetricScorer, scorers_by_name


class _Recorder:
    """A scorer that gives `error_score` in place of an error.

    Attributes
    ----------
    errors : list of dict from str to str
        The printed exceptions of each call, by score.
    """

    def __init__(self, scorer: Any, error_score: float):
        self.errors: list[dict[str, str]] = []
        self._scorer = scorer
        self._error_score = error_score

    def __call__(self, *arguments: Any, **params: Any) -> Any:
        try:
            scores, errors = self._scorer(*arguments, **params), {}
        except Exception:
            scores, errors = self._error_score, {"score": format_exc()}
        self.errors.append(errors)
        return scores


class _MultimetricRecorder(MultimetricScorer):
    """scikit-learn's scorer of several scores, which keeps its errors in the same way."""

    def __init__(self, scorer: Any, error_score: float):
        super().__init__(scorers=scorers_by_name(scorer), raise_exc=False)
        self.errors: list[dict[str, str]] = []
        self._error_score = error_score

    def __call__(self, *arguments: Any, **params: Any) -> dict[str, Any]:
        scores: dict[str, Any] = super().__call__(*arguments, **params)
        self.errors.append({name: text for name, text in scores.items() if isinstance(text, str)})
        return scores | dict.fromkeys(self.errors[-1], self._error_score)


def recording(scorer: Any, error_score: float) -> Any:
    """The scorer as one that keeps its errors."""
    is_multimetric = scorers_by_name(scorer) is not None
    return (_MultimetricRecorder if is_multimetric else _Recorder)(scorer, error_score)
