"""What failed in a search, each cause once."""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import sklearn
from sklearn.exceptions import FitFailedWarning

from kerashp.model_selection._fits.result import FitResult

_INTERNAL = (str(Path(__file__).parents[2]), str(Path(sklearn.__file__).parent))  # to what a user has written
_FRAME = re.compile(r'^  File "(.+)", line \d+.*\n(?:    .*\n)*', re.MULTILINE)
_HEADING = re.compile(r"^Traceback \(most recent call last\):\n(?!  File)", re.MULTILINE)
_NUMBER = re.compile(r"[-+]?\b(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)\b")
_FIRST = "(Their messages differ in numbers alone; this is the first.)\n"


def shortened(traceback: str) -> str:
    """A printed exception without the frames of kerashp and scikit-learn."""
    kept = _FRAME.sub(lambda frame: "" if frame[1].startswith(_INTERNAL) else frame[0], traceback)
    return _HEADING.sub("", kept).strip()


def reported(results: Sequence[FitResult], error_score: object) -> list[FitResult]:
    """The results with one text for all errors of one cause, which scikit-learn counts and reports.

    Of fits that lack some of their scores, this warns once a cause.
    """
    errors = _by_cause(result.fit_error for result in results if result.fit_error is not None)
    lacking = [text for result in results for text in result.score_errors]
    causes = _by_cause(lacking)
    for cause, count in Counter(causes[text] for text in lacking).items():
        warnings.warn(
            f"{count} of {len(results)} fits have error_score={error_score} in place of a score:\n{cause}",
            FitFailedWarning,
            stacklevel=2,
        )
    return [
        replace(result, score_errors=(), fit_error=result.fit_error and errors[result.fit_error])
        for result in results
    ]


def _by_cause(texts: Iterable[str]) -> dict[str, str]:
    """By text, that of the first that differs from it in numbers alone."""
    groups: dict[str, dict[str, str]] = {}
    for text in texts:
        short = shortened(text)
        groups.setdefault(_NUMBER.sub("0", short), {})[text] = short
    found: dict[str, str] = {}
    for group in groups.values():
        shorts = list(dict.fromkeys(group.values()))
        cause = shorts[0] if len(shorts) == 1 else _FIRST + shorts[0]
        found |= dict.fromkeys(group, cause)
    return found
