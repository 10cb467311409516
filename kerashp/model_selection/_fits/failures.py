"""Reports of what failed in a search, once a cause."""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sklearn
from sklearn.exceptions import FitFailedWarning

from kerashp.model_selection._fits.result import FitResult, Scores

_INTERNAL = (str(Path(__file__).parents[2]), str(Path(sklearn.__file__).parent))  # not written by the user
_FRAME = re.compile(r'^  File "(.+)", line \d+.*\n(?:    .*\n)*', re.MULTILINE)
_HEADING = re.compile(r"^Traceback \(most recent call last\):\n(?!  File)", re.MULTILINE)
_NUMBER = re.compile(r"[-+]?\b(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)\b")
_FIRST = "(Their messages differ only in numbers; this is the first one.)\n"


def shortened(traceback: str) -> str:
    """A printed exception without the frames of kerashp and scikit-learn."""
    frames = _FRAME.sub(lambda frame: "" if frame[1].startswith(_INTERNAL) else frame[0], traceback)
    return _HEADING.sub("", frames).strip()


def reported(results: Sequence[FitResult], error_score: object) -> list[FitResult]:
    """The results with one text for all errors of a cause, which scikit-learn counts and reports.

    Fits that lack some of their scores are warned of here, once a cause.
    """
    errors = _by_cause(result.fit_error for result in results if result.fit_error is not None)
    texts = [text for result in results for text in result.score_errors]
    causes = _by_cause(texts)
    for cause, count in Counter(causes[text] for text in texts).items():
        warnings.warn(
            f"{count} of {len(results)} fits have error_score={error_score} in place of a score:\n{cause}",
            FitFailedWarning,
            stacklevel=2,
        )
    return [
        replace(result, score_errors=(), fit_error=result.fit_error and errors[result.fit_error])
        for result in results
    ]


def as_scored(result: FitResult, example: Scores | None, error_score: Any) -> FitResult:
    """The result of a failed fit as one of a fit that did not fail, with `error_score` for each score.

    `example` are the scores of another fit; scikit-learn itself fills in a single score.
    """
    if not isinstance(example, dict):
        return replace(result, fit_error=None)
    scores = dict.fromkeys(example, error_score)
    train_scores = None if result.train_scores is None else scores
    return replace(result, fit_error=None, test_scores=scores, train_scores=train_scores)


def _by_cause(texts: Iterable[str]) -> dict[str, str]:
    """For each text, the first text that differs from it only in numbers."""
    groups: dict[str, dict[str, str]] = {}
    for text in texts:
        short = shortened(text)
        groups.setdefault(_NUMBER.sub("0", short), {})[text] = short
    causes: dict[str, str] = {}
    for group in groups.values():
        shorts = list(dict.fromkeys(group.values()))
        cause = shorts[0] if len(shorts) == 1 else _FIRST + shorts[0]
        causes |= dict.fromkeys(group, cause)
    return causes
